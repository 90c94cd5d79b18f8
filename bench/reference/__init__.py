"""The server whose truth is known: a pure behaviour, and one process that gives it a socket."""

"""The server whose truth is known: a pure session, and one process that gives it a socket.

::

    what it is told      profile  draws  vendor             default.toml has every key
    process              __main__  server_process  connection  admission  plain_http
    what it says of itself   truth_log  server_load
    all sessions         server_state (capacity, packets, leaks)  voices  recogniser
    one session          served_session ─ session_context ─ schedule ─ message_variants
      what is asked      client_requests  settings  conversation_items
      the caller's side  input_audio ─ input_buffer ─ vad · backchannel
      the agent's side   served_responses ─ response_plan ─ tool_calls · response_emitter
    without a process    rehearsal

Only the process knows sockets and clocks; everything below it is told what arrived and when.
"""

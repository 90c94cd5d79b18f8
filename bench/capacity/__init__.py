"""How many sessions a target holds: the document that says so, and what is planned from it."""

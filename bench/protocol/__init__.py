"""The API's own words: every message of the wire as a typed value. Pure: no socket, no clock."""

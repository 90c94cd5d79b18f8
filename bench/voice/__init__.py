"""The caller, without a clock or a socket: microphone, playout, scripts, conversation."""

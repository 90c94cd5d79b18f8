"""The caller, without a clock or a socket: microphone, player, scripts, conversation."""

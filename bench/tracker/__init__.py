"""What is going on in one session, told by its event rows: turns, responses, requests.

`Tracker` is fed the rows of one session in the order of the wire (`event`). It is a pure machine:
plain Python, integers in nanoseconds, no clock, no table. What it says is the same during a run and
years later.

=================  ================================================================================
event              the row that everything is told by, and an audio delta
session_config     what the server said is in force, and since when
audio_clock        the server's clock: audio written to it, and where that lies in the caller's time
utterances         what the caller said and wrote, and which of it are turns
requests           what the caller asked for, each with its acknowledgement or refusal
response_triggers  who asked for an answer, and which turn a response answers
vad_events         whose speech the server heard start and stop, and what it wrote down
responses          what each response consists of
playout            what of it the caller heard, and when
interruptions      who talked into which reply, and what became of that
cancellations      replies that the caller stopped
tools              what the server called, and what was sent back
error_messages     errors of the server, and whose fault they are
protocol_rules     the rules of the protocol, and violations of them
input_rules        those about requests, speech and the items of the conversation
response_rules     those about responses as wholes
output_rules       those about what is inside of a response
protocol_checker   all rules, told what the tracker is told
outcomes           what became of a turn
turn               a turn as a record
tracker            all of it together
=================  ================================================================================
"""

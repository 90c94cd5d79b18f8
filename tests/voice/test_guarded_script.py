"""A script may do anything; whatever no caller can do is one error that says what, and where."""

import inspect
from functools import partial

import pytest

from bench.errors import ScriptError, UsageError
from bench.protocol.client import ConversationItemCreate, ResponseCreate
from bench.protocol.objects import Item, Session
from bench.runs.job import find_script
from bench.voice.audio import NS_PER_S, ms
from bench.voice.conversation import Conversation
from bench.voice.directions import Await, Commit, Hear, HearOut, Part, Pause, Say, Send, Stop, Write
from bench.voice.guarded_script import MOST_A_SECOND, GuardedScript
from bench.voice.outbox import Note
from bench.voice.scripts import marked
from tests.voice.test_conversation import notes, opened, run_until, utterance

PART = Part((utterance(), utterance()))


def raises(_part):
    yield Pause(ms(10))
    raise ValueError("it is\nnot ours")


def raises_in_what_it_calls(part):
    yield Say(part.lines[0])
    int("seven")


def raises_below(part):
    yield from raises(part)


def exits(_part):
    yield Pause(ms(10))
    raise SystemExit(3)


def interrupts(_part):
    yield Pause(ms(10))
    raise KeyboardInterrupt


def stops(_part):
    yield Pause(ms(10))
    next(iter(()))


def recurses(part):
    yield Pause(ms(1))
    yield from recurses(part)


def nothing(_part):
    yield from ()


def none(_part):
    yield Pause(ms(10))
    yield


def text(_part):
    yield "hello"


def a_class(_part):
    yield HearOut


def text_to_say(_part):
    yield Say("hello")


def seconds(_part):
    yield Pause(0.3)


def backwards(_part):
    yield Hear(-1)


def a_dict(_part):
    yield Send({"type": "response.create"})


def an_utterance_to_write(part):
    yield Write(part.lines[0])


def unknown_stop(_part):
    yield Stop(cancel="all")


def unknown_role(part):
    yield Say(part.lines[0], role="agent")


def awaits_none(_part):
    yield Await(None)


def no_json(_part):
    yield Send(ConversationItemCreate(item=Item(type="message", content=object())))


def no_generator(part):
    return [Say(line) for line in part.lines]


def no_part():
    yield Pause(ms(10))


def raises_at_once(_part):
    raise LookupError("nobody is there")


def pauses_for_nothing(_part):
    while True:
        yield Pause(0)


def pauses_for_next_to_nothing(_part):
    while True:
        yield Pause(1)


def commits(_part):
    while True:
        yield Commit()


def asks(_part):
    while True:
        yield Send(ResponseCreate())


KINDS = {
    raises: "raised ValueError: it is not ours",
    raises_in_what_it_calls: "raised ValueError: invalid literal for int() with base 10: 'seven'",
    raises_below: "raised ValueError: it is not ours",
    exits: "raised SystemExit: 3",
    interrupts: "raised KeyboardInterrupt",
    stops: "raised RuntimeError: generator raised StopIteration",
    recurses: "raised RecursionError: maximum recursion depth exceeded",
    nothing: "ended without a direction",
    none: "yielded None, which is no direction; valid are: Say, Write, Commit, Pause",
    text: "yielded 'hello', which is no direction",
    a_class: "a class and no direction: call it",
    text_to_say: "whose utterance must be an Utterance of the part",
    seconds: "yielded Pause(duration_ns=0.3), whose duration_ns must be a whole number of ns",
    backwards: "whose duration_ns must be a whole number of ns from 0 on",
    a_dict: "whose message must be a client message",
    an_utterance_to_write: "whose text must be a text",
    unknown_stop: "whose cancel must be named, bare or none",
    unknown_role: "whose role must be line, interruption or backchannel",
    awaits_none: "whose type must be the type of a message",
    no_json: "sent a conversation.item.create that is no JSON",
    no_generator: "is no generator: it returned list",
    no_part: "raised TypeError: no_part() takes 0 positional arguments but 1 was given",
    raises_at_once: "raised LookupError: nobody is there",
    pauses_for_nothing: "goes on for ever: 10000 directions",
    pauses_for_next_to_nothing: "goes on for ever",
    commits: "goes on for ever",
    asks: "goes on for ever",
}


def played(script, *, marker):
    """A conversation that plays it to its end."""
    around = partial(marked, words="w", item_id="m") if marker else None
    talk = opened(GuardedScript(script, PART, "ours:it", around))
    return talk, run_until(talk, ms(3000))


@pytest.mark.parametrize("marker", [False, True], ids=["bare", "marked"])
@pytest.mark.parametrize("script", KINDS, ids=lambda script: script.__name__)
def test_a_script_at_fault_is_named_with_what_it_did_and_where(script, marker):
    talk, _ = played(script, marker=marker)
    assert talk.outcome == "crashed"
    assert isinstance(talk.fault, ScriptError)
    text = str(talk.fault)
    assert KINDS[script] in text
    assert len(text.splitlines()) == 1
    home = raises if script is raises_below else script
    lines, first = inspect.getsourcelines(home)
    place = next(part for part in text.split("line ")[1:] if part[0].isdigit())
    assert first <= int(place.partition(")")[0]) < first + len(lines)
    assert f"script 'ours:it' ({__file__}, line" in text


def test_the_line_is_the_one_that_raised_and_the_trace_is_whole():
    talk, _ = played(raises_in_what_it_calls, marker=False)
    first = inspect.getsourcelines(raises_in_what_it_calls)[1]
    assert f"line {first + 2})" in str(talk.fault)
    assert talk.fault.trace.startswith("Traceback")
    assert 'int("seven")' in talk.fault.trace


def test_what_a_loop_without_time_wanted_sent_is_not_sent():
    _, said = played(asks, marker=False)
    sent = [one for one in said if not isinstance(one, Note) and one.type == "response.create"]
    assert sent == []
    assert "bench.microphone" in notes(said)  # what had happened before is told all the same


def test_as_many_directions_as_a_caller_can_follow_are_no_loop():
    def busy(_part):
        for _ in range(MOST_A_SECOND - 2):
            yield Pause(0)
        yield Pause(NS_PER_S)
        for _ in range(MOST_A_SECOND - 2):
            yield Pause(0)

    talk = opened(GuardedScript(busy, PART))
    run_until(talk, ms(1500))
    assert (talk.outcome, talk.fault) == ("finished", None)


def test_a_plain_iterator_is_played_and_its_faults_are_named():
    talk = Conversation(iter((Pause(ms(10)), 7)), Session(type="realtime"), None)
    assert talk._script._script.resume(None, 0) == Pause(ms(10))
    with pytest.raises(ScriptError, match="yielded 7, which is no direction"):
        talk._script._script.resume(None, 0)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("import nothing_of_that_name\n", "line 1): cannot be imported: ModuleNotFoundError"),
        ("\nraise SystemExit('no')\n", "line 2): cannot be imported: SystemExit: no"),
        ("def once(part)\n    yield\n", "line 1): cannot be imported: SyntaxError"),
        ("once = 7\n", ": is no function but int"),
        ("twice = 7\n", ": cannot be imported: AttributeError"),
    ],
)
def test_a_script_that_cannot_be_had_is_named_with_its_line(body, told, tmp_path, monkeypatch):
    name = f"ours_{abs(hash(body))}"
    (tmp_path / f"{name}.py").write_text(body)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UsageError) as refused:
        find_script(f"{name}:once")
    assert f"script '{name}:once'" in str(refused.value)
    assert told in str(refused.value)
    assert (f"{name}.py, line" in str(refused.value)) == ("line" in told)

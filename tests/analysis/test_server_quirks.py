"""Each quirk of the reference server is counted under its own name, and no other."""

import msgspec
import pytest

from bench.analysis.counts import count_messages
from bench.analysis.server_quirks import quirks
from bench.analysis.tables import read_events
from bench.reference.profile import Profile
from tests.analysis.story import Story, events_of
from tests.world import World, voice


def quirks_of(events):
    """How often each quirk is in some events."""
    return {entry["quirk"]: entry["count"] for entry in quirks(events, count_messages(events))}


NAMES = [
    "transcription_duplicate",
    "transcription_late",
    "missing_ms",
    "missing_usage",
    "beta_names",
    "turn_suggestion",
]


def seen(path, **quirk):
    profile = msgspec.convert({"quirks": quirk}, Profile, strict=False)
    world = World(profile)
    world.call("turn_taking", ((voice("a", 100, 800), voice("b", 100, 700)),))
    folder = world.run().seal(path)
    return quirks_of(read_events(folder.events))


def test_a_server_without_quirks_shows_none(tmp_path):
    assert seen(tmp_path / "run") == {}


@pytest.mark.parametrize("name", NAMES)
def test_a_quirk_is_counted_under_its_own_name(tmp_path, name):
    found = seen(tmp_path / "run", **{name: 1.0})
    assert found.pop(name) >= 2
    assert not found


@pytest.mark.parametrize(("status", "late"), [("completed", 1), ("cancelled", 0), ("failed", 0)])
def test_a_transcription_is_late_only_where_the_whole_answer_was_done_before(
    tmp_path, status, late
):
    story = Story().begin().microphone().say(0)
    at = story.ear()
    story.created(at + 20).done(at + 100, status=status)
    story.hear(at + 200, "conversation.item.input_audio_transcription.completed",
               item_id="item1", detail="hello")  # fmt: skip
    found = quirks_of(events_of(tmp_path, story.finish()))
    assert found.get("transcription_late", 0) == late

"""What live Inworld was seen to do is played as quirks, and a caller of this bench bears each.

Each quirk is met twice: by a session that leaves open what it means, as clients do, and by what
`bench run` sends for a scenario that says no more.
"""

import pandas as pd
import pytest

from bench.analysis.pipeline import analyse
from bench.protocol.error_codes import ALREADY_ACTIVE
from bench.protocol.objects import AudioOutput, WireFormat
from bench.reference.profile import Profile, Quirks, ToolsProfile
from bench.voice.audio import ms
from bench.voice.caller_config import CallerConfig
from tests.world import World, voice

LINES = (voice("one", 130, 900), voice("two", 90, 700))
TOOLS = [{"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}]
SEMANTIC = {"type": "semantic_vad", "eagerness": "high"}
OLD_WORDS = {"type": "pcm16"}
QUIRKS = {
    "semantic_unanswered": ("demo", {"session.turn_detection": "{type='semantic_vad'}"}),
    "mute_shorthand": ("demo", {"session.output_format": "{type='pcm16'}"}),
    "auto_tools": ("tool_call", {"session.providerData": "{user_id='u'}"}),
}
"""By quirk: the scenario that meets it, and what it says less than it might."""


@pytest.mark.usefixtures("virtual")
@pytest.mark.parametrize("quirk", QUIRKS)
def test_what_the_bench_sends_meets_no_quirk_of_inworld(bench, tmp_path, quirk):
    scenario, says = QUIRKS[quirk]
    folder, profile = tmp_path / "run", tmp_path / "profile.toml"
    profile.write_text(
        f"[quirks]\n{quirk} = 1.0\n[tools]\none = 1.0\nparallel = 0.0\nmixed = 0.0\n"
    )
    told = [part for key, value in says.items() for part in ("--set", f"{key}={value}")]
    _, printed, err = bench(
        "run", f"scenarios/{scenario}.toml", "--gates", "smoke", "--out", folder, "--sessions", "2",
        "--duration", "12s", "--set", "load.warmup='0s'", *told,
        "--set", f"reference.profile='{profile}'",
    )  # fmt: skip
    assert folder.exists(), err
    turns = pd.read_parquet(folder / "turns.parquet")
    assert set(turns["outcome"]) - {"cut"} == {"ok"}, printed
    events = pd.read_parquet(folder / "events.parquet", columns=["type"])
    assert not (events["type"] == "error").any()


@pytest.mark.parametrize("quirk", QUIRKS)
def test_a_session_that_leaves_it_open_meets_the_quirk(tmp_path, quirk):
    tools = ToolsProfile(one=1.0, parallel=0.0, mixed=0.0)
    world = World(Profile(quirks=Quirks(**{quirk: 1.0}), tools=tools))
    script = "tool_call" if quirk == "auto_tools" else "turn_taking"
    detection = {"detection": SEMANTIC} if quirk == "semantic_unanswered" else {}
    session = {"tools": TOOLS} if quirk == "auto_tools" else {}
    call = world.call(
        script,
        (LINES,),
        session=session,
        config=CallerConfig(answer_timeout_ns=ms(3000)),
        **detection,
    )
    if quirk == "mute_shorthand":  # what `bench.plan.session` would mend
        call.caller._asked.audio.output = AudioOutput(format=WireFormat(**OLD_WORDS))
    folder = world.run().seal(tmp_path / "run", script)
    analyse(folder.path)
    turns = pd.read_parquet(folder.turns)
    collided = [row for row in call.rows if row.type == "error"]
    if quirk == "auto_tools":
        assert all(ALREADY_ACTIVE in row.detail for row in collided)
        assert len(collided) >= 2  # its own response.create, into what the server began
    else:
        assert set(turns["outcome"]) <= {"timeout", "error"}

"""The cases by name: each makes the folder of a small run, in virtual time or told by hand.

Deterministic, but bound to the load path and the reference server as they are today: that is why
runs are stored, and are not played again by the test.
"""

from contextlib import chdir
from functools import partial
from pathlib import Path

from tests.golden import stories, worlds
from tests.virtual_run import virtual_run

ROOT = Path(__file__).parents[2]
OPEN = """
script = "turn_taking"
corpus = "everyday"
turns = 1
[caller]
include = ["short"]
[load]
{load}
warmup = "2s"
duration = "10s"
drain = "1s"
"""
"""A scenario with a load of its own."""


def scenario(name, folder, *, sessions=2, duration="12s", profile="", load="", **options):
    """A shipped scenario, shortened; or with `load` (TOML) one that is called `name`.

    `profile` is TOML of the server's; options as of `virtual_run`.
    """
    path = ROOT / "scenarios" / f"{name}.toml"
    assignments = {"load.warmup": "'1s'", **options.pop("assignments", {})}
    if load:
        path, sessions, duration, assignments = folder.parent / f"{name}.toml", None, None, {}
        path.write_text(OPEN.format(load=load))
    if profile:
        server = folder.parent / "server.toml"
        server.write_text(profile)
        assignments["reference.profile"] = f"'{server}'"
    with chdir(ROOT):
        virtual_run(
            path, folder, drawn=False, sessions=sessions, duration=duration,
            assignments=assignments, **options,
        )  # fmt: skip


def _played(*names, **options):
    return {name: partial(scenario, name, **options) for name in names}


CASES = {
    # every scenario that is shipped
    **_played("demo", "text_chat", "text_to_voice", "interrupt_client"),
    **_played("barge_in", "barge_in_off", "push_to_talk", "tool_call", duration="20s"),
    "capacity": partial(scenario, "capacity", sessions=8, duration="5s"),
    "hesitation": partial(scenario, "hesitation", sessions=7, duration="6s"),
    "long_call": partial(scenario, "long_call", sessions=1, duration="60s"),
    "mixed": partial(scenario, "mixed", sessions=10, duration="8s"),
    "reconfigure": partial(scenario, "reconfigure", sessions=1, duration="50s"),
    "tour": partial(scenario, "tour", sessions=1, duration="60s"),
    # how sessions come, wait and go
    "arrivals": partial(scenario, "arrivals", load="arrivals = 'poisson'\nrate = '1/s'", workers=2),
    "queue": partial(
        scenario, "demo", sessions=4, duration="20s", slots=2, up_ns=3_000_001,
        assignments={"turns": "6", "load.drain": "'2s'"},
    ),
    "full": partial(
        scenario, "demo", sessions=3, duration="20s",
        profile="[failures]\noverloaded_at_once = 0.4\noverloaded = 0.4\nrefuse = 0.2\n",
    ),
    "leaks": partial(
        scenario, "text_chat", sessions=5, duration="5s", profile="[failures]\nleak = 0.4\n"
    ),
    # a server of its own for each session
    "habits_a": partial(worlds.habits, few=slice(0, 19)),
    "habits_b": partial(worlds.habits, few=slice(19, None)),
    "responses": worlds.responses,
    "failures": worlds.failures,
    "ties": worlds.ties,
    "interruptions": worlds.interruptions,
    "formats": worlds.formats,
    "requests": worlds.requests,
    # told by hand
    "grammar": stories.grammar,
    "coinciding": stories.coinciding,
    "bad_seconds": stories.bad_seconds,
    "void": stories.void,
    "remarked": stories.remarked,
    "told_turns": partial(stories.told, "turns", "outcomes", "summary", "unreached_turns"),
    "told_replies": partial(
        stories.told, "response_triggers", "requests", "tools", "settings_mismatch",
        "interruptions", "cancellations", "disturbances", "deltas", "playout", "word_errors",
    ),
    "told_clocks": partial(
        stories.told, "audio_clock", "timestamp_error", "slow_turn_cause", "server_quirks",
        "messages", "filtered_figures", "drift",
    ),
}  # fmt: skip

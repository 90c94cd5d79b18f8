import tomllib
from importlib import resources

import msgspec
import pytest

from bench.errors import UsageError
from bench.plan.random_duration import Discrete, Lognormal, Uniform
from bench.reference.draws import Chance
from bench.reference.profile import Failures, Profile, Quirks, load_profile


def written(tmp_path, text):
    path = tmp_path / "slow.toml"
    path.write_text(text)
    return path


def test_the_shipped_profile_is_the_default_profile_and_names_every_key():
    shipped = load_profile(None)
    assert shipped == Profile()
    assert isinstance(shipped.response.first_delta_ms, Lognormal)


def test_the_shipped_profile_shows_every_key_of_every_table():
    shown = tomllib.loads((resources.files("bench.reference") / "default.toml").read_text("utf-8"))
    assert shown == msgspec.to_builtins(Profile(), builtin_types=()) | {
        "rates": [24_000],
    }


def test_a_rate_is_a_number_or_a_table_with_a_seed_of_its_own(tmp_path):
    path = written(
        tmp_path,
        "[quirks]\nping = { rate = 0.1, seed = 7 }\nmissing_ms = 1\n"
        "[failures]\nleak = { rate = 0.5 }\n",
    )
    profile = load_profile(path)
    assert profile.quirks == Quirks(ping=Chance(rate=0.1, seed=7), missing_ms=1.0)
    assert profile.failures == Failures(leak=Chance(rate=0.5))


def test_a_profile_says_only_what_differs(tmp_path):
    path = written(
        tmp_path,
        "seed = 9\n[response]\nfirst_delta_ms = 250\n"
        'created_ms = { kind = "choice", of_ms = [10, 90] }\n'
        '[vad]\nlag_ms = { kind = "uniform", low_ms = 1, high_ms = 2 }\n',
    )
    profile = load_profile(path)
    assert profile.seed == 9
    assert profile.response.first_delta_ms == 250
    assert profile.response.created_ms == Discrete(of_ms=(10, 90))
    assert profile.vad.lag_ms == Uniform(low_ms=1, high_ms=2)
    assert profile.failures == Profile().failures


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sed = 1", ("sed", "'seed'")),
        ("[response]\npase = 2", ("response.pase", "'pace'")),
        ("[failures]\nrefuze = 1", ("failures.refuze", "'refuse'")),
        (
            '[response]\ncreated_ms = { kind = "lognormal", median = 5, sigma = 1 }',
            ("response.created_ms.median", "'median_ms'"),
        ),
        ('[response]\ncreated_ms = { kind = "normal" }', ("response.created_ms.kind", "lognormal")),
        ("[failures]\nrefuse = 1.5", ("failures.refuse", "<= 1.0")),
        ("[failures]\nrefuse_status = 418", ("refuse_status", "429")),
        ("[failures]\nclose_code = 5", ("close_code", "1011")),
        ("[failures]\nmax_sessions = 3", ("failures.max_sessions",)),
        ("[failures]\nrefuse = { rate = 2 }", ("failures.refuse.rate", "<= 1.0")),
        ("[quirks]\nping = { rat = 0.5 }", ("quirks.ping.rat", "'rate'")),
        ("[quirks]\npong = 0.5", ("quirks.pong", "'ping'")),
        ("[semantic.mistake]\nlow = 0\nmedium = 0\nhi = 0", ("semantic.mistake.hi", "'high'")),
        ("[semantic]\nmistake = { low = 0, medium = 0, high = 2 }", ("semantic.mistake.high",)),
        ("[tools]\none = 0.8", ("tools", "more than 1")),
        ('[limits]\nbreach = "503"', ("limits.breach",)),
        (
            "[capacity]\ncollapse_sessions = 8\nrecover_sessions = 9",
            ("capacity: recover_sessions is 9, above collapse_sessions (8)", "at most 8"),
        ),
        (
            "[capacity]\nrecover_sessions = 2",
            ("capacity: recover_sessions is 2, above collapse_sessions (0)", "at least 2"),
        ),
        ("[capacity]\nslot = 2", ("capacity.slot", "'slots'")),
        ("[capacity]\nslots = -1", ("capacity.slots", ">= 0")),
        ("[capacity]\ncollapse_factor = 0.5", ("capacity.collapse_factor", ">= 1")),
        ('[capacity]\nservice_ms = { kind = "normal" }', ("capacity.service_ms", "lognormal")),
        ("[limits]\nsession = 5", ("limits.session", "'sessions'")),
        ("[response]\npace = 0", ("response.pace", ">= 0.1")),
        ("[vad]\nlag_ms = -1", ("vad.lag_ms",)),
        ("[vad]\nlag_ms = nan", ("vad.lag_ms",)),
        ("rates = [11025]", ("rates", "24000")),
        ('[vad]\nlag_ms = { kind = "uniform", low_ms = 3, high_ms = 1 }', ("vad.lag_ms", "low_ms")),
        ("seed = ", ("no TOML",)),
    ],
)
def test_a_wrong_profile_is_one_line_with_file_key_and_remedy(tmp_path, text, words):
    with pytest.raises(UsageError) as caught:
        load_profile(written(tmp_path, text))
    line = str(caught.value)
    assert "\n" not in line
    assert all(word in line for word in ("slow.toml", *words)), line


def test_a_missing_profile_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"nowhere\.toml"):
        load_profile(tmp_path / "nowhere.toml")


def test_a_profile_survives_the_trip_through_json():
    shipped = load_profile(None)
    assert msgspec.json.decode(msgspec.json.encode(shipped), type=Profile) == shipped

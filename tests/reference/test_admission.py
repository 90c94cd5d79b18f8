import msgspec
import pytest

from bench.reference.admission import INWORLD_PATH, OPENAI_PATH, Admitted, Refused, admit
from bench.reference.profile import REFUSALS, Failures, LimitsProfile, Profile

GOOD = f"{INWORLD_PATH}?key=k1&protocol=realtime"


def verdict(
    path, *, profile=Profile(), authorization="Basic abc", number=0, open_sessions=0, offered=()
):  # frozen
    return admit(
        path, authorization, profile, number=number, open_sessions=open_sessions, offered=offered
    )


def test_each_path_speaks_its_dialect():
    assert verdict(GOOD) == Admitted(0, "inworld", "k1", "")
    assert verdict(f"{OPENAI_PATH}?model=gpt-x", number=4) == Admitted(4, "openai", "", "gpt-x")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 404),
        ("/v1/realtime/calls", 404),
        (INWORLD_PATH, 400),
        (f"{INWORLD_PATH}?key=k1", 400),
        (f"{INWORLD_PATH}?protocol=realtime", 400),
        (f"{INWORLD_PATH}?key=k1&protocol=chat", 400),
    ],
)
def test_a_wrong_path_is_404_and_a_wrong_query_400(path, status):
    assert verdict(path).status == status


@pytest.mark.parametrize("given", [None, "", "Basic", "Basic ", "Digest abc"])
def test_a_credential_is_wanted_only_where_the_profile_says_so(given):
    strict = msgspec.structs.replace(Profile(), authorization="required")
    assert isinstance(verdict(GOOD, authorization=given), Admitted)
    assert verdict(GOOD, authorization=given, profile=strict).status == 401
    for good in ("Basic abc", "bearer abc"):
        assert isinstance(verdict(GOOD, authorization=good, profile=strict), Admitted)


@pytest.mark.parametrize("path", [GOOD, f"{OPENAI_PATH}?model=gpt-x"])
def test_a_key_among_the_subprotocols_is_a_credential(path):
    strict = msgspec.structs.replace(Profile(), authorization="required")

    def tried(*offered):
        return verdict(path, profile=strict, authorization=None, offered=offered)

    assert isinstance(tried("realtime", "openai-insecure-api-key.sk-x"), Admitted)
    for none in ((), ("realtime",), ("openai-insecure-api-key.",), ("realtime", "sk-x")):
        assert tried(*none).status == 401, none


@pytest.mark.parametrize("status", REFUSALS)
def test_a_profile_refuses_upgrades_with_its_status(status):
    profile = Profile(failures=Failures(refuse=1.0, refuse_status=status))
    refused = verdict(GOOD, profile=profile)
    assert isinstance(refused, Refused)
    assert refused.status == status
    assert refused.text


def test_a_rate_refuses_that_share_and_the_same_ones_each_time():
    profile = Profile(failures=Failures(refuse=0.3))
    refused = [isinstance(verdict(GOOD, profile=profile, number=n), Refused) for n in range(500)]
    assert 110 < sum(refused) < 190
    assert refused == [
        isinstance(verdict(GOOD, profile=profile, number=n), Refused) for n in range(500)
    ]


@pytest.mark.parametrize("breach", ["429", "error", "errortype", "close", "at_capacity"])
def test_one_session_too_many_is_refused_or_let_in_to_be_told_so(breach):
    profile = Profile(limits=LimitsProfile(sessions=20, breach=breach))
    assert verdict(GOOD, profile=profile, open_sessions=19) == Admitted(0, "inworld", "k1", "")
    beyond = verdict(GOOD, profile=profile, open_sessions=20)
    if breach == "429":
        assert beyond == Refused(429, "Too many sessions.")
    else:
        assert beyond == Admitted(0, "inworld", "k1", "", over_limit=True)

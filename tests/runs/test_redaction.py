"""What a server says back of a credential is not written, in whatever spelling."""

import json
from base64 import b64encode, urlsafe_b64encode
from html import escape
from itertools import pairwise
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.runs.log import Log, read_log
from bench.runs.redaction import MASK, Piecewise, Secrets
from bench.runs.rows import Row

KEY = 'sk-proj-aB3+/="x\\y&z_0123456789'
BASIC = b64encode(b"workspace:s3cr3t-of-mine").decode()
printable = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=6, max_size=60)


def everywhere(letter):
    return "".join(f"%{ord(one):02X}" for one in letter)


SPELLINGS = {
    "plain": str,
    "in JSON": lambda key: json.dumps(key)[1:-1],
    "in JSON in JSON": lambda key: json.dumps(json.dumps(key))[1:-1],
    "with the slashes of PHP": lambda key: json.dumps(key)[1:-1].replace("/", "\\/"),
    "as .NET escapes": lambda key: json.dumps(key)[1:-1].replace("+", "\\u002B"),
    "percent-encoded": lambda key: quote(key, safe=""),
    "percent-encoded in small letters": lambda key: quote(key, safe="").lower()
    if key == key.lower() else quote(key, safe=""),
    "percent-encoded in part": quote,
    "percent-encoded twice": lambda key: quote(quote(key, safe=""), safe=""),
    "in HTML": lambda key: escape(key).replace("/", "&#x2F;").replace("=", "&#61;"),
    "in Base64": lambda key: b64encode(key.encode()).decode(),
    "in Base64 of URLs": lambda key: urlsafe_b64encode(key.encode()).decode(),
    "in Base64, after a word": lambda key: b64encode(f"Bearer {key}".encode()).decode(),
    "in Base64, after another": lambda key: b64encode(f"api:{key}".encode()).decode(),
    "in Base64, as Basic": lambda key: b64encode(f":{key}".encode()).decode(),
}  # fmt: skip


@pytest.mark.parametrize("spelt", SPELLINGS.values(), ids=SPELLINGS)
@pytest.mark.parametrize(
    "key", [KEY, BASIC, "0123456789abcdef0123456789abcdef", "hunter2", "a+b/c="]
)
def test_a_credential_is_found_in_every_spelling(key, spelt):
    said = f"before {spelt(key)} after"
    told = Secrets([key]).hide(said)
    assert MASK in told
    assert told.startswith("before ")
    assert told.endswith(" after")
    assert key not in told
    assert spelt(key)[3:] not in told


@given(printable, st.text(max_size=20), st.text(max_size=20))
def test_nothing_of_a_credential_is_left_and_nothing_else_is_touched(key, before, after):
    told = Secrets([key]).hide(f"{before}{key}{after}")
    assert key not in told.replace(MASK, "\0")
    assert Secrets().hide(f"{before}{key}{after}") == f"{before}{key}{after}"


@given(st.text(max_size=200))
def test_a_text_without_one_stays_as_it_is(text):
    assert Secrets(["\x7fnever-said-by-anybody-0"]).hide(text) == text


def test_the_beginning_of_one_that_was_cut_off_is_enough():
    key = "sk-proj-0123456789abcdefghijABCDEFGHIJ"
    hide = Secrets([key]).hide
    assert hide(f"no: {key[:12]}") == f"no: {MASK}"
    assert hide(f"no: {key[:12]}…") == f"no: {MASK}…"
    assert hide("keys begin with sk-proj") == "keys begin with sk-proj"


def test_what_a_basic_credential_is_made_of_is_one_too():
    hide = Secrets([BASIC]).hide
    assert hide("secret s3cr3t-of-mine of workspace") == f"secret {MASK} of workspace"
    assert hide("Basic " + BASIC) == f"Basic {MASK}"


def test_without_its_first_word_too():
    assert Secrets(["Bearer abcdef123456"]).hide("got abcdef123456") == f"got {MASK}"


def test_what_is_too_short_to_be_told_from_a_word_is_left():
    assert Secrets(["", "x", "test"]).hide("a test of x") == "a test of x"
    assert not Secrets(["", "test"])


def test_a_document_is_searched_to_its_leaves():
    found = Secrets([KEY]).hide_all({KEY: [1, (KEY, None)], "row": Row(1, 2, 0, None, "in", KEY)})
    assert found[MASK] == [1, (MASK, None)]
    assert found["row"] == Row(1, 2, 0, None, "in", MASK)


HOSTILE = ["\\" * 200_000, "%25" * 100_000, "&#0" * 100_000, "sk-proj-" * 40_000]


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(4))
def test_a_hostile_text_takes_no_time(hostile):
    Secrets([KEY]).hide(hostile + "sk-proj-" + hostile)


def row(**more):
    return Row(**{"session": 1, "at_ns": 5, "at_err_ns": 0, "read_ns": 6, "direction": "in",
                  "type": "error", **more})  # fmt: skip


def test_no_log_has_one_in_any_column_and_every_other_row_is_whole(tmp_path):
    log = Log(tmp_path / "a.log", Secrets([KEY]))
    rows = [
        row(detail=f"no {quote(KEY)}"),
        row(item_id=KEY, envelope=b"\x01\x02", audio_ns=7),
        row(detail=json.dumps({"message": f"key {KEY}!"})),
        row(detail="nothing", type="x"),
    ]
    log.append(rows[0])
    place = log.reserve()
    log.fill(place, rows[1])
    for one in rows[2:]:
        log.append(one)
    log.close()
    assert b"sk-proj" not in (tmp_path / "a.log").read_bytes()
    found = list(read_log(tmp_path / "a.log"))
    assert found == [
        rows[0]._replace(detail=f"no {MASK}"),
        rows[1]._replace(item_id=MASK),
        rows[2]._replace(detail=json.dumps({"message": f"key {MASK}!"})),
        rows[3],
    ]


@given(st.data())
def test_pieces_of_a_text_leave_no_more_of_one_than_its_first_letters(data):
    """Wherever it is parted, what is written of it is less than what it is known by."""
    key = "Zq7LmP9xXwTb4tRk2Vn8Hd5Jc3"
    text = f"the key is {key}, and {key} again"
    places = sorted(data.draw(st.sets(st.integers(1, len(text) - 1), max_size=12)))
    edges = [0, *places, len(text)]
    pieces = Piecewise(Secrets([key]))
    written = [pieces.hide("text", text[a:b]) for a, b in pairwise(edges)]
    joined = "".join(written).replace(MASK, "")
    longest = max(
        (len(key[a:b]) for a in range(len(key)) for b in range(a + 1, len(key) + 1)
         if key[a:b] in joined), default=0,
    )  # fmt: skip
    assert longest < 8
    assert joined.startswith("the key is ")
    assert joined.endswith(" again")


def test_pieces_of_two_kinds_of_text_are_not_taken_for_one():
    pieces = Piecewise(Secrets(["Zq7LmP9xXwTb4tRk2Vn8Hd5Jc3"]))
    assert pieces.hide("a", "Zq7LmP") == "Zq7LmP"
    assert pieces.hide("b", "9xXwTb4t") == "9xXwTb4t"
    assert pieces.hide("a", "9xXwTb4t") == MASK

"""Files that somebody else wrote: one line says why one cannot be read, whatever stands in it."""

import os
import time

import pytest

from bench.data_file import (
    MOST_DEPTH,
    DataError,
    MissingError,
    json_of,
    read_bytes,
    read_toml,
    text_of,
    toml_of,
)

LIMIT = 1_000


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a = " + "[" * 100_000, "within each other"),
        ("a = " + "{b = " * 5_000, "within each other"),
        ("a = " + "9" * 10_000, "digits"),
        ("a = 0x" + "f" * 40, "a: a number of more than 64 bits"),
        ("[b]\nc = nan", "b.c: nan is no finite number"),
        ("a = [1, 1e999]", "a: inf is no finite number"),
        (".".join("a" * 100_000) + " = 1", "parts"),
        ('"a"' + " . 'a'" * 100_000 + " = 1", "parts"),
        ('a = "\x00"', "Illegal character"),
        ("a = 1\na = 2", "overwrite"),
    ],
)
def test_toml_that_its_parser_stumbles_over_is_refused_in_one_quick_line(text, why):
    began = time.process_time()
    with pytest.raises(DataError, match=why) as refused:
        toml_of(text)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < LIMIT
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000, '{"a":' * 100_000, "9" * 10_000, "1e999", "NaN", "-Infinity",
        '"\\ud800"', "",
        "\x00",
        "[" * (MOST_DEPTH + 1) + "]" * (MOST_DEPTH + 1),
    ],
)  # fmt: skip
def test_json_that_its_parser_stumbles_over_is_refused_in_one_line(text):
    with pytest.raises(DataError) as refused:
        json_of(text)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < LIMIT


def test_a_byte_order_mark_is_left_out_and_other_encodings_are_named(tmp_path):
    path = tmp_path / "x.toml"
    path.write_text("a = 1", "utf-8-sig")
    assert read_toml(path) == {"a": 1}
    assert json_of(b"\xef\xbb\xbf[1]") == [1]
    with pytest.raises(DataError, match="UTF-16"):
        text_of("a = 1".encode("utf-16"))
    with pytest.raises(DataError, match=r"no UTF-8 text: .* at byte 1"):
        text_of(b"a\xff")


def test_what_is_no_regular_file_is_refused_and_nobody_waits_for_it(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    for path in (tmp_path / "pipe", tmp_path, tmp_path / "loop", "/dev/zero", "\x00", "x" * 5_000):
        with pytest.raises(DataError, match="cannot be read"):
            read_bytes(path, LIMIT)
    with pytest.raises(MissingError, match="no such file"):
        read_bytes(tmp_path / "nothing", LIMIT)


def test_a_file_larger_than_its_kind_can_be_is_not_read(tmp_path):
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # all of it a hole
    with pytest.raises(DataError, match="is larger than"):
        read_bytes(path, LIMIT)

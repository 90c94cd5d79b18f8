"""Texts as they are compared: folded, cut into words or characters, numbers as they may be said."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.corpus.text_units import by_character, parts, spoken, weight


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("今天天气很好，我们去公园。", "今 天 天 气 很 好 我 们 去 公 园"),  # noqa: RUF001
        ("カタカナとﾊﾝｶｸ、ー", "カ タ カ ナ と ハ ン カ ク ー"),
        ("我用Python写20行", "我 用 python 写 20 行"),
        ("สวัสดี", "ส วั ส ดี"),
        ("ສະບາຍດີ", "ສ ະ ບ າ ຍ ດີ"),
        ("ជំរាបសួរ", "ជំ រា ប សួ រ"),
        ("မင်္ဂလာပါ", "မ င်္ ဂ လာ ပါ"),
        ("한국어 텍스트", "한국어 텍스트"),
        ("हिन्दी में", "हिन्दी में"),
        ("ＦＵＬＬ　Ｗｉｄｔｈ", "full width"),  # noqa: RUF001
        ("Straße, STRASSE; ﬁn", "strasse strasse fin"),
        ("e\u0301te\u0301 \u00e9t\u00e9", "été été"),
        ("«Ça» — “va”… ¿no? 「はい」", "ça va no は い"),
        ("soft\u00adhyphen zero\u200bwidth\ufeff", "softhyphen zerowidth"),
        ("It’s ‘so’ o`clock", "it's so o'clock"),  # noqa: RUF001
    ],
)  # fmt: skip
def test_a_text_is_cut_into_words_or_characters_by_its_script(text, units):
    assert spoken(text) == unicodedata.normalize("NFC", units)


@given(st.text())
def test_what_is_folded_stays_as_it_is(text):
    assert spoken(spoken(text)) == spoken(text)


@given(st.text(alphabet="今日は20 aé,.$%:3pm'ก็", max_size=30))
def test_what_is_folded_of_several_scripts_stays_as_it_is(text):
    assert spoken(spoken(text)) == spoken(text)


@pytest.mark.parametrize(
    ("text", "characters", "words"),
    [
        ("今天天气很好", True, 3), ("こんにちは", True, 2.5), ("สวัสดี", True, 1),
        ("one two three", False, 3), ("한국어 텍스트", False, 2), ("", False, 0),
        ("Python 好", False, 1.5),
    ],
)  # fmt: skip
def test_which_units_are_characters_and_how_many_words_they_are_worth(text, characters, words):
    assert by_character(spoken(text)) == characters
    assert weight(spoken(text)) == words


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("20", "twenty"), ("3 pm", "three p m"), ("3pm", "three p.m."), ("$5", "five dollars"),
        ("$1", "one dollar"), ("£5.50", "five pounds fifty"), ("$0.99", "zero dollars ninety nine"),
        ("50%", "fifty per cent"), ("1,250", "one thousand two hundred and fifty"),
        ("1999", "nineteen ninety-nine"), ("2005", "two thousand and five"),
        ("2005", "twenty oh five"), ("417", "four one seven"), ("417", "four seventeen"),
        ("007", "oh oh seven"), ("3:30", "three thirty"), ("3:05", "three oh five"),
        ("3:00", "three o'clock"), ("21st", "twenty-first"), ("12th", "twelfth"),
        ("20th", "twentieth"), ("3.5", "three point five"), ("10000000", "ten million"),
        ("٢٠", "twenty"), ("1900", "nineteen hundred"), ("€2.01", "two euros and one cent"),
        ("£0.02", "zero pounds and two pence"),
    ],
)  # fmt: skip
def test_a_number_may_be_said_in_several_ways(written, said):
    ways = [""]
    for part in parts(written):
        ways = [f"{before} {way}".strip() for before in ways for way in part.ways]
    assert spoken(said) in ways


@pytest.mark.parametrize("text", ["I am here", "mp3 b2b", "the pm said", "20 美元"])
def test_what_is_no_english_number_has_one_reading(text):
    assert all(len(part.ways) == 1 for part in parts(text))

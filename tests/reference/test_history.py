from base64 import b64decode

from bench.protocol.objects import Item, Part
from bench.reference.conversation_items import MOST_AUDIO, ConversationItems
from bench.reference.voices import Reply, Speech
from bench.voice.audio import PCM16_24K, ms


def spoken_by_user(item_id):
    part = Part(type="input_audio", transcript=None)
    return Item(id=item_id, type="message", role="user", content=[part])


def test_old_audio_is_forgotten_beyond_the_bound_and_the_last_item_never():
    items = ConversationItems()
    for name in ("a", "b", "c"):
        items.add(spoken_by_user(name))
        items.record(name, bytes(MOST_AUDIO // 2 + 2), PCM16_24K)
    assert items.whole(items.find("b")).content[0].audio is None
    assert len(b64decode(items.whole(items.find("c")).content[0].audio)) == MOST_AUDIO // 2 + 2
    items.add(spoken_by_user("d"))
    items.record("d", bytes(2 * MOST_AUDIO), PCM16_24K)
    assert items.whole(items.find("d")).content[0].audio
    assert items.whole(items.find("c")).content[0].audio is None


def test_a_transcript_reaches_the_item_it_belongs_to():
    items = ConversationItems()
    items.add(spoken_by_user("a"))
    items.heard("a", "hello")
    items.heard("gone", "hello")
    assert items.find("a").content[0].transcript == "hello"


def test_speech_is_silence_then_voice_whatever_part_is_asked_for():
    whole = Speech.of(Reply(bytes(range(1, 201)) * 480, "x"), PCM16_24K, ms(50), None)
    audio = whole.part(0, whole.nbytes)
    assert len(audio) == whole.nbytes
    assert audio == bytes(PCM16_24K.nbytes(ms(50))) + whole.reply.audio
    for start in range(0, whole.nbytes, 700):
        assert whole.part(start, start + 700) == audio[start : start + 700]


def test_a_filler_comes_first_and_padding_last_wherever_it_is_cut():
    whole = Speech.of(
        Reply(bytes(range(1, 201)) * 48, "x"),
        PCM16_24K,
        ms(5),
        None,
        filler=b"\x07" * 960,
        padding_ns=ms(10),
    )
    silence, padding = bytes(PCM16_24K.nbytes(ms(5))), bytes(PCM16_24K.nbytes(ms(10)))
    audio = b"\x07" * 960 + silence + whole.reply.audio + padding
    assert whole.nbytes == len(audio)
    for size in (100, 961, 5000):
        pieces = [whole.part(at, at + size) for at in range(0, len(audio), size)]
        assert b"".join(pieces) == audio


def test_what_is_cut_off_is_not_padded():
    whole = Speech.of(Reply(bytes(48_000), "x"), PCM16_24K, 0, ms(500), padding_ns=ms(10))
    assert whole.nbytes == PCM16_24K.nbytes(ms(500))


def test_it_is_the_users_turn_after_the_users_word_alone():
    items = ConversationItems()
    assert not items.is_users_turn
    items.add(spoken_by_user("a"))
    assert items.is_users_turn
    items.add(Item(id="s", type="message", role="system", content=[]))
    assert items.is_users_turn
    items.add(Item(id="b", type="message", role="assistant", content=[]))
    assert not items.is_users_turn
    items.add(spoken_by_user("front"), "root")
    assert not items.is_users_turn
    items.add(Item(id="c", type="function_call_output", call_id="x", output="y"))
    assert not items.is_users_turn


def test_items_keep_their_order_whatever_is_put_between_them():
    items = ConversationItems()
    for name, after in (("b", None), ("d", None), ("a", "root"), ("c", "b"), ("e", "d")):
        items.add(spoken_by_user(name), after)
    assert list(items._items) == ["a", "b", "c", "d", "e"]
    assert items.last_id == "e"
    items.delete("e")
    assert items.last_id == "d"


def test_words_put_together_are_the_text():
    assert "".join(Reply(b"", "Thank you  for calling.").words) == "Thank you for calling."

from base64 import b64decode

from bench.protocol.objects import Item, Part
from bench.reference.conversation_items import MOST_AUDIO, ConversationItems
from bench.voice.audio import PCM16_24K


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

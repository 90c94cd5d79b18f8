"""Credentials that a peer says back, taken out of a text before it is written or shown.

Theory of operation
-------------------
A server may repeat what it was sent: in an error, a header, a page, an item. Nobody knows in which
spelling, so every character of a credential is looked for as itself, percent-encoded, escaped as in
JSON or as an entity of HTML, once or several times over; and the whole also as Base64, wherever in
an encoded text it begins. A long credential that was cut off is found by its first quarter.

Looking costs next to nothing where nothing is found: each spelling has a part that no encoding
changes (`needles`), and only a text that holds one of those is looked at by its characters.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, Final

from bench.protocol.credentials import SHORTEST

MASK: Final = "[credential]"
_LONG: Final = 16
"""Characters from which on a credential is known by its beginning."""
_LEAST: Final = 8
_REMEMBERED: Final = 4096
"""Characters of a text that are remembered for the piece that comes next."""
_UNCHANGED: Final = re.compile(r"[A-Za-z0-9._~-]+")
"""What no encoding of URLs, JSON or HTML changes."""
_ENTITIES: Final = {"&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos"}
_OTHER_ALPHABET: Final = {"+": "-", "/": "_"}
"""Base64 in URLs."""


class Secrets:
    """Values that may not be written. Without any, everything is left as it is."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        # "Bearer abc" may be said back as a whole, or without its first word.
        told = [part for value in values for part in (value, value.rpartition(" ")[2])]
        forms = dict.fromkeys(
            form for value in told if len(value) >= SHORTEST for form in _forms(value)
        )
        # Of two that begin alike the longer is the one that is there.
        self._forms = sorted(forms, key=len, reverse=True)
        needles = [_needle(form) for form in self._forms]
        self._always = not all(needles)
        self._needles = [needle.encode() for needle in dict.fromkeys(needles)]
        spelt = (f"({''.join(map(_spelt, form[: _least(form)]))})" for form in self._forms)
        self._pattern = re.compile("|".join(spelt))

    def __bool__(self) -> bool:
        return bool(self._forms)

    def may_be_in(self, data: bytes) -> bool:
        """Whether it is worth looking closer; False is certain."""
        return any(needle in data for needle in self._needles) or (self._always and bool(self))

    def hide(self, text: str, before: str = "") -> str:
        """The text without them; it goes on from `before`, which was said earlier."""
        whole = before + text
        if not self or not self.may_be_in(whole.encode("utf-8", "surrogatepass")):
            return text
        kept, at = [], len(before)
        for begin, end in self._found(whole):
            if end > at:
                kept += [whole[at:begin], MASK]
                at = end
        return "".join((*kept, whole[at:]))

    def _found(self, text: str) -> Iterator[tuple[int, int]]:
        """Where each of them begins and ends."""
        at = 0
        while found := self._pattern.search(text, at):
            form, at = self._forms[(found.lastindex or 1) - 1], found.end()
            for character in form[_least(form) :]:
                if (more := re.compile(_spelt(character)).match(text, at)) is None:
                    break
                at = more.end()
            yield found.start(), at

    def hide_all(self, value: Any) -> Any:
        """The same of a document: every text in it, keys included."""
        if isinstance(value, str):
            return self.hide(value)
        if isinstance(value, dict):
            return {self.hide_all(key): self.hide_all(one) for key, one in value.items()}
        if isinstance(value, tuple) and hasattr(value, "_make"):
            return type(value)._make(map(self.hide_all, value))
        if isinstance(value, list | tuple):
            return type(value)(map(self.hide_all, value))
        return value


class Piecewise:
    """The same for texts that a peer sends piece by piece: none of them alone may hold enough."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._before: dict[str, str] = {}

    def hide(self, kind: str, text: str) -> str:
        """The next piece of a kind of text, without what a credential has of it."""
        before = self._before.get(kind, "")
        self._before[kind] = (before + text)[-_REMEMBERED:]
        return self._secrets.hide(text, before)


def _forms(value: str) -> Iterable[str]:
    """A value as such, in Base64 beginning at any of its three places, and read as Base64."""
    yield value
    data = value.encode()
    for before in range(3):
        coded = b64encode(bytes(before) + data).decode()
        whole = (before + len(data)) * 8 // 6  # what comes after decides the rest
        if len(part := coded[(0, 2, 3)[before] : whole]) >= SHORTEST:
            yield part
    try:
        read = b64decode(value, validate=True).decode("ascii")
    except ValueError:
        return
    secret = read.partition(":")[2] or read  # what stands before it is a name
    if read.isprintable() and len(secret) >= SHORTEST:
        yield secret


def _least(form: str) -> int:
    """How many of its characters are enough to know it by."""
    return len(form) if len(form) < _LONG else max(_LEAST, len(form) // 4)


def _needle(form: str) -> str:
    """The longest part of what must be there that stays the same in every spelling."""
    return max(_UNCHANGED.findall(form[: _least(form)]), key=len, default="")


@cache
def _spelt(character: str) -> str:
    """A pattern of one character in any spelling."""
    code = ord(character)
    ways = [
        re.escape(character),
        f"%(?:25){{0,4}}(?i:{code:02x})",
        f"u00(?i:{code:02x})",
        f"&#0{{0,6}}{code};",
        f"&#[xX]0{{0,6}}(?i:{code:x});",
    ]
    if character in _ENTITIES:
        ways.append(f"&{_ENTITIES[character]};")
    if character in _OTHER_ALPHABET:
        ways.append(re.escape(_OTHER_ALPHABET[character]))
    # Bounded, for a server may send a million backslashes.
    return rf"\\{{0,8}}(?:{'|'.join(ways)})"

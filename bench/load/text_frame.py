"""A text message as one WebSocket frame: the short way that every chunk goes."""

import secrets

from websockets.frames import apply_mask  # type: ignore[attr-defined]

_keys: list[bytes] = []


def _mask_key() -> bytes:
    """A fresh key for every frame, as RFC 6455 asks; the kernel is asked for a thousand at once.

    Threads may share it: a list gives each of its entries once.
    """
    try:
        return _keys.pop()
    except IndexError:
        pool = secrets.token_bytes(4096)
        _keys.extend(pool[at : at + 4] for at in range(4, len(pool), 4))
        return pool[:4]


def text_frame(payload: bytes) -> bytes:
    """One unfragmented masked text frame (RFC 6455, section 5.2)."""
    size, key = len(payload), _mask_key()
    if size < 126:
        head = bytes((0x81, 0x80 | size))
    elif size < 65_536:
        head = b"\x81\xfe" + size.to_bytes(2)
    else:
        head = b"\x81\xff" + size.to_bytes(8)
    return b"".join((head, key, apply_mask(payload, key)))

"""Places for labels beside points so that none covers another, worked out before anything is drawn.

Theory of operation
-------------------
The page draws figures as wide as their box, so a label must be clear of others on a phone and on a
desk alike. Every label tries the same places around its point, near ones first; a place is taken if
it is inside the figure and touches no label at any of the widths, and the cheapest of those wins:
short leaders, few lines crossed. A label that fits nowhere gets no place, and the caller says its
name another way. All lengths are CSS pixels, y downwards.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

_LINE_HEIGHT: Final = 17.0
_CHARACTER: Final = 6.9  # the mean width of a character at 12 px, rounded up
_STEPS: Final = 8  # pieces of a leader
_MARK: Final = 9.0  # half of the room that a point takes


class Box(NamedTuple):
    """A rectangle."""

    left: float
    top: float
    right: float
    bottom: float

    def touches(self, other: "Box") -> bool:
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )


class Place(NamedTuple):
    """Where a label goes: pixels from its point, and which of its sides is there.

    `whole` says whether it is the whole text or only what it is short for.
    """

    right: float
    down: float
    anchor: str
    whole: bool = True


class Spot(NamedTuple):
    """A point to label, as shares of the figure's width and height from its top left.

    `short` stands for `text` where that fits nowhere.
    """

    across: float
    down: float
    text: str
    short: str = ""


class Line(NamedTuple):
    """An upright or level line that labels had better not cross; ends as shares, as in `Spot`."""

    across: tuple[float, float]
    down: tuple[float, float]


def places(
    spots: Sequence[Spot],
    lines: Sequence[Line],
    *,
    widths: Sequence[float],
    height: float,
    taken: Sequence[Box] = (),
) -> list[Place | None]:
    """A place for each spot's label, or None; in the order of `spots`.

    `taken` are boxes at the first width that stay clear at every width.
    """
    done: list[list[Box]] = [list(taken) for _ in widths]
    found: list[Place | None] = []
    for spot in spots:
        tried = spot
        best = _best(spot, spots, lines, widths, height, done)
        if best is None and spot.short:
            tried = spot._replace(text=spot.short)
            best = _best(tried, spots, lines, widths, height, done)
        found.append(best and best._replace(whole=tried is spot))
        if best:
            for boxes, width in zip(done, widths, strict=True):
                boxes.append(_box(tried, best, width, height))
                boxes.extend(_leader(tried, best, width, height))
    return found


def _best(
    spot: Spot,
    spots: Sequence[Spot],
    lines: Sequence[Line],
    widths: Sequence[float],
    height: float,
    done: Sequence[Sequence[Box]],
) -> Place | None:
    """The cheapest place for one label; None where there is none."""
    best: tuple[float, Place] | None = None
    for place in _tries():
        cost = _cost(spot, place, spots, lines, widths, height, done)
        if cost is not None and (best is None or cost < best[0]):
            best = cost, place
    return best[1] if best else None


def _tries() -> list[Place]:
    """The places around a point, those that cost least first."""
    near = [Place(12, 0, "left"), Place(-12, 0, "right")]
    around = []
    for step in (18, 32, 48, 66, 86, 110, 136):
        for down in (-step, step):
            around += [
                Place(12, down, "left"),
                Place(-12, down, "right"),
                Place(0, down, "center"),
                Place(0.8 * step, down, "left"),
                Place(-0.8 * step, down, "right"),
                Place(50, 0.6 * down, "left"),
                Place(90, 0.4 * down, "left"),
            ]
    return near + around


def _cost(
    spot: Spot,
    place: Place,
    spots: Sequence[Spot],
    lines: Sequence[Line],
    widths: Sequence[float],
    height: float,
    done: Sequence[Sequence[Box]],
) -> float | None:
    """What a place costs over all widths; None where it cannot be had at one of them."""
    cost = 0.0
    for width, boxes in zip(widths, done, strict=True):
        box = _box(spot, place, width, height)
        if box.left < 0 or box.right > width or box.top < 0 or box.bottom > height:
            return None
        if any(box.touches(other) for other in boxes):
            return None
        if any(box.touches(_mark(other, width, height)) for other in spots):
            return None
        crossed = sum(box.touches(_stroke(line, width, height)) for line in lines)
        cost += min(crossed, 3)
        leader = _leader(spot, place, width, height)
        cost += 8.0 * any(part.touches(other) for part in leader for other in boxes)
    away = abs(place.right) + 1.4 * abs(place.down)
    return cost + away / 24.0 + (place.anchor != "left") * 0.3


def _box(spot: Spot, place: Place, width: float, height: float) -> Box:
    long = _CHARACTER * len(spot.text) + 4
    x, y = spot.across * width + place.right, spot.down * height + place.down
    left = {"left": x, "right": x - long, "center": x - long / 2}[place.anchor]
    return Box(left, y - _LINE_HEIGHT / 2, left + long, y + _LINE_HEIGHT / 2)


def _leader(spot: Spot, place: Place, width: float, height: float) -> list[Box]:
    """The line from a point to its label, as small boxes from the edge of the point's mark on."""
    x, y = spot.across * width, spot.down * height
    long = max(abs(place.right), abs(place.down))
    if long <= 2 * _MARK:
        return []
    steps = [step / _STEPS for step in range(_STEPS) if step * long / _STEPS > _MARK]
    return [
        Box(x + place.right * at - 1, y + place.down * at - 1,
            x + place.right * at + 1, y + place.down * at + 1)
        for at in steps
    ]  # fmt: skip


def _mark(spot: Spot, width: float, height: float) -> Box:
    x, y = spot.across * width, spot.down * height
    return Box(x - _MARK, y - _MARK, x + _MARK, y + _MARK)


def _stroke(line: Line, width: float, height: float) -> Box:
    x = sorted(share * width for share in line.across)
    y = sorted(share * height for share in line.down)
    return Box(x[0] - 1, y[0] - 1, x[1] + 1, y[1] + 1)

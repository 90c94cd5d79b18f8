import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.report.placing import Box, Line, Spot, _box, places

WIDTHS = (256.0, 960.0)
HEIGHT = 400.0


def boxes(spots, found, width):
    return [
        _box(spot, place, width, HEIGHT) for spot, place in zip(spots, found, strict=True) if place
    ]


@pytest.mark.parametrize(
    ("one", "other", "touch"),
    [
        (Box(0, 0, 10, 10), Box(9, 9, 20, 20), True),
        (Box(0, 0, 10, 10), Box(10, 0, 20, 10), False),
        (Box(0, 0, 10, 10), Box(0, 11, 10, 20), False),
    ],
)
def test_boxes_touch_where_they_share_room(one, other, touch):
    assert one.touches(other) is touch


def test_a_lonely_label_stands_right_beside_its_point():
    (place,) = places([Spot(0.3, 0.5, "3 server_vad")], [], widths=WIDTHS, height=HEIGHT)
    assert (place.down, place.anchor) == (0, "left")


def test_a_label_at_the_right_edge_goes_to_the_left():
    (place,) = places([Spot(0.97, 0.5, "3 server_vad")], [], widths=WIDTHS, height=HEIGHT)
    assert place.anchor == "right"


def test_a_label_keeps_off_lines_where_it_can():
    line = Line((0.0, 1.0), (0.5, 0.5))
    (place,) = places([Spot(0.3, 0.5, "3 server_vad")], [line], widths=WIDTHS, height=HEIGHT)
    assert place.down != 0


def test_a_label_that_fits_nowhere_has_no_place_or_is_shortened():
    wide = "a name that is far too long for any phone, whichever way it is turned"
    assert places([Spot(0.5, 0.5, wide)], [], widths=WIDTHS, height=HEIGHT) == [None]
    (place,) = places([Spot(0.5, 0.5, wide, "7")], [], widths=WIDTHS, height=HEIGHT)
    assert not place.whole
    (place,) = places([Spot(0.5, 0.5, "seven", "7")], [], widths=WIDTHS, height=HEIGHT)
    assert place.whole


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.floats(0, 1), st.floats(0, 1), st.integers(1, 26)), min_size=1, max_size=10
    )
)
def test_no_label_covers_another_or_leaves_the_figure_on_a_phone_or_a_desk(drawn):
    spots = [Spot(across, down, "x" * long) for across, down, long in drawn]
    found = places(spots, [], widths=WIDTHS, height=HEIGHT)
    for width in WIDTHS:
        placed = boxes(spots, found, width)
        for number, box in enumerate(placed):
            assert box.left >= 0
            assert box.right <= width
            assert not any(box.touches(other) for other in placed[number + 1 :])

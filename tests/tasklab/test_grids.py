"""A grid of yes and no, in words and as a picture."""

from __future__ import annotations

import base64
import io
import re

import pytest
from PIL import Image, ImageChops

from tasklab import Grid

ROWS = {"closed before the task": ["no", "yes", "no"], "has it": ["-", "yes", "yes"]}
GRID = Grid("What changed", ["0.105", "0.106", "0.118"], ROWS)


def picture(grid: Grid) -> Image.Image:
    match = re.search(r"base64,([^\"]+)", grid._repr_html_())
    assert match
    return Image.open(io.BytesIO(base64.b64decode(match[1]))).convert("RGB")


def test_the_words_say_from_where_on_it_is_so() -> None:
    assert str(GRID).splitlines() == [
        "What changed",
        "closed before the task: no from 0.105, yes from 0.106, no from 0.118",
        "has it: - from 0.105, yes from 0.106",
    ]


def test_the_alt_text_has_every_change() -> None:
    assert 'alt="2 rows, 3 columns. What changed. closed before the task: no' in GRID._repr_html_()


def test_yes_and_no_differ_in_shape_as_well_as_in_colour() -> None:
    """The middle of a disc is filled; that of a ring is paper."""
    drawn = [picture(Grid("", ["a"], {"x": [value]})) for value in ("yes", "no")]
    differ = ImageChops.difference(*drawn).getbbox()
    assert differ
    middle = ((differ[0] + differ[2]) // 2, (differ[1] + differ[3]) // 2)

    assert [image.getpixel(middle) for image in drawn] == [(0, 114, 178), (255, 255, 255)]


def test_two_drawings_are_equal() -> None:
    assert GRID._repr_html_() == GRID._repr_html_()


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="'x' has 1 values for 2 columns; give one each"):
        Grid("", ["a", "b"], {"x": ["yes"]})


def test_another_value_is_refused() -> None:
    with pytest.raises(ValueError, match="'x' has the value 'maybe'; give 'yes', 'no' or '-'"):
        Grid("", ["a"], {"x": ["maybe"]})

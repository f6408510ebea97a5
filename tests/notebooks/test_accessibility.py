"""The pages can be listened to, and no picture or verdict tells anything by its colour alone."""

from __future__ import annotations

import itertools
import re
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from bs4 import BeautifulSoup
from nbconvert.filters import markdown2html
from PIL import Image

from autograde.notebooks import read_notebook, source_of
from autograde.reports import report_html
from tasklab import Outcome, Timeline, Verdict
from tasklab.grids import LOOKS, STRIPE, Grid
from tasklab.layouts import INK, MUTED, lay_out
from tasklab.pictures import BAND, BAR_LOOKS, DOT_LOOKS, GAP, LINES, PAPER, draw_png, measure
from tasklab.scenes import BARS, DOTS, FAILED

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("notebooks/*.ipynb", "exercises/*/*.ipynb", "solutions/*/*.ipynb")
    for path in ROOT.glob(pattern)
    if path.parent.name in {path.stem, "notebooks"}
)
# Web Content Accessibility Guidelines 2.1, 1.4.3 and 1.4.11.
TEXT, MARK = 4.5, 3.0
SAYS_NOTHING = {"", "here", "this", "this page", "link", "more", "click here", "read more"}

each_page = pytest.mark.parametrize("name", PAGES)


@cache
def page(name: str) -> BeautifulSoup:
    """What a reader gets: the prose and the outputs, in order."""
    parts = []
    for cell in read_notebook(ROOT / name)["cells"]:
        if cell["cell_type"] == "markdown":
            parts.append(markdown2html(source_of(cell)))
        parts += [shown(output.get("data", {})) for output in cell.get("outputs", [])]
    return BeautifulSoup("\n".join(parts), "html.parser")


def shown(data: dict[str, Any]) -> str:
    """The richest of the forms that an output has, as JupyterLab chooses it."""
    texts = {
        kind: value if isinstance(value, str) else "".join(value) for kind, value in data.items()
    }
    if "text/html" in texts:
        return texts["text/html"]
    if "text/markdown" in texts:
        return str(markdown2html(texts["text/markdown"]))
    return '<img src="">' if any(kind.startswith("image/") for kind in texts) else ""


def contrast(one: str, other: str) -> float:
    """The ratio of two colours, as the guidelines define it: 1 to 21."""
    darker, lighter = sorted(map(luminance, (one, other)))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    red, green, blue = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (red, green, blue)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_the_measure_is_that_of_the_guidelines() -> None:
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


# -- pages ----------------------------------------------------------------------------------------


@each_page
def test_headings_are_in_order(name: str) -> None:
    headings = page(name).find_all(re.compile("^h[1-6]$"))
    levels = [int(heading.name[1]) for heading in headings]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(deeper <= level + 1 for level, deeper in itertools.pairwise(levels))
    assert all(heading.get_text().strip("¶ ") for heading in headings)


@each_page
def test_pictures_have_words(name: str) -> None:
    """Of a timeline all that is in it, with its numbers; see tasklab/captions.py."""
    for picture in page(name).find_all("img"):
        words = str(picture.get("alt", ""))
        assert len(words) > 30, str(picture)[:200]
        assert re.search(r"\d", words), words


@each_page
def test_links_say_where_they_lead(name: str) -> None:
    targets: dict[str, str] = {}
    for link in page(name).find_all("a", href=True):
        if "anchor-link" in link.get_attribute_list("class"):
            continue  # the ¶ that nbconvert puts behind a heading
        words = " ".join(link.get_text().split()).lower()
        assert words not in SAYS_NOTHING, link
        assert not words.startswith(("http://", "https://")), link
        # A reader who lists the links of a page hears nothing else.
        assert targets.setdefault(words, str(link["href"])) == link["href"], words


@each_page
def test_tables_have_headers(name: str) -> None:
    for table in page(name).find_all("table"):
        headers = [header.get_text().strip() for header in table.find_all("th")]
        assert headers, table
        assert all(headers), headers


# -- pictures and verdicts ------------------------------------------------------------------------


GROUNDS = (PAPER, BAND, STRIPE)


@pytest.mark.parametrize("ground", GROUNDS)
def test_what_pictures_write_and_draw_stands_out(ground: str) -> None:
    for words in (INK, MUTED):
        assert contrast(words, ground) >= TEXT
    # Bars and dots have an outline in INK. The lines of the ruler only guide the eye.
    marks = [GAP, LINES["tick"][0], *(look["mec"] for look in LOOKS.values())]
    for mark in marks:
        assert contrast(mark, ground) >= MARK, mark


def test_pictures_bring_their_own_ground() -> None:
    """So they are in JupyterLab's dark theme what they are on white."""
    picture = Image.open(BytesIO(png_of(Timeline().dot("client", "asks", 0.0))))
    assert "transparency" not in picture.info
    assert picture.convert("RGBA").getpixel((0, 0)) == (255, 255, 255, 255)


def png_of(timeline: Timeline) -> bytes:
    scene = timeline._scene()
    return draw_png(scene, timeline.title)


def test_every_kind_of_bar_has_a_hatch_of_its_own_that_stands_out() -> None:
    assert set(BAR_LOOKS) == {*BARS, FAILED}
    hatches = [look.hatch for look in BAR_LOOKS.values()]
    assert len(set(hatches)) == len(hatches)
    for kind, look in BAR_LOOKS.items():
        assert not look.hatch or contrast(look.hatch_colour, look.colour) >= MARK, kind


def test_every_kind_of_dot_has_a_shape_of_its_own() -> None:
    assert set(DOT_LOOKS) == set(DOTS)
    shapes = [shape for _, shape in DOT_LOOKS.values()]
    assert len(set(shapes)) == len(shapes)


def test_every_mark_has_words_in_the_picture_and_in_its_text() -> None:
    timeline = Timeline()
    for at, kind in enumerate(BARS):
        timeline.bar(f"lane {kind}", f"what {kind} is", at, at + 1.0, kind)
    for at, kind in enumerate(DOTS):
        timeline.dot(f"lane {kind}", f"what {kind} is", at, kind)
    written = {label.text for label in lay_out(timeline._scene(), "A title", measure).labels}
    for kind in (*BARS, *DOTS):
        assert f"what {kind} is" in written
        assert f"what {kind} is" in timeline.alt_text


def test_a_grid_tells_its_values_by_shape() -> None:
    drawn = [(look["marker"], look["mfc"] == PAPER) for look in LOOKS.values()]
    assert len(set(drawn)) == len(drawn)
    grid = Grid("What holds", ["1", "2"], {"it runs": ["yes", "no"]})
    assert "it runs: yes from 1, no from 2" in grid._alt_text()


@pytest.mark.parametrize("outcome", Outcome)
def test_a_verdict_says_its_outcome_and_is_read_on_any_theme(outcome: Outcome) -> None:
    """By a sign and a word; and every colour comes with the ground that it is read on."""
    verdict = Verdict(outcome, "letter-arrives", "one letter", "two letters", "lesson 00")
    shown = verdict._repr_html_()
    assert f"{outcome.mark} {outcome.value}" in BeautifulSoup(shown, "html.parser").get_text()
    check_colours(shown)
    result = {**verdict.as_json(), "points": 0, "max_points": 1}
    following = {"said": "", "page": "notebooks/00-start-here.ipynb", "minutes": None}
    report = {"results": [result], "remarks": ["a word"], "points": 0, "max_points": 1}
    check_colours(report_html({**report, "outcome": outcome.value, "next": following}))


def test_outcomes_differ_without_their_colours() -> None:
    assert len({outcome.mark for outcome in Outcome}) == len(Outcome)


def check_colours(shown: str) -> None:
    assert 'style="' in shown
    colours = re.findall(r"(?<![-\w])color:(#[0-9a-f]{6})", shown)
    grounds = re.findall(r"background:(#[0-9a-f]+)", shown)
    assert colours
    assert set(grounds) == {"#fff"}
    for colour in colours:
        assert contrast(colour, "#ffffff") >= TEXT, colour
    for link in BeautifulSoup(shown, "html.parser").find_all("a"):
        assert "color:#" in str(link.get("style", "")), link

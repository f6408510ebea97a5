"""The geometry and the looks of a timeline, on what is really drawn."""

from __future__ import annotations

import itertools
import random
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import matplotlib as mpl
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from tasklab import Timeline
from tasklab.layouts import HIGHEST, INK, MUTED, Label, Layout, Shape, lay_out
from tasklab.pictures import (
    BAND,
    BAR_LOOKS,
    DOT_LOOKS,
    DPI,
    PAPER,
    draw,
    draw_png,
    draw_svg,
    measure,
    measure_png,
    plain_settings,
)
from tasklab.rulers import WIDTH
from tasklab.scenes import BARS, DOTS, FAILED, Scene

if TYPE_CHECKING:
    from matplotlib.transforms import Bbox, BboxBase

OKABE_ITO = {
    "#000000", "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7",
}  # fmt: skip


def letters(timeline: Timeline, number: int, *, apart: float = 0.02, last: float = 2.0) -> Timeline:
    for n in range(number):
        timeline.bar("mailroom", f"letter to reader{n}", 0.1 + apart * n, 0.1 + last + apart * n)
    return timeline


def beats(timeline: Timeline, end: float, *silences: tuple[float, float]) -> Timeline:
    times = [0.05 * n - 0.2 for n in range(int((end + 0.2) / 0.05))]
    heard = [at for at in times if not any(a < at < b for a, b in silences)]
    return timeline.beats("event loop", heard)


def held() -> Timeline:
    return letters(Timeline("Twelve letters in flight at once"), 12)


def blocked() -> Timeline:
    timeline = Timeline("The loop was deaf for 2.0 s").bar("client", "POST /issues: 202", 0, 0.02)
    for at in (0.3, 0.6, 0.9):
        timeline.bar("client", "GET /health: 200 after {seconds}", at, 2.1)
    timeline.bar("event loop", "requests.post", 0.1, 2.1, kind="blocking")
    return beats(letters(timeline, 1), 2.6, (0.1, 2.1))


def killed() -> Timeline:
    timeline = Timeline("Worker 4711 was killed after 2.0 s of silence")
    timeline.bar("client", "POST /issues: 202", 0, 0.02).bar("client", "GET /health", 1.0)
    timeline.bar("worker 4711", "alive", 0, 2.1).dot("worker 4711", "killed", 2.1, kind="exit")
    return timeline.dot("worker 4790", "started", 2.3, kind="start").bar(
        "worker 4790", "alive", 2.3
    )


def nothing() -> Timeline:
    return Timeline().lane("mailroom", empty="no letter arrived")


def long_labels() -> Timeline:
    timeline = Timeline("A title that goes on " * 20)
    for start, end in ((0.0, 0.1), (0.5, 1.5), (1.9, 2.0), (1.0, 1.1)):
        timeline.bar("client", f"from {start}: a label that never seems to stop " * 4, start, end)
        timeline.dot("a lane with a name that is far too long to be read", "long " * 30, start)
    return timeline


def strange_words() -> Timeline:
    timeline = Timeline("Zeit: {{gap}} $x_1$ \\alpha").bar("client", "line\nbreak\ttab", 0, 1)
    return timeline.dot("mailroom", "日本語 and $2^3$", 0.5).dot("mailroom", "", 0.7)


def stuttering() -> Timeline:
    return beats(Timeline("Twenty gaps"), 40, *((2 * n, 2 * n + 0.5) for n in range(20)))


def torture() -> Timeline:
    chance = random.Random(7)
    timeline = stuttering()
    lanes = [f"worker {n}" for n in range(9)] + [f"queue {n}" for n in range(9)]
    lanes += [f"client {n}" for n in range(4)] + ["event loop", "thread pool", "mailroom"]
    for lane in lanes:
        timeline.beats(lane, [0.0, 0.05, 30.0, 40.0])
        for kind in BARS:
            for _ in range(4):
                start = chance.uniform(0, 40)
                end = chance.choice([None, start + chance.expovariate(0.5)])
                timeline.bar(lane, "word " * chance.randint(1, 9), start, end, kind)
        for kind in DOTS:
            timeline.dot(lane, f"{kind} of {lane}", chance.uniform(0, 40), kind)
    return timeline


def scattered(seed: int) -> Timeline:
    chance = random.Random(seed)
    timeline = Timeline("Whatever happens" * chance.randint(1, 9))
    span = chance.choice([0.01, 0.3, 1.7, 3.0, 45.0])
    for _ in range(chance.randint(1, 30)):
        lane = chance.choice(["client", "event loop", "thread pool", "worker 4711", "mailroom"])
        label = "abc WWW iii. " * chance.randint(1, 5)
        start = chance.uniform(0, span)
        if chance.random() < 0.6:
            timeline.bar(lane, label, start, chance.choice([None, chance.uniform(start, span)]))
        else:
            timeline.dot(lane, label, start, chance.choice(list(DOTS)))
    return timeline


SCENES: list[Callable[[], Timeline]] = [
    held, blocked, killed, nothing, long_labels, strange_words, stuttering, torture,
]  # fmt: skip
each_scene = pytest.mark.parametrize("build", SCENES, ids=lambda build: build.__name__)


def arrange(timeline: Timeline) -> tuple[Scene, str]:
    return timeline._scene(), timeline.title


def place(timeline: Timeline) -> Layout:
    scene, title = arrange(timeline)
    with plain_settings():
        return lay_out(scene, title, measure)


def drawn_texts(timeline: Timeline) -> tuple[BboxBase, list[tuple[str, Bbox]]]:
    """Return the edge of the picture, and each text with the box it really takes, in pixels."""
    with plain_settings():
        figure = draw(*arrange(timeline))
        figure.set_dpi(DPI)
        assert isinstance(figure.canvas, FigureCanvasAgg)
        renderer = figure.canvas.get_renderer()  # type: ignore[no-untyped-call]
        texts = [
            (text.get_text(), text.get_window_extent(renderer)) for text in figure.axes[0].texts
        ]
        return figure.bbox, [(words, box) for words, box in texts if words]


def overlap(one: Label | Shape, other: Label | Shape) -> bool:
    apart = 1e-6
    return (
        one.x < other.right - apart
        and other.x < one.right - apart
        and one.y < other.y + other.height - apart
        and other.y < one.y + one.height - apart
    )


def assert_readable(timeline: Timeline) -> None:
    edge, texts = drawn_texts(timeline)
    assert texts
    for words, box in texts:
        assert edge.x0 <= box.x0 <= box.x1 <= edge.x1, words
        assert edge.y0 <= box.y0 <= box.y1 <= edge.y1, words
    for (one, box), (other, another) in itertools.combinations(texts, 2):
        # A drawn box has room for accents, which the lines above and below may share.
        across = min(box.x1, another.x1) - max(box.x0, another.x0)
        along = min(box.y1, another.y1) - max(box.y0, another.y0)
        assert across <= 1 or along <= 3, f"{one!r} on {other!r}"


# -- geometry -------------------------------------------------------------------------------------


@each_scene
def test_no_text_is_on_another_or_cut_off(build: Callable[[], Timeline]) -> None:
    assert_readable(build())


@pytest.mark.parametrize("seed", range(25))
def test_nor_in_whatever_happens(seed: int) -> None:
    assert_readable(scattered(seed))


@each_scene
def test_the_planned_boxes_are_apart_and_as_wide_as_the_drawn(
    build: Callable[[], Timeline],
) -> None:
    layout = place(build())
    for one, other in itertools.combinations(layout.labels, 2):
        assert not overlap(one, other), f"{one.text!r} on {other.text!r}"
    pixels = DPI / 2.54 * layout.scale
    planned = [label for label in layout.labels if label.text.strip()]
    for label, (words, box) in zip(planned, drawn_texts(build())[1], strict=True):
        assert box.width <= label.width * pixels + 2, words


@each_scene
def test_a_label_is_on_its_bar_on_a_panel_or_on_no_bar(build: Callable[[], Timeline]) -> None:
    layout = place(build())
    bars = [shape for shape in layout.shapes if shape.kind in BARS]
    for label in layout.labels:
        under = [bar for bar in bars if overlap(label, bar)]
        assert bool(under) == label.is_boxed, label.text
        assert all(bar.x < label.x and label.right < bar.right for bar in under), label.text


@each_scene
def test_the_picture_is_at_most_ten_centimetres_tall(build: Callable[[], Timeline]) -> None:
    png = draw_png(*arrange(build()))
    width, height = struct.unpack(">II", png[16:24])
    assert height / DPI * 2.54 <= HIGHEST + 0.05
    assert width / DPI * 2.54 <= WIDTH + 0.05
    assert measure_png(png) == (round(width / 2), round(height / 2))


def test_a_crowd_shares_one_label_and_shows_every_mark() -> None:
    layout = place(held())
    assert "12 letters, longest 2.0 s" in [label.text for label in layout.labels]
    assert len({shape.y for shape in layout.shapes if shape.kind == "letter"}) == 12


def test_a_gap_is_seen_labelled_and_without_a_tick() -> None:
    layout = place(blocked())
    (gap,) = [shape for shape in layout.shapes if shape.kind == "gap"]
    (band,) = [shape for shape in layout.shapes if shape.kind == "band"]
    (label,) = [label for label in layout.labels if label.text.startswith("no beat for 2.")]
    ticks = [shape.x for shape in layout.shapes if shape.kind == "tick"]
    assert gap.x < label.x < label.right < gap.right
    assert (band.x, band.width) == (gap.x, gap.width)
    assert [x for x in ticks if gap.x < x < gap.right] == []
    assert min(ticks) < gap.x < gap.right < max(ticks)


def test_a_bar_without_an_end_reaches_the_edge_with_a_tip() -> None:
    open_bars = [shape for shape in place(killed()).shapes if shape.is_open]
    assert [bar.kind for bar in open_bars] == ["request", "process"]
    assert {bar.right for bar in open_bars} == {max(shape.right for shape in open_bars)}


def rows_of(layout: Layout, *labels: str) -> list[float]:
    return [label.y for text in labels for label in layout.labels if label.text.startswith(text)]


def test_what_came_later_is_never_higher() -> None:
    """Grace's label is to the left of her bar, and begins before Alan's bar does."""
    timeline = Timeline("Each in turn")
    for n, name in enumerate(("ada", "alan", "grace")):
        timeline.bar("mailroom", f"letter to {name}: 202 after 0.6 s", 0.6 * n, 0.6 * n + 0.6)
    letters = [shape for shape in place(timeline).shapes if shape.kind == "letter"]
    letters.sort(key=lambda shape: shape.x)
    assert [shape.y for shape in letters] == sorted({shape.y for shape in letters})


def test_a_handful_of_requests_is_read_from_top_to_bottom() -> None:
    timeline, asked = Timeline("One after another"), "abcdef"
    for n, name in enumerate(asked):
        timeline.bar("client", f"{name}: POST /readers: 202", 0.02 * n, 0.02 * n + 0.01)
    rows = rows_of(place(timeline), *(f"{name}: " for name in asked))
    assert rows == sorted(set(rows))
    assert len(rows) == len(asked)


# -- looks ----------------------------------------------------------------------------------------


def test_each_kind_has_a_hatch_or_a_shape_of_its_own() -> None:
    assert BAR_LOOKS.keys() == BARS.keys() | {FAILED}
    assert DOT_LOOKS.keys() == DOTS.keys()
    assert len({look.hatch for look in BAR_LOOKS.values()}) == len(BAR_LOOKS)
    assert len({marker for _, marker in DOT_LOOKS.values()}) == len(DOT_LOOKS)


@dataclass
class Letter:
    to: str
    arrived: float
    answered: float | None
    status: int | None
    hung_up: float | None = None


@dataclass
class Answer:
    status: int | None
    received: float | None = 0.2
    error: Exception | None = None
    sent: float = 0.0
    method: str = "GET"
    path: str = "/health"


@pytest.mark.parametrize(
    ("evidence", "look", "words"),
    [
        (Letter("ada", 0.0, 1.0, 202), "letter", "letter to ada: 202 after 1.0 s"),
        (Letter("ada", 0.0, None, None), "letter", "letter to ada: still in flight after"),
        (Letter("ada", 0.0, 1.0, 503), FAILED, "letter to ada: 503 after 1.0 s"),
        (Letter("ada", 0.0, 1.0, 0), FAILED, "letter to ada: hung up after 1.0 s"),
        (Letter("ada", 0.0, 1.0, 499), FAILED, "letter to ada: 499, the app hung up after 1.0 s"),
        (
            Letter("ada", 0.0, 1.0, 499, hung_up=0.4),
            FAILED,
            "letter to ada: 499, the app hung up after 0.4 s",
        ),
        (
            Letter("ada", 0.0, None, None, hung_up=0.4),
            FAILED,
            "letter to ada: 499, the app hung up after 0.4 s",
        ),
        (Answer(200), "request", "GET /health: 200 after 0.2 s"),
        (Answer(404), FAILED, "GET /health: 404 after 0.2 s"),
        (Answer(500), FAILED, "GET /health: 500 after 0.2 s"),
        (Answer(None, None), "request", "GET /health: no answer for"),
        (Answer(None, None, OSError("x")), FAILED, "GET /health: no answer, connection lost"),
    ],
)
def test_what_was_refused_does_not_look_like_a_success(
    evidence: Letter | Answer, look: str, words: str
) -> None:
    layout = place(Timeline("One").add(evidence))
    assert [shape.kind for shape in layout.shapes if shape.kind in BAR_LOOKS] == [look]
    assert [label.text for label in layout.labels if label.text.startswith(words)]


def test_a_bar_of_ones_own_can_have_failed() -> None:
    timeline = Timeline("Two").bar("mail", "lost", 0, 1, "letter", failed=True)
    layout = place(timeline.bar("mail", "sent", 1, 2, "letter"))
    assert [shape.kind for shape in layout.shapes if shape.kind in BAR_LOOKS] == [FAILED, "letter"]


def test_a_refusal_is_seen_in_a_crowd_too() -> None:
    crowd = [Letter("ada", 0.0, 1.0 + n / 40, 503 if n == 7 else 202) for n in range(40)]
    kinds = [shape.kind for shape in place(Timeline("Forty").add(crowd)).shapes]
    assert (kinds.count("letter"), kinds.count(FAILED)) == (39, 1)


def test_colours_can_be_told_apart_by_the_colour_blind() -> None:
    colours = [look.colour.lower() for look in BAR_LOOKS.values()]
    assert len(set(colours)) == len(colours)
    assert {*colours, *(colour.lower() for colour, _ in DOT_LOOKS.values())} <= OKABE_ITO


def luminance(colour: str) -> float:
    channels = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("paper", [PAPER, BAND])
@pytest.mark.parametrize("ink", [INK, MUTED])
def test_text_stands_out_from_what_it_is_on(ink: str, paper: str) -> None:
    """WCAG 2.2 asks for 4.5 in text of this size."""
    assert (luminance(paper) + 0.05) / (luminance(ink) + 0.05) >= 4.5


def test_a_hatch_can_be_seen_in_grey() -> None:
    """WCAG 2.2 asks for 3 in graphics."""
    for look in BAR_LOOKS.values():
        if look.hatch:
            light, dark = sorted(map(luminance, (look.colour, look.hatch_colour)), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 3, look


@each_scene
def test_texts_have_the_colours_that_were_measured(build: Callable[[], Timeline]) -> None:
    assert {label.colour for label in place(build()).labels} <= {INK, MUTED}


# -- files ----------------------------------------------------------------------------------------


@each_scene
def test_two_drawings_are_equal_and_small(build: Callable[[], Timeline]) -> None:
    scene, title = arrange(build())
    png = draw_png(scene, title)
    assert png == draw_png(*arrange(build()))
    # A notebook keeps it in base64. The crowded scene is larger than any in a lesson.
    assert len(png) * 4 / 3 < (80_000 if build is torture else 60_000)


def test_a_second_run_with_other_hundredths_looks_the_same() -> None:
    """Times that round to the same tenth give the same bytes."""

    def run(late: float) -> Timeline:
        timeline = Timeline("Deaf for {longest_gap}").bar("client", "POST", 0, 0.3 + late)
        timeline.bar("mailroom", "letter", 0.1 + late, 2.1 + late).dot(
            "client", "hung up", 1 - late
        )
        heard = [0.1 * n for n in range(-2, 30) if not 1 < n < 21]
        return timeline.beats("event loop", [at + late for at in heard])

    assert draw_png(*arrange(run(0.0))) == draw_png(*arrange(run(0.02)))


def test_the_svg_has_no_date_and_no_chance_in_it() -> None:
    scene, title = arrange(blocked())
    svg = draw_svg(scene, title, "Deaf")
    assert svg == draw_svg(scene, title, "Deaf")
    assert b"dc:date" not in svg
    assert b"Matplotlib" not in svg


def test_a_style_chosen_in_the_notebook_changes_nothing_and_stays() -> None:
    scene, title = arrange(blocked())
    plain = draw_png(scene, title)
    with mpl.rc_context({"font.size": 30, "lines.linewidth": 9, "path.sketch": (9, 9, 9)}):
        assert draw_png(scene, title) == plain
        assert mpl.rcParams["font.size"] == 30


def test_ten_thousand_letters_are_still_a_small_picture() -> None:
    timeline = letters(Timeline(), 10_000, apart=0.0005)
    layout = place(timeline)
    assert "10000 letters, longest 2.0 s" in [label.text for label in layout.labels]
    assert len(layout.shapes) < 500


def test_drawing_leaves_no_figure_open() -> None:
    from matplotlib import _pylab_helpers

    draw_png(*arrange(blocked()))
    assert _pylab_helpers.Gcf.figs == {}

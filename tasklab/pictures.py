"""Drawing a timeline with matplotlib: deterministic, and without any global state."""

from __future__ import annotations

import html
import io
import itertools
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from operator import sub
from typing import TYPE_CHECKING, NamedTuple

from tasklab.layouts import INK, MUTED, Label, Shape, lay_out
from tasklab.rulers import WIDTH
from tasklab.scenes import FAILED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontProperties
    from PIL import Image

    from tasklab.scenes import Scene

__all__ = [
    "BAND",
    "BAR_LOOKS",
    "DOT_LOOKS",
    "GAP",
    "LINES",
    "PAPER",
    "draw_png",
    "draw_svg",
    "measure_png",
    "plain_settings",
]

PAPER = "#ffffff"
BAND = "#fbe6da"
DPI = 192
"""Twice what a plain screen has, so that it is sharp on the others too."""


class Look(NamedTuple):
    colour: str
    hatch: str
    hatch_colour: str


# The colours of Okabe and Ito (2008), told apart with any colour vision; the hatches are for grey.
BAR_LOOKS = {
    "request": Look("#56B4E9", "", INK),
    "work": Look("#E69F00", "//", INK),
    "blocking": Look("#D55E00", "xx", "#ffffff"),
    "thread": Look("#CC79A7", "\\\\", INK),
    "process": Look("#F0E442", "--", "#8a8200"),
    "letter": Look("#009E73", "..", "#ffffff"),
    FAILED: Look("#000000", "||", "#ffffff"),
}
DOT_LOOKS = {
    "event": ("#000000", "o"),
    "start": ("#0072B2", ">"),
    "exit": ("#D55E00", "X"),
    "error": ("#CC79A7", "D"),
}

GAP = "#D55E00"
# Colour, width and style.
LINES = {
    "tick": (INK, 1.2, "-"),
    "grid": ("#dddddd", 0.8, "-"),
    "zero": ("#777777", 1.0, "--"),
    "divider": ("#bbbbbb", 0.6, "-"),
}


def draw(scene: Scene, title: str) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    layout = lay_out(scene, title, measure)
    scale = layout.scale
    figure = Figure((WIDTH * scale / 2.54, layout.height * scale / 2.54), facecolor=PAPER)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(layout.height, 0))
    axes.set_axis_off()
    for shape in layout.shapes:
        _draw_shape(axes, shape, scale)
    for label in layout.labels:
        _draw_label(axes, label, scale)
    return figure


def draw_png(scene: Scene, title: str) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    with plain_settings():
        draw(scene, title).savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    small = io.BytesIO()
    Image.open(buffer).convert("RGB").quantize(palette=_palette(), dither=Image.Dither.NONE).save(
        small, "PNG", optimize=True
    )
    return small.getvalue()


def measure_png(png: bytes) -> tuple[int, int]:
    """Return the width and height of the shown picture, in CSS pixels."""
    width, height = struct.unpack(">II", png[16:24])
    return round(width * 96 / DPI), round(height * 96 / DPI)


@lru_cache(maxsize=1)
def _palette() -> Image.Image:
    """The colours used and their blends at edges: a third of the size, and no colour shifts."""
    from PIL import Image, ImageColor

    looks = [colour for look in BAR_LOOKS.values() for colour in (look.colour, look.hatch_colour)]
    looks += [colour for colour, _ in DOT_LOOKS.values()]
    used = [ImageColor.getrgb(colour)[:3] for colour in [PAPER, BAND, INK, MUTED, *looks]]
    colours: list[tuple[int, ...]] = []
    for share, edge in [(0.0, used[0]), *itertools.product((0.2, 0.4, 0.6, 0.8), used[:3])]:
        for colour in used:
            blend = tuple(round(a + share * (b - a)) for a, b in zip(colour, edge, strict=True))
            # Pillow cannot tell nearer neighbours apart and would take a blend for the colour.
            if all(max(map(abs, map(sub, blend, known))) >= 12 for known in colours):
                colours.append(blend)
    flat = [channel for colour in colours[:256] for channel in colour]
    image = Image.new("P", (1, 1))
    image.putpalette(flat)
    return image


def draw_svg(scene: Scene, title: str, alt_text: str) -> bytes:
    buffer = io.StringIO()
    with plain_settings():
        draw(scene, title).savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    named = f'<svg role="img" aria-label="{html.escape(alt_text)}" '
    return buffer.getvalue().replace("<svg ", named, 1).encode()


@contextmanager
def plain_settings() -> Iterator[None]:
    """Whatever style the notebook has chosen, the same event looks the same in every lesson.

    Without hinting a text is as wide as it was measured, at any resolution.
    """
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(
            {"svg.hashsalt": "timeline", "svg.fonttype": "path", "text.hinting": "none"}
        )
        yield


def _font(points: float, bold: bool) -> FontProperties:
    from matplotlib.font_manager import FontProperties

    return FontProperties(family="DejaVu Sans", size=points, weight="bold" if bold else "normal")


def _drawable(text: str, font: FontProperties) -> str:
    """Replace line breaks and what the font lacks, which matplotlib would warn about."""
    from matplotlib.font_manager import findfont, get_font

    known = get_font(findfont(font))
    return "".join(c if known.get_char_index(ord(c)) else "□" for c in " ".join(text.split()))


@lru_cache(maxsize=4096)
def measure(text: str, points: float, bold: bool) -> float:
    """Return the width of a text in centimetres, in the font that comes with matplotlib."""
    from matplotlib.textpath import text_to_path

    font = _font(points, bold)
    width, _, _ = text_to_path.get_text_width_height_descent(_drawable(text, font), font, False)
    return float(width) / 72 * 2.54


def _draw_label(axes: Axes, label: Label, scale: float) -> None:
    from matplotlib.patches import FancyBboxPatch

    if label.is_boxed:
        axes.add_patch(
            FancyBboxPatch(
                (label.x, label.y + 0.1),
                label.width,
                label.height - 0.2,
                boxstyle="round,pad=0.06,rounding_size=0.06",
                facecolor=PAPER,
                edgecolor="none",
                zorder=4,
            )
        )
    font = _font(label.points * scale, label.is_bold)
    axes.text(
        label.x,
        label.y + label.height * 0.76,
        _drawable(label.text, font),
        fontproperties=font,
        color=label.colour,
        verticalalignment="baseline",
        parse_math=False,
        zorder=5,
    )


def _draw_shape(axes: Axes, shape: Shape, scale: float) -> None:
    from matplotlib.patches import Polygon, Rectangle

    x, y, right, bottom = shape.x, shape.y, shape.right, shape.y + shape.height
    if shape.kind in DOT_LOOKS:
        colour, marker = DOT_LOOKS[shape.kind]
        axes.plot(
            [x],
            [y],
            marker=marker,
            markersize=10 * scale,
            color=colour,
            markeredgecolor=INK,
            markeredgewidth=0.8,
            linestyle="none",
            zorder=6,
        )
    elif shape.kind in BAR_LOOKS:
        look = BAR_LOOKS[shape.kind]
        tip = min(0.3, shape.width / 2) if shape.is_open else 0.0
        corners = [
            (x, y),
            (right - tip, y),
            (right, (y + bottom) / 2),
            (right - tip, bottom),
            (x, bottom),
        ]
        axes.add_patch(
            Polygon(
                corners,
                closed=True,
                facecolor=look.colour,
                edgecolor=INK,
                hatch=look.hatch if shape.height > 0.3 else "",
                hatchcolor=look.hatch_colour,
                linewidth=0.8 if shape.height > 0.3 else 0.4 if shape.height > 0.1 else 0.0,
                zorder=3,
            )
        )
    elif shape.kind == "band":
        axes.add_patch(Rectangle((x, y), shape.width, shape.height, facecolor=BAND, zorder=0))
    elif shape.kind == "gap":
        axes.add_patch(
            Rectangle(
                (x, y),
                shape.width,
                shape.height,
                facecolor=PAPER,
                edgecolor=GAP,
                linewidth=1.6,
                zorder=3,
            )
        )
    else:
        colour, width, style = LINES[shape.kind]
        axes.plot([x, right], [y, bottom], color=colour, linewidth=width, linestyle=style, zorder=1)

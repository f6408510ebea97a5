"""Tables of yes and no as a picture: what changed from column to column is seen at a glance."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tasklab.layouts import INK, MUTED
from tasklab.pictures import DPI, PAPER, measure_png, plain_settings

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["LOOKS", "STRIPE", "Grid"]

# A disc, a ring and a dash: told apart without their colours.
LOOKS: dict[str, dict[str, Any]] = {
    "yes": {"marker": "o", "ms": 8, "mfc": "#0072B2", "mec": "#0072B2"},
    "no": {"marker": "o", "ms": 7, "mfc": PAPER, "mec": "#D55E00", "mew": 2},
    "-": {"marker": "_", "ms": 6, "mfc": MUTED, "mec": MUTED},
}
STRIPE = "#f3f3f3"
_ROW = 0.24
_CELL = 0.42
_POINTS = 8


class Grid:
    """Draw rows of "yes", "no" and "-" (not asked): a disc, a ring and a dash.

    A row's text is cut where it is too long for a picture. Raises ValueError where a row has
    another number of values than there are columns, or another value.
    """

    def __init__(
        self, title: str, columns: Sequence[str], rows: Mapping[str, Sequence[str]]
    ) -> None:
        for name, values in rows.items():
            if len(values) != len(columns):
                raise ValueError(
                    f"{name!r} has {len(values)} values for {len(columns)} columns; give one each"
                )
            if wrong := sorted(set(values) - {"yes", "no", "-"}):
                raise ValueError(f"{name!r} has the value {wrong[0]!r}; give 'yes', 'no' or '-'")
        self.title = title
        self.columns = tuple(columns)
        self.rows = dict(rows)

    def __str__(self) -> str:
        """The same in words: each row with the columns from which on it is so."""
        lines = [self.title]
        for name, values in self.rows.items():
            steps = [
                f"{value} from {column}"
                for before, value, column in zip(("", *values), values, self.columns, strict=False)
                if value != before
            ]
            lines.append(f"{name}: {', '.join(steps)}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        png = self._draw()
        return (
            f'<img alt="{html.escape(self._alt_text())}" width="{measure_png(png)[0]}" '
            'style="max-width:100%;height:auto" '
            f'src="data:image/png;base64,{base64.b64encode(png).decode()}">'
        )

    def _alt_text(self) -> str:
        return f"{len(self.rows)} rows, {len(self.columns)} columns. " + ". ".join(
            str(self).split("\n")
        )

    def _draw(self) -> bytes:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        longest = max((len(name) for name in self.rows), default=0)
        left = 0.075 * longest + 0.2
        head = 0.07 * max((len(name) for name in self.columns), default=0) + 0.6
        width = left + _CELL * len(self.columns) + 0.2
        height = head + _ROW * len(self.rows) + 0.45
        with plain_settings():
            figure = Figure((width, height), facecolor=PAPER)
            FigureCanvasAgg(figure)
            axes = figure.add_axes((0, 0, 1, 1))
            axes.set(xlim=(0, width), ylim=(height, 0))
            axes.set_axis_off()
            axes.text(0.1, 0.25, self.title, fontsize=_POINTS + 2, weight="bold", color=INK)
            for number, column in enumerate(self.columns):
                middle = left + _CELL * (number + 0.5)
                axes.text(
                    middle, head - 0.1, column, fontsize=_POINTS, color=INK,
                    rotation=90, ha="center", va="bottom",
                )  # fmt: skip
            for number, (name, values) in enumerate(self.rows.items()):
                line = head + _ROW * (number + 0.5)
                if number % 2 == 0:
                    axes.axhspan(line - _ROW / 2, line + _ROW / 2, color=STRIPE, lw=0)
                axes.text(
                    left - 0.1, line, name, fontsize=_POINTS, color=INK, ha="right", va="center"
                )
                for place, value in enumerate(values):
                    _mark(axes, left + _CELL * (place + 0.5), line, value)
            _explain(axes, left, height - 0.18)
            buffer = io.BytesIO()
            figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
        return buffer.getvalue()


def _mark(axes: Axes, x: float, y: float, value: str) -> None:
    axes.plot(x, y, linestyle="none", **LOOKS[value])


def _explain(axes: Axes, x: float, y: float) -> None:
    for value, words in {"yes": "yes", "no": "no", "-": "cannot be asked"}.items():
        _mark(axes, x + 0.1, y, value)
        axes.text(x + 0.22, y, words, fontsize=_POINTS, color=INK, va="center")
        x += 0.75

"""What a check found: the outcome, what was seen, what was expected, where to look next."""

from __future__ import annotations

import enum
import html
import textwrap
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Outcome", "Verdict"]


class Outcome(enum.StrEnum):
    """How a check ended. BROKEN is the bench's fault, never the learner's, and costs nothing."""

    PASSED = "passed"
    FAILED = "failed"
    BROKEN = "broken"

    @property
    def mark(self) -> str:
        return {"passed": "✔", "failed": "✘", "broken": "?"}[self.value]


_COLOURS = {"passed": "#00694e", "failed": "#a33c00", "broken": "#5b5b5b"}


@dataclass(frozen=True)
class Verdict:
    """Say what a check saw, in words that a learner can act on."""

    outcome: Outcome
    slug: str
    saw: str
    expected: str = ""
    look: str = ""

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "outcome": self.outcome.value}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Verdict:
        return cls(**{**data, "outcome": Outcome(data["outcome"])})

    @property
    def rows(self) -> list[tuple[str, str]]:
        """The labelled sentences that are not empty, in reading order."""
        pairs = [("saw", self.saw), ("expected", self.expected), ("look", self.look)]
        return [(label, _printable(text)) for label, text in pairs if text]

    def __str__(self) -> str:
        lines = [f"{self.outcome.mark} {self.outcome.value:<7} {self.slug}"]
        if self.outcome is not Outcome.PASSED:
            for label, text in self.rows:
                first, *rest = [
                    line
                    for paragraph in text.splitlines() or [""]
                    for line in textwrap.wrap(paragraph, 78, break_on_hyphens=False) or [""]
                ]
                lines.append(f"    {label:<9} {first}")
                lines.extend(f"    {'':<9} {line}" for line in rest)
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        colour = _COLOURS[self.outcome.value]
        head = (
            f'<strong style="color:{colour}">{self.outcome.mark} {self.outcome.value}</strong> '
            f"<code>{html.escape(self.slug)}</code>"
        )
        rows = "".join(
            f'<div style="margin-left:1.6em"><em>{label}</em>&ensp;'
            f'<span style="white-space:pre-wrap">{html.escape(text)}</span></div>'
            for label, text in self.rows
            if self.outcome is not Outcome.PASSED or label == "saw"
        )
        return (
            f'<div style="border-left:4px solid {colour};padding:.3em .8em;margin:.3em 0;'
            f'background:#fff;color:#1a1a1a">{head}{rows}</div>'
        )


def _printable(text: str) -> str:
    """Replace what would steer a terminal: a verdict quotes what the app wrote."""
    return "".join(
        character if character.isprintable() or character == "\n" else "\N{REPLACEMENT CHARACTER}"
        for character in text.expandtabs(4)
    )

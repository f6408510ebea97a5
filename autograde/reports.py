"""A grading in words: for a terminal and for a notebook."""

from __future__ import annotations

import html
from typing import Any

from tasklab.verdicts import Outcome, Verdict

__all__ = ["next_text", "report_html", "result_text", "summary_text"]

_SAME = "the same as above"
# A dark theme has links for dark pages, and a report is always on white.
_LINK = "color:#00558a;text-decoration:underline"


def _score(points: float | None, most: float) -> str:
    return f"{'–' if points is None else f'{points:g}'}/{most:g}"


def result_text(result: dict[str, Any], seen: set[str]) -> str:
    """One check's lines for a terminal; `seen` remembers what need not be said twice."""
    verdict = _verdict(result)
    if verdict.outcome is not Outcome.PASSED and len(verdict.saw) > 80:
        if verdict.saw in seen:
            verdict = Verdict(verdict.outcome, verdict.slug, _SAME)
        seen.add(result["saw"])
    first, *rest = str(verdict).splitlines()
    return "\n".join([f"{first:<60} {_score(result['points'], result['max_points']):>6}", *rest])


def _verdict(result: dict[str, Any]) -> Verdict:
    keys = ("outcome", "slug", "saw", "expected", "look")
    return Verdict.from_json({key: result[key] for key in keys})


def summary_text(report: dict[str, Any]) -> str:
    """The closing lines: the points, and which checks somebody else has to run."""
    elsewhere = report.get("elsewhere", [])
    if not elsewhere:
        return _summary(report, "Every check passed.")
    names = ", ".join(elsewhere)
    return (
        f"{_summary(report, 'Every check that runs here passed.')}\n"
        f"Not run here, because they are hidden; your teacher runs them: {names}."
    )


def next_text(report: dict[str, Any]) -> str:
    """After one's own check passed: the part that it finished, and the next page to open."""
    step = report.get("next", {})
    return _next(step, step.get("said", ""), step.get("page", ""))


def _next_html(report: dict[str, Any]) -> str:
    """The same with a link, from an exercise's folder to a page of the course."""
    step = report.get("next", {})
    said, page = html.escape(step.get("said", "")), html.escape(step.get("page", ""))
    words = _next(step, said, page and f'<a href="../../{page}" style="{_LINK}">{page}</a>')
    return f"<p>{words}</p>" if words else ""


def _next(step: dict[str, Any], said: str, page: str) -> str:
    minutes = ", {} to {} minutes".format(*step["minutes"]) if step.get("minutes") else ""
    return " ".join(filter(None, (said, page and f"Next: {page}{minutes}.")))


def _summary(report: dict[str, Any], all_is_well: str) -> str:
    broken = sum(result["outcome"] == "broken" for result in report["results"])
    total = f"{report['points']:g} of {report['max_points']:g} points"
    if broken:
        return (
            f"{broken} of {len(report['results'])} checks could not look, which says nothing about "
            f"your code: run it again. So far {total}."
        )
    if report["outcome"] == "passed":
        return f"{total}. {all_is_well}"
    failed = sum(result["outcome"] == "failed" for result in report["results"])
    return f"{total}. {failed} of {len(report['results'])} checks failed."


def report_html(report: dict[str, Any]) -> str:
    """The whole report for a notebook."""
    seen: set[str] = set()
    parts = []
    for result in report["results"]:
        verdict = _verdict(result)
        if verdict.outcome is not Outcome.PASSED and len(verdict.saw) > 80:
            if verdict.saw in seen:
                verdict = Verdict(verdict.outcome, verdict.slug, _SAME)
            seen.add(result["saw"])
        score = html.escape(_score(result["points"], result["max_points"]))
        parts.append(f'<div style="float:right;margin:.5em 1em">{score}</div>')
        parts.append(verdict._repr_html_())
    remarks = "".join(f"<p>{html.escape(remark)}</p>" for remark in report["remarks"])
    return (
        '<div style="background:#fff;color:#1a1a1a;padding:.2em .6em">'
        f"{remarks}{''.join(parts)}<p><strong>{html.escape(summary_text(report))}</strong></p>"
        f"{_next_html(report)}</div>"
    )

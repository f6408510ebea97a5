"""The check from inside a notebook: the files as they are now, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from autograde.reports import next_text, report_html, result_text, summary_text

__all__ = ["check_exercise"]


class _Shown:
    """A report that a notebook shows as a table and a terminal as text."""

    def __init__(self, report: dict[str, Any]) -> None:
        self.report = report

    def __repr__(self) -> str:
        seen: set[str] = set()
        lines = [*self.report["remarks"]]
        lines += [result_text(result, seen) for result in self.report["results"]]
        closing = filter(None, (summary_text(self.report), next_text(self.report)))
        return "\n".join([*lines, "", *closing])

    def _repr_html_(self) -> str:
        return report_html(self.report)


def check_exercise(name: str = ".") -> _Shown | None:
    """Check the files beside this notebook as they are now, hidden checks included.

    It is `autograde check --files`, so no code of the answer runs in this kernel.
    """
    print("Checking, please wait: each check starts the service anew.", flush=True)
    finished = subprocess.run(
        # -P: a file beside the notebook must not stand in for a module of the grader.
        [sys.executable, "-P", "-m", "autograde", "check", name, "--files", "--json"],
        capture_output=True,
        text=True,
    )
    try:
        return _Shown(json.loads(finished.stdout))
    except ValueError:
        print(finished.stderr.strip() or "The check ended without a word; run it again.")
        return None

"""Graders that lack a defence, for attacks that must be seen to succeed against them."""

from __future__ import annotations

import functools
import itertools
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import tasklab
from autograde.places import Limits, Sandbox
from autograde.walls import SPACE, sandbox_program, wall
from tasklab import keeper
from tests.autograde.courses import HEALTH, LETTER, SETUP

__all__ = ["WeakSandbox", "run_beside"]


class WeakSandbox(Sandbox):
    """A sandbox whose command line lacks words, or whose keeper has other lines."""

    def __init__(
        self,
        files: Mapping[str, str],
        *,
        folder: Path,
        without: Sequence[str] = (),
        keeper_lines: Mapping[str, str] | None = None,
        space: int | None = None,
        more_warm: Sequence[str] = (),
        limits: Limits | None = None,
    ) -> None:
        super().__init__(files, limits=limits)
        self._without = without
        self._space = SPACE if space is None else str(space)
        self._warm += tuple(more_warm)
        self._keeper = _weak_keeper(folder, tuple((keeper_lines or {}).items()))

    def command(self, descriptor: int) -> list[str]:
        words = super().command(descriptor)
        for word in self._without:
            at = words.index(word)
            del words[at : at + (2 if word == "--filter" else 1)]
        instead = {str(keeper.__file__): str(self._keeper), SPACE: self._space}
        return [instead.get(word, word) for word in words]


_numbers = itertools.count()


@functools.cache
def _weak_keeper(folder: Path, lines: tuple[tuple[str, str], ...]) -> Path:
    text = Path(keeper.__file__).read_text(encoding="utf-8")
    for line, instead in lines:
        assert text.count(line) == 1, f"the keeper no longer has this once: {line}"
        text = text.replace(line, instead)
    path = folder / f"keeper-{next(_numbers)}.py"
    path.write_text(text, encoding="utf-8")
    return path


# As who uses a TestClient does, they import the answer first.
_CHECKS = f"import newsletter\n{SETUP}\n{HEALTH}\n{LETTER.split('### BEGIN HIDDEN TESTS')[1]}"


def run_beside(answer: str, python: str) -> subprocess.CompletedProcess[str]:
    """Run the checks beside the answer, in its folder, as many graders do; exit code 0 says passed.

    One wall is round both, or the attacks would spoil this machine's /tmp. The answer is imported
    once before, as when a learner tries it.
    """
    folder, bench = "/newsletter", str(Path(tasklab.__file__).parent)
    inside = (
        "import subprocess, sys\n"
        f"open('newsletter.py', 'w').write({answer!r})\n"
        f"open('checks.py', 'w').write({_CHECKS!r})\n"
        "subprocess.run([sys.executable, '-c', 'import newsletter'])\n"
        f"sys.exit(subprocess.run([{python!r}, 'checks.py']).returncode)\n"
    )
    return subprocess.run(
        [
            *wall(sandbox_program()),
            "--size", SPACE, "--perms", "0777", "--tmpfs", folder,
            "--ro-bind", bench, "/bench/tasklab",
            "--chdir", folder, "--", sys.executable, "-I", "-c", inside,
        ],
        env={"PATH": os.environ["PATH"], "HOME": folder, "PYTHONPATH": f"{folder}:/bench"},
        capture_output=True, text=True,
    )  # fmt: skip

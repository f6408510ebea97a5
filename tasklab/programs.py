"""Programs that run to their end, in a folder of their own with the answer's files in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tasklab.children import ChildProcess, ServerDidNotStart

if TYPE_CHECKING:
    from tasklab.launcher import Launcher

__all__ = ["Program", "program"]


class Program(ChildProcess):
    """A program in a process of its own; `run()` returns its exit code, `log` has its output."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        answers: Sequence[str] = (),
        files: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(arguments[0], arguments, env=env)
        self._answers = tuple(answers)
        self._files = dict(files or {})

    def _start_folder(self, launcher: Launcher) -> str:
        found = {}
        for name in self._answers:
            try:
                found[name] = launcher.read_answer(name)
            except FileNotFoundError:
                how = f"could not start: there is no {name} here, run the cell that writes it"
                raise ServerDidNotStart(self.name, how, "") from None
        return str(launcher.control.request("stage", files={**found, **self._files}))


def program(
    module: str,
    *arguments: str,
    answers: Sequence[str] = (),
    files: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
) -> Program:
    """Prepare to run `python -m MODULE ARGUMENTS`; `run()` runs it.

    It starts in a new folder, which is removed afterwards and holds nothing but copies of the
    `answers`, named files of the learner's, and `files`, texts by name. A file that is in both is
    the latter.
    """
    return Program([module, *arguments], answers=answers, files=files, env=env)

"""Checks: look at a running service from outside and leave a verdict."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING, Self

from tasklab.children import ServerDidNotStart, watch_starts
from tasklab.client import AnswerTooLong
from tasklab.gates import DeadlinePassed
from tasklab.launcher import BenchBroken
from tasklab.verdicts import Outcome, Verdict

if TYPE_CHECKING:
    from tasklab.children import ChildProcess

__all__ = ["CheckBroken", "CheckFailed", "check", "hidden_check", "record_verdicts"]

_NOT_LOOKED_AT = "not looked at yet: first mend “{after}”"
_NOT_RUN = "not looked at yet: first run “{after}”"
_BROKEN = "the bench stumbled, not your code: {why}"
_RUN_AGAIN = "run it again; if it stays, tell who gave you the exercise"
_HUNG_UP = "the server hung up without an answer ({error})"


class _VerdictRaised(Exception):
    """Shows as the verdict's words in a notebook, never as a traceback."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(str(verdict))
        self.verdict = verdict

    def _render_traceback_(self) -> list[str]:
        return str(self.verdict).splitlines()


class CheckFailed(_VerdictRaised):
    """The check looked, and saw something else than it should have."""


class CheckBroken(_VerdictRaised):
    """The check could not look; nothing is known about the answer."""


class _Unmet(Exception):
    def __init__(self, saw: str, expected: str, look: str) -> None:
        self.saw, self.expected, self.look = saw, expected, look


_recorder: ContextVar[list[Verdict] | None] = ContextVar("recorder", default=None)
_shown: dict[str, Verdict] = {}


@contextmanager
def record_verdicts() -> Iterator[list[Verdict]]:
    """Collect the verdicts of the checks in this context, instead of showing and raising them."""
    verdicts: list[Verdict] = []
    token = _recorder.set(verdicts)
    try:
        yield verdicts
    finally:
        _recorder.reset(token)


class check:  # noqa: N801 - reads as a verb: `with check("…") as found`
    """Look at the service in a `with` block and leave one verdict with the given slug.

    `look` says where a learner whose answer fails should look next. `after` names a check that
    must have passed for this one to mean anything: without it, this one fails unlooked.
    In a notebook the verdict is shown, and raised as CheckFailed or CheckBroken if not passed.
    """

    def __init__(self, slug: str, *, look: str = "", after: str | None = None) -> None:
        self.slug = slug
        self.look = look
        self.after = after
        self._servers: list[ChildProcess] = []
        self._passed = ""

    def __enter__(self) -> Self:
        self._watch = watch_starts(self._servers)
        self._watch.__enter__()
        return self

    def expect(self, condition: object, *, saw: str, expected: str, look: str = "") -> None:
        """Go on if the condition holds; otherwise end the check as failed with these words."""
        if not condition:
            raise _Unmet(saw, expected, look or self.look)

    def require(self, *others: str) -> None:
        """End the check as failed, unlooked, unless `after` and these others have passed."""
        verdicts = _recorder.get()
        known = _shown if verdicts is None else {verdict.slug: verdict for verdict in verdicts}
        for slug in (self.after, *others) if self.after else others:
            earlier = known.get(slug)
            if earlier is not None and earlier.outcome is Outcome.BROKEN:
                raise BenchBroken(f"“{slug}” was broken")
            if earlier is None:
                raise _Unmet(_NOT_RUN.format(after=slug), "", "")
            if earlier.outcome is not Outcome.PASSED:
                raise _Unmet(_NOT_LOOKED_AT.format(after=slug), "", "")

    def passes(self, saw: str) -> None:
        """Say what was seen, for the verdict of a check that passes."""
        self._passed = saw

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        self._watch.__exit__(None, None, None)
        if error is not None and not isinstance(error, Exception):
            return False
        passed = Verdict(Outcome.PASSED, self.slug, self._passed)
        verdict = passed if error is None else self._judge(error)
        verdicts = _recorder.get()
        if verdicts is not None:
            verdicts.append(verdict)
            return True
        _shown[verdict.slug] = verdict
        if verdict.outcome is Outcome.PASSED:
            show(verdict)
            return True
        raised = CheckFailed if verdict.outcome is Outcome.FAILED else CheckBroken
        raise raised(verdict) from None

    def _judge(self, error: Exception) -> Verdict:
        match error:
            case _Unmet():
                return self._failed(error.saw, error.expected, error.look)
            case ServerDidNotStart():
                # Its own last lines say where to look; the lesson is about servers that run.
                return self._failed(str(error), "a server that starts and takes requests", "")
            case DeadlinePassed():
                return self._failed(f"{error}{self._complaints()}", error.what)
            case BenchBroken() | OSError():
                return self._broken(str(error))
            case AnswerTooLong():
                return self._failed(str(error), "an answer that a client can read")
            case json.JSONDecodeError():
                return self._failed(f"an answer that is not JSON: {error.doc[:60]!r}", "JSON")
            case UnicodeDecodeError():
                return self._failed("an answer that is not UTF-8", "JSON")
        # httpx is only loaded if a request was made.
        if type(error).__module__.split(".")[0] == "httpx":
            return self._failed(
                _HUNG_UP.format(error=error) + self._complaints(), "an answer to every request"
            )
        return self._broken(f"{type(error).__name__}: {error}")

    def _failed(self, saw: str, expected: str, look: str | None = None) -> Verdict:
        chosen = self.look if look is None else look
        return Verdict(Outcome.FAILED, self.slug, saw, expected, chosen)

    def _broken(self, why: str) -> Verdict:
        return Verdict(Outcome.BROKEN, self.slug, _BROKEN.format(why=why), "", _RUN_AGAIN)

    def _complaints(self) -> str:
        """What stood out at the server started last that has anything to say."""
        for server in reversed(self._servers):
            lines = [*server.remarks]
            if logged := server.log.complaints():
                lines += [f"{server.name}'s log says:", *logged]
            if lines:
                return "\n" + "\n".join(lines)
        return ""


def hidden_check(slug: str) -> None:
    """Say in a notebook where the check with this slug runs; do nothing in a grading."""
    if _recorder.get() is None:
        print(f"○ {slug}: hidden. Your teacher runs it, and `.venv/bin/autograde check` if it can.")


def show(verdict: Verdict) -> None:
    """Show a verdict where the reader is: as HTML in a notebook, as text in a terminal."""
    try:
        # Defined only where IPython runs; importing it here would cost a terminal 0.3 s.
        shell = get_ipython()  # type: ignore[name-defined]
    except NameError:
        print(verdict)
        return
    shell.display_pub.publish(
        {"text/plain": str(verdict), "text/html": verdict._repr_html_()}, metadata={}
    )

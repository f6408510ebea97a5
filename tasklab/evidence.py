"""What the bench saw, read as marks for a timeline."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, Protocol, runtime_checkable

from tasklab.scenes import Bar, Beats, Mark

__all__ = [
    "AnswerLike",
    "Evidence",
    "HeartbeatLike",
    "LetterLike",
    "MailroomLike",
    "is_evidence",
    "is_mailroom",
    "read_marks",
]


@runtime_checkable
class LetterLike(Protocol):
    @property
    def to(self) -> str: ...
    @property
    def arrived(self) -> float: ...
    @property
    def answered(self) -> float | None: ...
    @property
    def status(self) -> int | None: ...


@runtime_checkable
class MailroomLike(Protocol):
    @property
    def letters(self) -> Iterable[LetterLike]: ...


@runtime_checkable
class AnswerLike(Protocol):
    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def sent(self) -> float: ...
    @property
    def received(self) -> float | None: ...
    @property
    def status(self) -> int | None: ...


@runtime_checkable
class HeartbeatLike(Protocol):
    @property
    def times(self) -> Iterable[float]: ...
    @property
    def period(self) -> float: ...


_HUNG_UP = {0: "hung up", 499: "499, the app hung up"}
"""Status 0: the mailroom was told to hang up."""

Evidence = MailroomLike | LetterLike | AnswerLike | HeartbeatLike


def is_mailroom(thing: object) -> bool:
    return isinstance(thing, MailroomLike)


def is_evidence(thing: object) -> bool:
    return isinstance(thing, (MailroomLike, LetterLike, AnswerLike, HeartbeatLike))


def read_marks(source: Any, lane: str | None = None) -> list[Mark]:
    """Read the marks as they are now; a request or a letter without an end lasts until now."""
    if isinstance(source, MailroomLike):
        return [_read_letter(letter, lane) for letter in source.letters]
    if isinstance(source, LetterLike):
        return [_read_letter(source, lane)]
    if isinstance(source, AnswerLike):
        return [_read_answer(source, lane)]
    times = tuple(sorted(source.times))
    now = time.monotonic()
    return [
        Beats(
            lane or str(getattr(source, "lane", "event loop")),
            times,
            source.period,
            getattr(source, "since", min(times, default=now)),
            getattr(source, "until", max(times, default=now)),
        )
    ]


def _read_letter(letter: LetterLike, lane: str | None) -> Bar:
    label = f"letter to {letter.to.partition('@')[0]}" if letter.to else "letter"
    outcome, status, end = "", letter.status or 0, letter.answered
    hung_up: float | None = getattr(letter, "hung_up", None)
    if hung_up is not None:
        status, end = 499, hung_up
    if end is not None:
        outcome = _HUNG_UP.get(status, str(status))
    return Bar(
        lane or "mailroom",
        label,
        letter.arrived,
        end,
        "letter",
        outcome,
        failed=bool(outcome) and not 0 < status < 400,
        live=True,
    )


def _read_answer(answer: AnswerLike, lane: str | None) -> Bar:
    received = answer.received
    # The moment a connection broke is not known, so such a bar has no end.
    is_lost = received is None and getattr(answer, "error", None) is not None
    outcome = "no answer, connection lost" if is_lost else ""
    return Bar(
        lane or "client",
        f"{answer.method} {answer.path}",
        answer.sent,
        received,
        "request",
        outcome if received is None else str(answer.status),
        failed=is_lost or (answer.status or 0) >= 400,
        live=not is_lost,
    )

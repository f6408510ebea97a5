"""The mail provider: a real HTTP server outside the app, which records every letter."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from dataclasses import dataclass, field, replace
from typing import Any, Self

from tasklab.gates import wait_until
from tasklab.launcher import BenchBroken, current_launcher
from tasklab.letterbox import Letterbox, has_hung_up, seconds_since_data

__all__ = ["Letter", "Mailroom"]

# An app that runs wild must not fill the memory of the process that watches it.
_MOST_LETTERS = 10_000
_MOST_BYTES = 16 * 1024**2
_HUNG_UP = 499
_LOOKS_EVERY = 0.05
# Clients have timeouts of 5 s and more. An app that hung up when an answer was due for so long
# may have done no wrong: the machine let the mailroom not run.
_LATE = 1.0


@dataclass(frozen=True)
class Letter:
    """One letter as the mailroom saw it. Times are time.monotonic() seconds."""

    number: int
    body: dict[str, Any] = field(compare=False)
    arrived: float
    answered: float | None = None
    status: int | None = None
    """What the mailroom answered; None while in flight.

    0 if the mailroom hung up without an answer; 499, as nginx says it, if the app hung up before
    the answer: then nobody heard one.
    """
    hung_up: float | None = field(default=None, compare=False)
    """When the app hung up before the answer, as soon as that was seen."""

    @property
    def to(self) -> str:
        return str(self.body.get("to", ""))

    @property
    def subject(self) -> str:
        return str(self.body.get("subject", ""))

    @property
    def issue(self) -> Any:
        return self.body.get("issue")


class Mailroom:
    """Take letters at `POST /letters` and answer 202, or do what it is told to do instead.

    It lives outside the app and its controls are calls in this process, so the app cannot
    release a letter or forge a delivery that it did not make.
    """

    def __init__(self) -> None:
        self._letters: dict[int, Letter] = {}
        self._bytes = 0
        self._numbers = itertools.count(1)
        self._changed = threading.Condition()
        self._held = False
        self._answers_first = 0
        self._status = 202
        self._status_to: dict[str, int] = {}
        self._delay = 0.0
        self._turned = 0.0
        self._due: dict[int, float] = {}
        self._late = 0.0
        self._letterbox: Letterbox | None = None
        self._senders: dict[int, socket.socket] = {}
        self.url = ""

    # -- controls -----------------------------------------------------------------------------

    def hold(self, *, after: int = 0) -> None:
        """Keep letters in flight, those that wait and those to come, until release.

        The first `after` letters to come are still answered.
        """
        with self._changed:
            self._answers_first = len(self._letters) + after if after else 0
        self._turn(held=True)

    def release(self) -> None:
        """Answer the letters in flight and hold no more."""
        self._turn(held=False)

    def refuse(self, status: int = 503, *, to: str | None = None) -> None:
        """Answer every letter with an error, or every letter to one subscriber.

        Letters to that subscriber are refused at once, also while the others are held or delayed.
        """
        if to is None:
            self._turn(status=status)
        else:
            self._single_out(to, status)

    def drop(self, *, to: str | None = None) -> None:
        """Hang up without an answer on every letter, or as in refuse() on those to one."""
        self.refuse(0, to=to)

    def delay(self, seconds: float) -> None:
        """Answer every letter that many seconds after it came."""
        self._turn(delay=seconds)

    def accept(self) -> None:
        """Answer every letter with 202 at once, as a new mailroom does."""
        with self._changed:
            self._status_to.clear()
        self._turn(held=False, status=202, delay=0.0)

    def _turn(
        self, *, held: bool | None = None, status: int | None = None, delay: float | None = None
    ) -> None:
        with self._changed:
            self._held = self._held if held is None else held
            self._status = self._status if status is None else status
            self._delay = self._delay if delay is None else delay
            self._turned = time.monotonic()
            self._changed.notify_all()

    def _single_out(self, to: str, status: int) -> None:
        with self._changed:
            self._status_to[to] = status
            self._turned = time.monotonic()
            self._changed.notify_all()

    # -- evidence -----------------------------------------------------------------------------

    @property
    def letters(self) -> tuple[Letter, ...]:
        """Everything that arrived, in order of arrival.

        Raises BenchBroken once an app hung up on a letter whose answer was overdue here.
        """
        with self._changed:
            self._vouch()
            return tuple(self._letters.values())

    @property
    def in_flight(self) -> tuple[Letter, ...]:
        return tuple(letter for letter in self.letters if letter.status is None)

    @property
    def awaited(self) -> tuple[Letter, ...]:
        """The letters in flight whose sender has not hung up: it still waits for the answer."""
        with self._changed:
            self._vouch()
            return tuple(
                letter
                for number, letter in self._letters.items()
                if number in self._senders and not has_hung_up(self._senders[number])
            )

    @property
    def delivered(self) -> tuple[Letter, ...]:
        """The letters that the mailroom accepted."""
        return tuple(letter for letter in self.letters if letter.status == 202)

    def wait_for(
        self, *, in_flight: int = 0, delivered: int = 0, arrived: int = 0, within: float = 10.0
    ) -> tuple[Letter, ...]:
        """Return the letters once there are at least so many; raise DeadlinePassed otherwise."""
        wanted = {"in flight": in_flight, "delivered": delivered, "arrived": arrived}
        what = " and ".join(
            f"{number} letter{'s' * (number != 1)} {name}"
            for name, number in wanted.items()
            if number
        )
        wait_until(
            lambda: (
                len(self.in_flight) >= in_flight
                and len(self.delivered) >= delivered
                and len(self.letters) >= arrived
            ),
            within=within,
            what=what,
        )
        return self.letters

    # -- running ------------------------------------------------------------------------------

    def start(self) -> Self:
        self.stop()
        launcher = current_launcher()
        listening = launcher.listen() if launcher else _listen()
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        self._letterbox = Letterbox(listening, self._take)
        self._letterbox.start()
        threading.Thread(
            target=self._watch, args=(self._letterbox,), name="mailroom watch", daemon=True
        ).start()
        return self

    def stop(self) -> None:
        """Close the mailroom; letters still in flight are never answered."""
        letterbox = self._letterbox
        if letterbox is None:
            return
        with self._changed:
            for number, sender in self._senders.items():
                if has_hung_up(sender):
                    self._note_hung_up(number)
            self._letterbox = None
            self._changed.notify_all()
        letterbox.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        with self._changed:
            statuses = [letter.status for letter in self._letters.values()]
        return (
            f"<Mailroom: {len(statuses)} letters arrived, {statuses.count(202)} delivered, "
            f"{statuses.count(None)} in flight>"
        )

    # -- one letter, in the thread of its connection ------------------------------------------

    def _take(self, body: dict[str, Any], size: int, sender: socket.socket) -> int:
        """Record a letter and return what to answer, once it may be answered; 0 for nothing."""
        with self._changed:
            letterbox = self._letterbox
            if letterbox is None:
                return 0
            if len(self._letters) >= _MOST_LETTERS or self._bytes + size > _MOST_BYTES:
                return 507
            self._bytes += size
            letter = Letter(next(self._numbers), body, time.monotonic())
            self._letters[letter.number] = letter
            self._senders[letter.number] = sender
            self._due[letter.number] = letter.arrived - seconds_since_data(sender)
            self._changed.notify_all()
            try:
                self._keep(letter, letterbox)
                if self._letterbox is not letterbox:
                    return 0
                status = (
                    _HUNG_UP
                    if has_hung_up(sender)
                    else self._status_to.get(letter.to, self._status)
                )
            finally:
                del self._senders[letter.number]
            if status == _HUNG_UP:
                self._note_hung_up(letter.number)
            self._letters[letter.number] = replace(
                self._letters[letter.number], answered=time.monotonic(), status=status
            )
            self._changed.notify_all()
            return 0 if status == _HUNG_UP else status

    def _watch(self, letterbox: Letterbox) -> None:
        """Note when a sender hangs up on a letter that is in flight for a while."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._senders or self._letterbox is not letterbox)
                if self._letterbox is not letterbox:
                    return
                for number, sender in self._senders.items():
                    if self._letters[number].hung_up is None and has_hung_up(sender):
                        self._note_hung_up(number)
            time.sleep(_LOOKS_EVERY)

    def _note_hung_up(self, number: int) -> None:
        letter = self._letters[number]
        if letter.hung_up is None:
            now = time.monotonic()
            self._letters[number] = replace(letter, hung_up=now)
            if not self._is_held(letter):
                due = max(self._due[number] + self._delay, self._turned)
                self._late = max(self._late, now - due)

    def _is_held(self, letter: Letter) -> bool:
        held = self._held and letter.number > self._answers_first
        return held and letter.to not in self._status_to

    def _vouch(self) -> None:
        if self._late > _LATE:
            raise BenchBroken(
                "this machine was too busy to answer a letter: the app hung up when the answer was "
                f"{self._late:.1f} s overdue"
            )

    def _keep(self, letter: Letter, letterbox: Letterbox) -> None:
        """Return when the letter may be answered, or the letterbox is closed."""
        while self._letterbox is letterbox:
            left = letter.arrived + self._delay - time.monotonic()
            held = self._is_held(letter)
            if letter.to in self._status_to or (not held and left <= 0):
                return
            self._changed.wait(None if held else left)


def _listen() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0), backlog=512)

"""What was graded, a line each, so that an interrupted grading goes on where it stopped."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from autograde.errors import BrokenEnvironment, Misuse

__all__ = ["Entry", "Journal"]


@dataclass
class Entry:
    """The newest grading of one learner's work on one exercise."""

    student: str
    slug: str
    fingerprint: str
    """Of the submission, of the exercise and of the limits: another one means grade again."""
    report: dict[str, Any]
    entered: bool = False
    """Whether the gradebook has it."""
    tries: int = 1

    @property
    def is_broken(self) -> bool:
        return bool(self.report["outcome"] == "broken")


class Journal:
    """Lines of JSON in a file that only grows; a line that was cut off counts as not written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: dict[tuple[str, str], Entry] = {}
        self._descriptor = -1
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        """Take the journal for this process; raise Misuse if another one has it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            raise Misuse(
                "Another `autograde grade` is at work on this classroom; wait for it, or stop it."
            ) from None
        self.load()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def load(self) -> None:
        self.entries.clear()
        if not self.path.is_file():
            return
        with self.path.open("rb") as file:
            for line in file:
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    self._apply(json.loads(line))

    def _apply(self, line: dict[str, Any]) -> None:
        key = line["student"], line["slug"]
        if "report" in line:
            earlier = self.entries.get(key)
            self.entries[key] = Entry(
                *key,
                line["fingerprint"],
                line["report"],
                tries=1 + (earlier.tries if earlier else 0),
            )
        elif (entry := self.entries.get(key)) and entry.fingerprint == line["fingerprint"]:
            entry.entered = True

    def find(self, student: str, slug: str, fingerprint: str) -> Entry | None:
        """Return the entry for exactly this work, if it was graded and was not broken."""
        entry = self.entries.get((student, slug))
        if entry is None or entry.fingerprint != fingerprint or entry.is_broken:
            return None
        return entry

    def note_graded(
        self, student: str, slug: str, fingerprint: str, report: dict[str, Any]
    ) -> Entry:
        self._append(student, slug, fingerprint, report=report)
        return self.entries[student, slug]

    def note_entered(self, entry: Entry) -> None:
        self._append(entry.student, entry.slug, entry.fingerprint)

    def _append(self, student: str, slug: str, fingerprint: str, **more: Any) -> None:
        line = {"student": student, "slug": slug, "fingerprint": fingerprint, **more}
        # A person looks for a name as it is written, to be forgotten. What an app said may be half
        # a character, which json reads back.
        text = json.dumps(line, ensure_ascii=False).encode(errors="surrogatepass")
        # The newline comes first as well: it ends a line that an earlier process left half done.
        data = b"\n" + text + b"\n"
        try:
            with self._lock:
                while data:
                    data = data[os.write(self._descriptor, data) :]
                os.fsync(self._descriptor)
                self._apply(line)
        except OSError as error:
            why = "the disk is full" if error.errno == errno.ENOSPC else str(error.strerror)
            raise BrokenEnvironment(
                f"{self.path} cannot be written: {why}. What was graded before is kept; mend it "
                "and run the same command again."
            ) from None

    def __iter__(self) -> Iterator[Entry]:
        return iter(sorted(self.entries.values(), key=lambda e: (e.student, e.slug)))

"""What can go wrong apart from the answer; each error is one sentence and has an exit code.

AutogradeError
├── Misuse              2  the command, or a file that it was given, is not what it should be
└── BrokenEnvironment   3  this machine lacks something; nothing is known about the answer
"""

from __future__ import annotations

__all__ = ["AutogradeError", "BrokenEnvironment", "Misuse"]


class AutogradeError(Exception):
    """Carry one sentence: what was found, what was expected, what to do."""

    exit_code = 3


class Misuse(AutogradeError):
    exit_code = 2


class BrokenEnvironment(AutogradeError):
    exit_code = 3

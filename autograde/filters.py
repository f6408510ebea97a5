"""The system calls that answers go without: those that steer or look into another process.

The keeper has the same user as the answer where nobody is root, and the kernel lets a user limit,
slow down or trace what is the user's own.
"""

from __future__ import annotations

import errno
import platform
import struct
from typing import NamedTuple

__all__ = ["steering_filter"]

# linux/filter.h and linux/seccomp.h
_LOAD, _JUMP_IF_EQUAL, _JUMP_IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _FAIL = 0x7FFF0000, 0x00050000 | errno.EPERM
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_X32 = 0x40000000


class _Calls(NamedTuple):
    """One architecture's number, and its calls by the argument that must be 0: "myself"."""

    architecture: int
    never: tuple[int, ...]
    first_is_zero: tuple[int, ...]
    second_is_zero: tuple[int, ...]


_CALLS = {
    # never: ptrace, process_vm_readv, process_vm_writev, pidfd_getfd, kcmp
    # first: prlimit64, sched_setaffinity, sched_setscheduler, sched_setparam, sched_setattr
    # second: setpriority, ioprio_set
    "x86_64": _Calls(0xC000003E, (101, 310, 311, 438, 312), (302, 203, 144, 142, 314), (141, 251)),
    "aarch64": _Calls(0xC00000B7, (117, 270, 271, 438, 272), (261, 122, 119, 118, 274), (140, 30)),
}


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def steering_filter() -> bytes:
    """Return a seccomp program for this machine; empty where its numbers are not known here."""
    calls = _CALLS.get(platform.machine())
    if calls is None:
        return b""
    program = [
        _step(_LOAD, _ARCHITECTURE),
        _step(_JUMP_IF_EQUAL, calls.architecture, 1, 0),
        _step(_RETURN, _FAIL),
        _step(_LOAD, _NUMBER),
        # The other numbering of the same calls.
        _step(_JUMP_IF_AT_LEAST, _X32, 0, 1),
        _step(_RETURN, _FAIL),
    ]
    for number in calls.never:
        program += [_step(_JUMP_IF_EQUAL, number, 0, 1), _step(_RETURN, _FAIL)]
    for index, numbers in enumerate((calls.first_is_zero, calls.second_is_zero)):
        for number in numbers:
            program += [
                _step(_JUMP_IF_EQUAL, number, 0, 4),
                _step(_LOAD, _FIRST_ARGUMENT + 8 * index),
                _step(_JUMP_IF_EQUAL, 0, 0, 1),
                _step(_RETURN, _ALLOW),
                _step(_RETURN, _FAIL),
            ]
    return b"".join([*program, _step(_RETURN, _ALLOW)])

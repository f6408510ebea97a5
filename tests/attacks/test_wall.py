"""Attacks on what lies outside the wall: each works without it, and none behind it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from autograde.engine import grade
from autograde.places import OwnMachine, Sandbox
from autograde.submission import Exercise
from tasklab.gates import comes_true
from tests.attacks.conftest import SECRET, Targets
from tests.autograde.courses import answer, check_cell, code, notebook

CHECK = """\
from tasklab import check, uvicorn

with check("nothing-is-taken") as found:
    with uvicorn("newsletter:app") as server:
        loot = server.get("/loot", within=20).json()
    found.expect(not loot, saw=f"loot: {loot}", expected="nothing")
"""
# The attack itself is the body of a function that returns what it took.
APP = """\
import ctypes, json, os, signal, socket, struct, sys, time
from fastapi import FastAPI

app = FastAPI()
libc = ctypes.CDLL(None, use_errno=True)


def attack():
{body}


@app.get("/loot")
def loot():
    try:
        return str(attack() or "")
    except Exception as error:
        print("the attack failed:", repr(error), file=sys.stderr)
        return ""
"""

# Taken: the answer of the app says so itself.
TAKES = {
    "read-the-hidden-tests": "return open({secret!r}).read()",
    "read-through-a-link": ("os.symlink({secret!r}, 'link'); return open('link').read()"),
    "read-through-proc-root": ("return open('/proc/{pid}/root' + {secret!r}).read()"),
    "read-through-proc-cwd": "return os.listdir('/proc/{pid}/cwd')",
    "list-a-folder": "return [n for n in os.listdir({folder!r}) if n == 'secret.txt']",
    "read-the-users-of-the-machine": "return 'root' in open('/etc/passwd').read()",
    "read-the-environment-of-a-process": ("return {token!r} in open('/proc/{pid}/environ').read()"),
    "read-a-command-line": "return {token!r} in open('/proc/{pid}/cmdline').read()",
    "find-processes": (
        # psutil leaves out those that end meanwhile.
        "import psutil\n"
        "    return [p.pid for p in psutil.process_iter(['cmdline']) "
        "if {token!r} in str(p.info['cmdline'])]"
    ),
    "read-the-memory-of-a-process": (
        "low = int(open('/proc/{pid}/maps').readline().split('-')[0], 16)\n"
        "    memory = open('/proc/{pid}/mem', 'rb', 0)\n"
        "    memory.seek(low)\n"
        "    return memory.read(4)"
    ),
    "trace-a-process": (
        "assert libc.ptrace(16, {pid}, None, None) == 0\n"
        "    os.waitpid({pid}, 0x40000000)\n"
        "    libc.ptrace(17, {pid}, None, None)\n"
        "    return 'attached'"
    ),
    "connect-to-the-hosts-loopback": (
        "return socket.create_connection(('127.0.0.1', {port}), 5).recv(99)"
    ),
    "connect-to-an-abstract-socket": (
        "s = socket.socket(socket.AF_UNIX); s.connect('\\0' + {abstract!r}); return s.recv(99)"
    ),
    "connect-to-a-socket-in-a-folder": (
        "s = socket.socket(socket.AF_UNIX); s.connect({unix!r}); return s.recv(99)"
    ),
    "see-the-networks-of-the-machine": (
        "return [n for _, n in socket.if_nameindex() if n != 'lo']"
    ),
    "read-shared-memory": (
        "libc.shmat.restype = ctypes.c_void_p\n"
        "    at = libc.shmat({shared_memory}, None, 0o10000)\n"
        "    assert at != ctypes.c_void_p(-1).value\n"
        "    return ctypes.string_at(at, {length})"
    ),
    "read-a-posix-segment": "return open({segment!r}).read()",
    "be-the-graders-user": "return os.getuid() == {uid}",
    "write-beside-the-packages": (
        "import fastapi; return os.access(os.path.dirname(fastapi.__file__), os.W_OK)"
    ),
    "write-a-pth-file": (
        "import sysconfig; return os.access(sysconfig.get_paths()['purelib'], os.W_OK)"
    ),
    "leave-something-in-tmp": (
        "path = '/tmp/left-by-' + {token!r}\n"
        "    seen = os.path.exists(path)\n"
        "    open(path, 'w').close()\n"
        "    return seen"
    ),
    "leave-something-in-shared-memory": (
        "path = '/dev/shm/left-by-' + {token!r}\n"
        "    seen = os.path.exists(path)\n"
        "    open(path, 'w').close()\n"
        "    return seen"
    ),
}


def _is_written(targets: Targets) -> bool:
    return not targets.secret.is_file() or targets.secret.read_text() != SECRET


def _is_stopped(targets: Targets) -> bool:
    return targets.process.status() == psutil.STATUS_STOPPED


def _is_gone(targets: Targets) -> bool:
    return not targets.process.is_running() or targets.process.status() == psutil.STATUS_ZOMBIE


# Changed: whoever looks from outside sees it.
CHANGES: dict[str, tuple[str, Callable[[Targets], object]]] = {
    "write-a-file": ("open({secret!r}, 'w').write('mine')", _is_written),
    "delete-a-file": ("os.unlink({secret!r})", _is_written),
    "rename-a-file": ("os.rename({secret!r}, {secret!r} + '.old')", _is_written),
    "write-through-a-link": (
        "os.symlink({secret!r}, 'link'); open('link', 'w').write('mine')",
        _is_written,
    ),
    "write-through-a-hard-link": (
        "os.link({secret!r}, 'link'); open('link', 'w').write('mine')",
        _is_written,
    ),
    "write-through-proc": (
        "open('/proc/{pid}/root' + {secret!r}, 'w').write('mine')",
        _is_written,
    ),
    "kill-a-process": ("os.kill({pid}, signal.SIGKILL)", _is_gone),
    "stop-a-process": ("os.kill({pid}, signal.SIGSTOP)", _is_stopped),
    "slow-a-process-down": (
        "os.setpriority(os.PRIO_PROCESS, {pid}, 15)",
        lambda t: t.process.nice() == 15,
    ),
    "limit-a-process": (
        "import resource; resource.prlimit({pid}, resource.RLIMIT_CORE, (0, 0))",
        lambda t: t.process.rlimit(psutil.RLIMIT_CORE)[1] == 0,
    ),
    "speak-to-the-hosts-loopback": (
        "s = socket.socket(type=socket.SOCK_DGRAM); s.sendto(b'hello', ('127.0.0.1', {udp_port}))",
        lambda t: t.heard,
    ),
    "forge-a-letter-at-anothers-mailroom": (
        "import httpx; httpx.post({mailroom!r} + '/letters', json={{'to': 'mallory'}})",
        lambda t: t.mailroom.letters,
    ),
    "write-shared-memory": (
        (
            "libc.shmat.restype = ctypes.c_void_p\n"
            "    at = libc.shmat({shared_memory}, None, 0)\n"
            "    assert at != ctypes.c_void_p(-1).value\n"
            "    ctypes.memmove(at, b'mine', 4)"
        ),
        lambda t: _shared(t) != SECRET.encode(),
    ),
    "write-a-posix-segment": (
        "open({segment!r}, 'w').write('mine')",
        lambda t: t.segment.read_text() != SECRET,
    ),
}


def _shared(targets: Targets) -> bytes:
    import ctypes

    libc = ctypes.CDLL(None)
    libc.shmat.restype = ctypes.c_void_p
    address = libc.shmat(targets.shared_memory, None, 0o10000)
    found = ctypes.string_at(address, len(SECRET))
    libc.shmdt(ctypes.c_void_p(address))
    return found


def run(body: str, targets: Targets, place: Callable[[Mapping[str, str]], OwnMachine]) -> str:
    """Grade the attack in this place; return what it took, as the verdict says it."""
    known = {"token": SECRET, "length": len(SECRET), "uid": os.getuid(), **targets.fields()}
    text = APP.format(body=f"    {body.format(**known)}")
    source = notebook(
        answer(), code("", "checks-setup", locked=True), check_cell(CHECK, "nothing-is-taken", 1)
    )
    exercise = Exercise.from_notebook("01-attack", source)
    report = grade(exercise, {"newsletter.py": text}, place)
    (result,) = report.results
    assert report.outcome != "broken", result
    return "" if report.outcome == "passed" else result.verdict.saw


@pytest.fixture(scope="module")
def taken(shared_targets: Targets) -> dict[str, tuple[str, str]]:
    """What each attack took without a wall, and behind it: twice, for what an earlier one left."""

    def attack(name: str) -> tuple[str, str]:
        for _ in range(2 if name.startswith("leave-") else 1):
            outside, inside = (run(TAKES[name], shared_targets, p) for p in (OwnMachine, Sandbox))
        return outside, inside

    try:
        with ThreadPoolExecutor(8) as executor:
            return dict(zip(TAKES, executor.map(attack, TAKES), strict=True))
    finally:
        for folder in ("/tmp", "/dev/shm"):
            Path(f"{folder}/left-by-{SECRET}").unlink(missing_ok=True)


@pytest.mark.parametrize("name", TAKES)
def test_nothing_is_taken(name: str, taken: dict[str, tuple[str, str]]) -> None:
    outside, inside = taken[name]
    if name == "be-the-graders-user" and os.getuid():
        pytest.skip("a user namespace shows another number for the same user")
    assert outside.startswith("loot: "), "the attack does not even work without a wall"
    assert not inside


@pytest.mark.parametrize("name", CHANGES)
def test_nothing_is_changed(name: str, targets: Targets) -> None:
    body, has_changed = CHANGES[name]
    run(body, targets, Sandbox)
    # Once the grading is over, whatever it did is done.
    assert not has_changed(targets)
    run(body, targets, OwnMachine)
    assert comes_true(lambda: has_changed(targets), within=30), "it works without a wall"

"""What code behind the wall can reach, asked from inside."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from autograde.places import Limits, Sandbox
from tasklab.gates import wait_until
from tests.tasklab.conftest import is_alive

if TYPE_CHECKING:
    from tests.autograde.courses import Course

ROOT = Path(__file__).resolve().parents[2]
MIB = 1024**2
LIMITS = Limits(processes=32, file_size=MIB, addresses=256 * MIB, open_files=64)
# Runs the body given as its argument, which sets `found`, and says it as JSON.
PROBE = """\
import json, os, sys
names = {"os": os, "sys": sys}
try:
    exec(sys.argv[1], names)
    said = names.get("found")
except Exception as error:
    said = type(error).__name__
print(json.dumps(said), flush=True)
"""
STEALS = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def read(path):
    try:
        with open(path, "rb", 0) as file:
            file.read(1)
    except OSError as error:
        return type(error).__name__
    return "read"
"""


class Inside:
    """One sandbox, and code that is run in it."""

    def __init__(self, place: Sandbox) -> None:
        self.place = place

    def run(self, body: str) -> Any:
        read, write = os.pipe()
        with os.fdopen(read) as log:
            try:
                self.place.spawn(["probe", body], folder=self.place.start_folder(), log=write)
            finally:
                os.close(write)
            line = log.readline()
        assert line, "the probe said nothing"
        return json.loads(line)


def make(limits: Limits = LIMITS) -> Sandbox:
    return Sandbox({"probe.py": PROBE}, warm=False, limits=limits)


@pytest.fixture(scope="module")
def inside() -> Iterator[Inside]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADEBOOK_PASSWORD", "secret")
        with make() as place:
            place.wait_ready()
            yield Inside(place)


# -- the network ----------------------------------------------------------------------------------


def test_there_is_no_network_but_its_own_loopback(inside: Inside) -> None:
    assert inside.run("import socket; found = [n for _, n in socket.if_nameindex()]") == ["lo"]
    reach = "import socket; socket.create_connection(('192.0.2.1', 80), 20); found = 'reached'"
    assert inside.run(reach) == "OSError"


def test_its_own_loopback_works(inside: Inside) -> None:
    talk = """
import socket
with socket.create_server(("127.0.0.1", 0)) as server:
    with socket.create_connection(server.getsockname()) as client:
        other, _ = server.accept()
        client.sendall(b"letter")
        found = other.recv(6).decode()
        other.close()
"""
    assert inside.run(talk) == "letter"


def test_the_hosts_loopback_is_another(inside: Inside) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        reach = f"import socket; socket.create_connection(('127.0.0.1', {port}), 20); found = 1"
        assert inside.run(reach) == "ConnectionRefusedError"


# -- files and the environment --------------------------------------------------------------------


def test_of_the_project_only_its_interpreter_is_in_sight(inside: Inside) -> None:
    folder = f"found = os.listdir({str(ROOT)!r}) if os.path.isdir({str(ROOT)!r}) else []"
    assert set(inside.run(folder)) <= {Path(sys.prefix).name}


def test_home_gradebook_and_submissions_are_out_of_sight(inside: Inside, course: Course) -> None:
    gradebook = course.root / "classroom" / "gradebook.db"
    submitted = course.submit("ada", b"{}")
    gradebook.write_bytes(b"")
    paths = [course.root, gradebook, submitted, Path.home() / ".bashrc", Path("/etc/passwd")]
    asked = f"found = [os.path.exists(path) for path in {[str(path) for path in paths]!r}]"
    assert inside.run(asked) == [False] * len(paths)


def test_nothing_but_its_own_places_can_be_written(inside: Inside) -> None:
    asked = """
found = []
for folder in ("/", "/usr", "/etc", "/dev", "/proc/sys/kernel", sys.prefix, "/usr/local/share",
               "/newsletter", "/tmp", "/dev/shm"):
    try:
        with open(os.path.join(folder, "mine"), "w"):
            found.append(folder)
    except OSError:
        pass
"""
    assert inside.run(asked) == ["/newsletter", "/tmp", "/dev/shm"]


def test_the_environment_is_empty_of_ours(inside: Inside) -> None:
    names = inside.run("found = sorted(os.environ)")
    ours = ["MALLOC_ARENA_MAX", "PATH", "PYTHONDONTWRITEBYTECODE", "SSL_CERT_DIR"]
    assert names == ["HOME", "LANG", *ours]


# -- the keeper -----------------------------------------------------------------------------------


def test_the_keeper_is_in_sight_and_cannot_be_read(inside: Inside) -> None:
    assert inside.run("found = [os.getppid(), os.path.isdir('/proc/1')]") == [1, True]
    body = f"{STEALS}\nfound = [read(f'/proc/1/{{n}}') for n in ('mem', 'environ', 'maps')]"
    assert inside.run(body) == ["PermissionError"] * 3
    assert inside.run("os.listdir('/proc/1/fd'); found = 'listed'") == "PermissionError"


def test_the_keeper_cannot_be_traced(inside: Inside) -> None:
    body = f"""{STEALS}
ATTACH, SEIZE, DETACH = 16, 0x4206, 17
found = [libc.ptrace(how, 1, None, None) for how in (SEIZE, ATTACH)]
"""
    assert inside.run(body) == [-1, -1]
    body = f"""{STEALS}
class Part(ctypes.Structure):
    _fields_ = [("start", ctypes.c_void_p), ("size", ctypes.c_size_t)]
held = ctypes.create_string_buffer(8)
here, there = Part(ctypes.addressof(held), 8), Part(id(Part), 8)
found = libc.process_vm_readv(1, ctypes.byref(here), 1, ctypes.byref(there), 1, 0), \\
    ctypes.get_errno()
"""
    assert inside.run(body) == [-1, 1], "EPERM, not EFAULT: it may not even try"


@pytest.mark.parametrize("name", ["SIGKILL", "SIGSTOP", "SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1"])
def test_the_keeper_does_not_mind_a_signal(name: str, inside: Inside) -> None:
    """As process 1 of its namespace it gets no signal from inside that it does not ask for."""
    keeper = inside.place.control.process
    assert keeper is not None
    inside.run(f"import signal; os.kill(1, signal.{name}); found = 'sent'")
    assert inside.run("found = 'still there'") == "still there"
    assert keeper.poll() is None


# -- limits that the kernel keeps -----------------------------------------------------------------


def test_memory_has_an_end(inside: Inside) -> None:
    assert inside.run("held = bytearray(100 << 20); found = 'less'") == "less"
    assert inside.run("held = bytearray(300 << 20); found = 'more'") == "MemoryError"


def test_a_file_has_an_end(inside: Inside) -> None:
    write = (
        "file = open('long', 'wb', 0); found = sum(file.write(bytes(1 << 19)) for _ in range({}))"
    )
    assert inside.run(write.format(2)) == MIB
    assert inside.run(write.format(3)) == "OSError"


def test_open_files_have_an_end(inside: Inside) -> None:
    assert inside.run("held = [open('/dev/null') for _ in range(50)]; found = 'few'") == "few"
    assert inside.run("held = [open('/dev/null') for _ in range(64)]; found = 'many'") == "OSError"


FORKS = """
import signal
found = 0
while found < 20:
    if os.fork() == 0:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
        os.setsid()
        signal.pause()
    found += 1
print(found, flush=True)
signal.pause()
"""


def test_processes_have_an_end() -> None:
    with make() as place:
        place.wait_ready()
        assert place.excess() == ""
        read, write = os.pipe()
        forks = FORKS.replace("found < 20", "True")
        place.spawn(["probe", forks], folder=place.start_folder(), log=write)
        os.close(write)
        wait_until(lambda: place.excess() and not place.processes(), within=60, what="their end")
        assert place.excess() == "the app started more than 32 processes and threads"
        os.close(read)


def test_no_process_outlives_the_place() -> None:
    """They have left their session and heed no signal that can be blocked."""
    with make() as place:
        place.wait_ready()
        assert Inside(place).run(FORKS) == 20
        left = place.processes()
        assert len(left) > 20
        assert all(is_alive(process) for process in left)
    assert not [process for process in left if is_alive(process)]


def test_a_grader_that_is_killed_leaves_nothing(tmp_path: Path) -> None:
    """Nobody closes the place: the wall itself must fall."""
    program = tmp_path / "grader.py"
    program.write_text(
        "import os, signal, sys\n"
        "from autograde.places import Sandbox\n"
        f"place = Sandbox({{'probe.py': {PROBE!r}}}, warm=False).start()\n"
        "place.wait_ready()\n"
        "read, write = os.pipe()\n"
        f"place.spawn(['probe', {FORKS!r}], folder=place.start_folder(), log=write)\n"
        "os.read(read, 100)\n"
        "print(*[p.pid for p in place.processes()], flush=True)\n"
        "signal.pause()\n",
        encoding="utf-8",
    )
    with subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE, text=True) as grader:
        try:
            assert grader.stdout is not None
            left = [psutil.Process(int(word)) for word in grader.stdout.readline().split()]
        finally:
            grader.kill()
    assert len(left) > 16
    wait_until(lambda: not [p for p in left if is_alive(p)], what="the end of the sandbox")

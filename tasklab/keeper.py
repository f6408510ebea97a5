"""Start, watch and end processes for another process, and end them all when it goes away.

Runs as a program of its own. The other side (tasklab.launcher) speaks to it over a socket: one
JSON object a line, file descriptors beside it. When that socket closes, for whatever reason,
every process started here is killed: a kernel that is restarted or killed cannot leave a server
behind. In a grading sandbox this is process 1.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

_LISTENING = 3
_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG
_DUMPABLE = 4  # PR_SET_DUMPABLE: 0 forbids ptrace and /proc/PID/mem to the same user
_NO_NEW_PRIVILEGES = 38  # PR_SET_NO_NEW_PRIVS
_SECCOMP, _SECCOMP_FILTER = 22, 2  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER


def prctl(option: int, value: int) -> None:
    """Ask the kernel for a process attribute; do nothing where there is no prctl (macOS)."""
    if sys.platform != "linux":
        return
    import ctypes

    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def forbid(program: bytes) -> None:
    """Run this process and all that it starts under a seccomp program."""
    import ctypes

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))

    filled = Program(len(program) // 8, program)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    if libc.prctl(_SECCOMP, _SECCOMP_FILTER, ctypes.byref(filled), 0, 0):
        raise OSError(ctypes.get_errno(), "the kernel does not take the filter")


def become_user(user: int) -> None:
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)


class Job(NamedTuple):
    """What a forked child is to become."""

    request: dict[str, Any]
    keeper: int
    log: int
    listening: int | None

    def prepare(self) -> None:
        """Turn the copy of the keeper into a fresh process."""
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDWR), 0)
        os.dup2(self.log, 1)
        os.dup2(self.log, 2)
        # Last, because the log may have that number until now.
        if self.listening is not None:
            os.dup2(self.listening, _LISTENING)
            os.set_inheritable(_LISTENING, True)
        os.closerange(4 if self.listening is not None else 3, 4096)
        self._limit()
        os.chdir(self.request["folder"])
        prctl(_DUMPABLE, 1)
        os.environ.clear()
        os.environ.update(self.request["environment"])
        # Late, because another user may not be allowed to import from here.
        if self.request.get("user") is not None and os.geteuid() == 0:
            become_user(self.request["user"])
        # Should the keeper itself be killed, nobody is left to sweep. A new user forgets this.
        prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != self.keeper:
            os._exit(1)

    def _limit(self) -> None:
        import resource

        for name, value in self.request.get("limits", {}).items():
            kind = getattr(resource, f"RLIMIT_{name}")
            hard = resource.getrlimit(kind)[1]
            least = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(kind, (least, least))

    def become(self) -> None:
        """Run the program: as `python -m MODULE` in this warm interpreter, or by exec."""
        arguments = self.request["arguments"]
        if not self.request.get("warm"):
            os.execvpe(arguments[0], arguments, os.environ)
        module = arguments[0]
        sys.argv = [module, *arguments[1:]]
        sys.path.insert(0, self.request["folder"])
        runpy.run_module(module, run_name="__main__", alter_sys=True)


class Keeper:
    """Serve the requests that come over one control socket."""

    def __init__(self, control: socket.socket, *, guard: bool, alone: bool = False) -> None:
        self.control = control
        self.guard = guard
        self.alone = alone
        self.home = os.getcwd() if guard else ""
        self.buffer = b""
        self.descriptors: list[int] = []
        self.running: set[int] = set()
        self.staged = 0

    def keep(self) -> Job | None:
        """Answer requests until the other side goes away. Return a Job in a forked child only."""
        wake, wake_write = os.pipe()
        os.set_blocking(wake_write, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        # Ctrl-C in a terminal reaches the whole group: the other side decides what it means.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        waiting = select.poll()
        for descriptor in (self.control.fileno(), wake):
            waiting.register(descriptor, select.POLLIN)
        self.say({"event": "ready"})
        while True:
            readable = {descriptor for descriptor, _ in waiting.poll()}
            if wake in readable:
                os.read(wake, 4096)
                self.reap()
            if self.control.fileno() in readable:
                request = self.hear()
                if request is None:
                    return None
                if (job := self.serve(request)) is not None:
                    signal.set_wakeup_fd(-1)
                    return job

    def hear(self) -> dict[str, Any] | None:
        while b"\n" not in self.buffer:
            data, descriptors = b"", list[int]()
            with contextlib.suppress(ConnectionError):
                data, descriptors, _, _ = socket.recv_fds(self.control, 1 << 20, 8)
            self.descriptors.extend(descriptors)
            if not data:
                return None
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return dict(json.loads(line))

    def say(self, message: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            socket.send_fds(self.control, [json.dumps(message).encode(), b"\n"], list(descriptors))

    def serve(self, request: dict[str, Any]) -> Job | None:
        handed, self.descriptors = self.descriptors, []
        answer: dict[str, Any] = {"id": request["id"]}
        given: list[int] = []
        try:
            if request["do"] == "unpack":
                unpack(handed[0], request["folder"])
                answer["reply"] = True
            elif request["do"] == "start":
                job = Job(request, os.getpid(), handed[0], handed[1] if handed[1:] else None)
                pid = os.fork()
                if pid == 0:
                    return job
                self.running.add(pid)
                answer["reply"] = pid
            else:
                answer["reply"] = self.act(request, given)
        except (OSError, ValueError, IndexError) as error:
            answer["error"] = f"{type(error).__name__}: {error}"
        self.say(answer, given)
        for descriptor in (*handed, *given):
            os.close(descriptor)
        return None

    def act(self, request: dict[str, Any], given: list[int]) -> Any:
        match request["do"]:
            case "signal":
                # Until it is reaped its number cannot be another's.
                if alive := request["pid"] in self.running:
                    os.kill(request["pid"], request["signal"])
                return alive
            case "end":
                self.end(request["pid"])
            case "stage":
                return self.stage(request["files"])
            case "listen":
                given.append(socket.create_server(("127.0.0.1", 0), backlog=512).detach())
            case "sockets":
                given.extend(socket.socket().detach() for _ in range(request["count"]))
        return True

    def reap(self) -> bool:
        """Collect the exit codes of the dead; return whether a child is left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid in self.running:
                self.running.discard(pid)
                self.say({"event": "exit", "pid": pid, "code": os.waitstatus_to_exitcode(status)})

    def end(self, pid: int) -> None:
        """Kill one job and what it started; if no other job runs, everything that is left."""
        if not self.running - {pid}:
            self.sweep()
            return
        while pid in self.running:
            kill_family(pid)
            self.reap()
            time.sleep(0.001)

    def sweep(self) -> None:
        """Kill every process that was started here and all that those started."""
        while self.reap():
            if self.alone:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(-1, signal.SIGKILL)
            else:
                kill_family(os.getpid(), spare=True)
            time.sleep(0.001)

    def stage(self, files: dict[str, str]) -> str:
        """Write the files into a new folder, so that no start sees what an earlier one left."""
        if not self.guard and not self.home:
            import tempfile

            # Another user, whom a database asks for, cannot enter a TMPDIR of root's own.
            is_root = os.geteuid() == 0
            self.home = tempfile.mkdtemp(prefix="newsletter-", dir="/tmp" if is_root else None)
            if is_root:
                os.chmod(self.home, 0o711)
        if not self.running:
            self.clear()
        self.staged += 1
        folder = os.path.join(self.home, f"start-{self.staged}")
        os.mkdir(folder)
        for name, text in files.items():
            with open(os.path.join(folder, name), "w", encoding="utf-8", newline="") as file:
                file.write(text)
        return folder

    def clear(self) -> None:
        """Remove what earlier starts left where they could write."""
        import shutil

        for place in (self.home, *(("/tmp", "/dev/shm") if self.guard else ())):
            for name in os.listdir(place):
                path = os.path.join(place, name)
                if path == self.home:
                    continue
                # A tree too deep for rmtree stays.
                with contextlib.suppress(OSError, RecursionError):
                    if os.path.isdir(path) and not os.path.islink(path):
                        shutil.rmtree(path)
                    else:
                        os.unlink(path)


def unpack(descriptor: int, folder: str) -> None:
    """Unpack a tar file that was made here; as root its files keep their owner."""
    import tarfile

    with (
        os.fdopen(descriptor, "rb", closefd=False) as file,
        tarfile.open(fileobj=file, mode="r:") as archive,
    ):
        archive.extraction_filter = lambda member, _: member
        archive.extractall(folder, numeric_owner=True)


def kill_family(pid: int, *, spare: bool = False) -> None:
    """Kill a process and all its descendants; with `spare`, only those."""
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        parent = psutil.Process(pid)
        for process in [*parent.children(recursive=True), *([] if spare else [parent])]:
            with contextlib.suppress(psutil.Error):
                process.kill()


def main() -> Job | None:
    """Keep what the command line asks for: DESCRIPTOR and options.

    --warm MODULE,MODULE imports these at once; --user N becomes that user; --filter HEX obeys that
    seccomp program. With --guard, no process of the same user may look into this one or steer it,
    and as process 1, or as a user of its own, it ends everything that it may.
    """
    descriptor, *options = sys.argv[1:]
    guard = "--guard" in options
    alone = guard and (os.getpid() == 1 or "--user" in options)
    control = socket.socket(fileno=int(descriptor))
    # The folder of this file must not offer its modules to the processes started here.
    sys.path[:] = [entry for entry in sys.path if entry != os.path.dirname(__file__)]
    if "--user" in options:
        become_user(int(options[options.index("--user") + 1]))
    if "--filter" in options:
        forbid(bytes.fromhex(options[options.index("--filter") + 1]))
    if guard:
        prctl(_DUMPABLE, 0)
    if os.getpid() != 1:
        prctl(_SUBREAPER, 1)
    if "--warm" in options:
        # gunicorn notes the current folder when it is imported; "." still holds in a later one.
        os.environ["PWD"] = "."
        # Collecting garbage while modules load finds none, and takes a fifth of the time.
        gc.disable()
        for name in options[options.index("--warm") + 1].split(","):
            importlib.import_module(name)
        gc.enable()
        # No collection in a forked child then looks at, and so copies, what is shared.
        gc.freeze()
    keeper = Keeper(control, guard=guard, alone=alone)
    job = keeper.keep()
    if job is None:
        keeper.sweep()
        if keeper.home and not guard:
            keeper.clear()
            os.rmdir(keeper.home)
        # Nothing here needs an orderly end, and the other side waits for it.
        os._exit(0)
    return job


if __name__ == "__main__":
    # The child starts its program from here, so that it also ends as a program does.
    _job = main()
    if _job is not None:
        _job.prepare()
        _job.become()

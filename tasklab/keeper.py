"""Start, watch and end processes for another process, and end them all when it goes away.

Runs as a program of its own, with the standard library only. The other side (tasklab.launcher)
speaks to it over a socket: one JSON object a line, file descriptors beside it. When that socket
closes, for whatever reason, every process started here is killed: a kernel that is restarted or
killed cannot leave a server behind. In a grading sandbox this is process 1.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import time
from typing import Any

_LISTENING = 3
_CONTROL_MESSAGE = 1 << 20
_MOST_DESCRIPTORS = 8
_DUMPABLE = 4  # PR_SET_DUMPABLE: 0 forbids ptrace and /proc/PID/mem to the same user
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER


def prctl(option: int, value: int) -> None:
    """Ask the kernel for a process attribute; do nothing where there is no prctl (macOS)."""
    if sys.platform != "linux":
        return
    import ctypes

    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


class Job:
    """What a forked child is to become."""

    def __init__(self, request: dict[str, Any], log: int, listening: int | None) -> None:
        self.request = request
        self.log = log
        self.listening = listening

    def prepare(self) -> None:
        """Turn the forked copy of the keeper into a fresh process: descriptors, limits, folder."""
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        log = self.log
        if log == _LISTENING:
            log = os.dup(log)
        if self.listening is not None:
            os.dup2(self.listening, _LISTENING)
            os.set_inheritable(_LISTENING, True)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.closerange(4 if self.listening is not None else 3, 4096)
        self._limit()
        os.chdir(self.request["folder"])
        prctl(_DUMPABLE, 1)
        os.environ.clear()
        os.environ.update(self.request["environment"])

    def _limit(self) -> None:
        import resource

        for name, value in self.request.get("limits", {}).items():
            kind = getattr(resource, f"RLIMIT_{name}")
            _, hard = resource.getrlimit(kind)
            if hard != resource.RLIM_INFINITY:
                value = min(value, hard)
            resource.setrlimit(kind, (value, value))

    def become(self) -> None:
        """Run the program: as `python -m MODULE` in this warm interpreter, or by exec."""
        arguments = self.request["arguments"]
        if not self.request.get("warm"):
            os.execvpe(arguments[0], arguments, os.environ)
        module = arguments[0]
        sys.argv = [module, *arguments[1:]]
        sys.path.insert(0, self.request["folder"])
        runpy.run_module(module, run_name="__main__", alter_sys=True)


def living_children() -> list[int]:
    """Return the process ids of all that descend from this one and are no zombies."""
    import psutil

    living = []
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if child.status() != psutil.STATUS_ZOMBIE:
                living.append(child.pid)
    return living


class Keeper:
    """Serve the requests that come over one control socket."""

    def __init__(self, control: socket.socket, *, guard: bool) -> None:
        self.control = control
        self.guard = guard
        self.buffer = b""
        self.descriptors: list[int] = []
        self.started: set[int] = set()
        self.staged = 0

    def keep(self) -> Job | None:
        """Answer requests until the other side goes away. Return a Job in a forked child only."""
        wake, wake_write = os.pipe()
        for end in (wake, wake_write):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # Ctrl-C in a terminal reaches the whole group: the other side decides what it means.
            signal.signal(number, signal.SIG_IGN)
        self.say({"event": "ready"})
        while True:
            readable, _, _ = select.select([self.control, wake], [], [])
            if wake in readable:
                with contextlib.suppress(BlockingIOError):
                    os.read(wake, 4096)
                self.reap()
            if self.control in readable:
                request = self.hear()
                if request is None:
                    self.sweep()
                    return None
                job = self.serve(request)
                if job is not None:
                    signal.set_wakeup_fd(-1)
                    return job

    def hear(self) -> dict[str, Any] | None:
        while b"\n" not in self.buffer:
            data, descriptors, _, _ = socket.recv_fds(
                self.control, _CONTROL_MESSAGE, _MOST_DESCRIPTORS
            )
            self.descriptors.extend(descriptors)
            if not data:
                return None
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        request: dict[str, Any] = json.loads(line)
        return request

    def say(self, message: dict[str, Any], descriptors: list[int] | None = None) -> None:
        data = json.dumps(message).encode() + b"\n"
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            if descriptors:
                socket.send_fds(self.control, [data], descriptors)
            else:
                self.control.sendall(data)

    def serve(self, request: dict[str, Any]) -> Job | None:
        handed, self.descriptors = self.descriptors, []
        try:
            match request["do"]:
                case "start":
                    log, listening = handed[0], handed[1] if len(handed) > 1 else None
                    job = Job(request, log, listening)
                    pid = os.fork()
                    if pid == 0:
                        return job
                    self.started.add(pid)
                    self.say({"reply": pid})
                case "signal":
                    self.say({"reply": self.send_signal(request["pid"], request["signal"])})
                case "sweep":
                    self.say({"reply": self.sweep()})
                case "stage":
                    self.say({"reply": self.stage(request["parent"], request["files"])})
                case "listen":
                    listener = socket.create_server((request["host"], 0), backlog=512)
                    self.say({"reply": listener.getsockname()[1]}, [listener.fileno()])
                    listener.close()
        except OSError as error:
            self.say({"error": f"{type(error).__name__}: {error}"})
        finally:
            if os.getpid() == self._own_pid:
                for descriptor in handed:
                    os.close(descriptor)
        return None

    _own_pid = os.getpid()

    def send_signal(self, pid: int, number: int) -> bool:
        if pid not in self.started:
            return False
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return False
        return True

    def reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self.started:
                self.say({"event": "exit", "pid": pid, "code": os.waitstatus_to_exitcode(status)})

    def sweep(self) -> int:
        """Kill every process that was started here and all that those started."""
        swept: set[int] = set()
        if self.guard and os.getpid() == 1:
            with contextlib.suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)
        else:
            while children := living_children():
                swept.update(children)
                for child in children:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(child, signal.SIGKILL)
                # Whoever else waits for them (psutil does) takes their exit codes away from here.
                time.sleep(0.002)
                self.reap()
        self.reap()
        return len(swept)

    def stage(self, parent: str, files: dict[str, str]) -> str:
        """Write the files into a new folder, so that no start sees what an earlier one left."""
        self.staged += 1
        folder = os.path.join(parent, f"start-{self.staged}")
        os.mkdir(folder)
        os.chmod(folder, 0o777)
        for name, text in files.items():
            with open(os.path.join(folder, name), "w", encoding="utf-8", newline="") as file:
                file.write(text)
            os.chmod(os.path.join(folder, name), 0o666)
        return folder


def main() -> Job | None:
    """Keep what the command line asks for: DESCRIPTOR [--warm MODULE,MODULE] [--guard] [--user N].

    With --guard, no process of the same user may look into this one or steer it.
    """
    descriptor, *options = sys.argv[1:]
    guard = "--guard" in options
    control = socket.socket(fileno=int(descriptor))
    # The folder of this file must not offer its modules to the processes started here.
    sys.path[:] = [entry for entry in sys.path if entry != os.path.dirname(__file__)]
    if "--user" in options:
        user = int(options[options.index("--user") + 1])
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    if guard:
        prctl(_DUMPABLE, 0)
    else:
        prctl(_SUBREAPER, 1)
    if "--warm" in options:
        # gunicorn notes the current folder when it is imported; "." still holds in a later one.
        os.environ["PWD"] = "."
        for name in options[options.index("--warm") + 1].split(","):
            importlib.import_module(name)
    return Keeper(control, guard=guard).keep()


if __name__ == "__main__":
    # The child returns from main() and starts its program from here, so that it also ends as a
    # program does: exit handlers, waiting for threads, its own exit code.
    _job = main()
    if _job is not None:
        _job.prepare()
        _job.become()

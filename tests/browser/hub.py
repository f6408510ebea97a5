"""A JupyterHub as TEACHING.md sets it up, but on homes that one test made."""

from __future__ import annotations

import random
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from autograde.nbgrader_config import COURSE
from tasklab import wait_until
from tests.autograde.courses import Course
from tests.browser.lab import MARK, find_red_lines, person_environment

__all__ = ["Hub", "find_proxy", "open_hub"]

_ROOT = Path(__file__).resolve().parents[2]
_START_WITHIN = 300.0
_STOP_WITHIN = 180.0
# Above them, the system hands ports out to whoever asks for any.
_PORTS = range(20000, 32000)

# What nbgrader and JupyterHub say although all is well.
_NO_HARM = (
    "Formgrader not available at URL",  # another one, which would be a service of the hub's
    "Failed to get custom error page",  # the proxy, in the moment before the hub is there
    "404 GET /hub/login",
    "Received signal SIGTERM, initiating shutdown",
)

# Here all the people have one account, so nbgrader is told what a hub's accounts would tell.
_PERSON = """\
c = get_config()
c.Exchange.root = {exchange!r}
c.CourseDirectory.student_id = {student!r}
c.ExchangeCollect.check_owner = False
"""

_TESTED = """

c.JupyterHub.bind_url = "http://127.0.0.1:{public}"
c.JupyterHub.hub_bind_url = "http://127.0.0.1:{hub}"
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{proxy}"
c.ConfigurableHTTPProxy.command = [{command!r}]
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allowed_users = {people!r}
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = {homes!r}
c.Spawner.args = ["--allow-root"]
c.Spawner.start_timeout = c.Spawner.http_timeout = 300


def choose_copy(spawner):
    choose_course(spawner)
    # The environment of these tests imports the course around them, not the copy.
    copy = spawner.cmd[0].partition("/.venv/")[0]
    spawner.environment.update(PYTHONPATH=copy, {mark_name}={mark!r})


c.Spawner.pre_spawn_hook = choose_copy
"""


def find_proxy() -> str | None:
    """Return JupyterHub's proxy, which npm carries."""
    installed = _ROOT / ".proxy" / "node_modules" / ".bin" / "configurable-http-proxy"
    return str(installed) if installed.exists() else shutil.which(installed.name)


@dataclass
class Hub:
    """A hub that runs, or has run: its address and its people's folders."""

    url: str
    folder: Path

    def home(self, name: str) -> Path:
        return self.folder / "home" / name

    @property
    def log(self) -> Path:
        return self.folder / "hub.log"

    @property
    def red_lines(self) -> list[str]:
        found = find_red_lines(self.log)
        return [line for line in found if not any(words in line for words in _NO_HARM)]


def settings_on_the_page(courses: dict[str, Path], handout: Path) -> str:
    """Return what TEACHING.md puts into jupyterhub_config.py, with folders of this test."""
    page = (_ROOT / "TEACHING.md").read_text(encoding="utf-8")
    (block,) = (
        block
        for block in re.findall(r"(?ms)^```python\n(.*?)^```", page)
        if "c.Spawner.pre_spawn_hook" in block
    )
    teachers = {name: str(course) for name, course in courses.items()}
    block, one = re.subn(r"(?m)^TEACHERS = .*", f"TEACHERS = {teachers!r}", block)
    block, two = re.subn(r"(?m)^HANDOUT = .*", f"HANDOUT = {str(handout)!r}", block)
    assert (one, two) == (1, 1)
    return block


def _lay_out(course: Path) -> None:
    """Put what a clone or a hand-out has besides exercises into this folder."""
    for name in ("autograde", "tasklab"):
        leftovers = shutil.ignore_patterns("__pycache__")
        shutil.copytree(_ROOT / name, course / name, ignore=leftovers)
    (course / "exercises").mkdir(exist_ok=True)
    (course / ".venv").symlink_to(sys.prefix)


def _free_ports(count: int) -> list[int]:
    found: list[int] = []
    while len(found) < count:
        port = random.choice(_PORTS)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in found:
            found.append(port)
    return found


@contextmanager
def open_hub(
    folder: Path, content: dict[str, object], students: Sequence[str], proxy: str, mark: str
) -> Iterator[Hub]:
    """Run a hub on which `teacher` has a course of one exercise, and `students` have nothing."""
    people = ("teacher", *students)
    public, private, proxy_port = _free_ports(3)
    hub = Hub(f"http://127.0.0.1:{public}", folder)
    exchange = folder / "exchange"
    exchange.mkdir()
    exchange.chmod(0o777)
    for name in people:
        settings = hub.home(name) / ".jupyter" / "nbgrader_config.py"
        settings.parent.mkdir(parents=True)
        student = "*" if name == "teacher" else name
        settings.write_text(_PERSON.format(exchange=str(exchange), student=student), "utf-8")
    course = hub.home("teacher") / COURSE
    Course(course).source(content)
    _lay_out(course)
    _lay_out(folder / "handout")
    configuration = folder / "jupyterhub_config.py"
    configuration.write_text(
        settings_on_the_page({"teacher": course}, folder / "handout")
        + _TESTED.format(
            public=public,
            hub=private,
            proxy=proxy_port,
            command=proxy,
            people=set(people),
            homes=f"{folder}/home/{{username}}",
            mark_name=MARK,
            mark=mark,
        ),
        encoding="utf-8",
    )
    environment = {**person_environment(), "HOME": str(folder), MARK: mark}
    with hub.log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterhub", "--config", str(configuration)],
            cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
        )  # fmt: skip

    def answers() -> bool:
        assert process.poll() is None, f"JupyterHub did not start:\n{hub.log.read_text()}"
        try:
            return httpx.get(f"{hub.url}/hub/login").is_success
        except httpx.TransportError:
            return False

    try:
        wait_until(answers, within=_START_WITHIN, what="JupyterHub's log-in page")
        yield hub
    finally:
        process.send_signal(signal.SIGTERM)  # it ends its people's servers, too
        try:
            process.wait(_STOP_WITHIN)
        finally:
            process.kill()
            process.wait()

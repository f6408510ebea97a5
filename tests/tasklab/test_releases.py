"""Environments with other releases, made with the real pip; a small package stands for many."""

from __future__ import annotations

import multiprocessing
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import psutil
import pytest

from tasklab import releases
from tasklab.releases import NotInstalled, environment_with
from tasklab.servers import gunicorn, uvicorn
from tests.tasklab.conftest import is_alive

OLD = "sniffio==1.3.0"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the environments of one test apart; what pip downloaded may be used again."""
    monkeypatch.setattr(releases, "_cache_folder", lambda: tmp_path / "releases")
    return tmp_path / "releases"


def version_in(python: Path, package: str) -> str:
    code = f"from importlib.metadata import version; print(version({package!r}))"
    return subprocess.check_output([python, "-c", code], text=True).strip()


def packages_in(python: Path) -> list[str]:
    return sorted(path.name for path in python.parents[1].glob("lib/*/site-packages/*.dist-info"))


def test_the_environment_holds_exactly_what_was_asked_for(cache: Path) -> None:
    """Nothing is added, although httpcore asks for certifi and h11."""
    python = environment_with("httpcore==1.0.6")

    assert python.is_relative_to(cache)
    assert packages_in(python) == ["httpcore-1.0.6.dist-info"]
    assert sorted(path.suffix for path in cache.iterdir()) == ["", ".lock"]


def test_it_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    python = environment_with(OLD, "idna==3.10")
    monkeypatch.setenv("PIP_NO_INDEX", "1")

    assert environment_with("idna==3.10", OLD) == python


def test_another_list_is_another_environment() -> None:
    assert environment_with(OLD) != environment_with("sniffio==1.3.1")


def test_the_progress_counts_packages() -> None:
    told: list[tuple[int, int]] = []
    environment_with(OLD, "idna==3.10", progress=lambda seen, total: told.append((seen, total)))

    assert told[-1] == (2, 2)
    assert told == sorted(told)


def test_one_that_lost_its_python_is_made_anew() -> None:
    python = environment_with(OLD)
    python.unlink()
    python.symlink_to("/no/such/python")

    assert version_in(environment_with(OLD), "sniffio") == "1.3.0"


@pytest.mark.parametrize(
    "requirement", ["sniffio", "sniffio>=1.3", "sniffio==1.*", "--quiet", "", "sniffio==1; 1"]
)
def test_what_is_not_exact_is_refused(requirement: str) -> None:
    with pytest.raises(ValueError, match="is not an exact requirement; write it as 'fastapi=="):
        environment_with(requirement)


def test_an_empty_list_is_refused() -> None:
    with pytest.raises(ValueError, match="needs at least one requirement"):
        environment_with()


def test_without_an_index_one_sentence_says_so(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(NotInstalled) as raised:
        environment_with(OLD)

    assert str(raised.value) == (
        "sniffio==1.3.0 and what belongs to it cannot be installed: pip reaches no package index "
        "that has them; check the network and pip's own settings, and run this again."
    )
    assert [path.suffix for path in cache.iterdir()] == [".lock"]


def test_another_failure_is_told_in_pips_last_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_TIMEOUT", "soon")
    with pytest.raises(NotInstalled, match=r"pip's last words are `.*'soon'"):
        environment_with(OLD)


def test_a_cache_that_cannot_be_written_is_told(cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    with pytest.raises(NotInstalled, match="last words are `File exists`"):
        environment_with(OLD)


def ask(folder: Path) -> tuple[Path, int]:
    releases._cache_folder = lambda: folder
    told: list[int] = []
    return environment_with(OLD, progress=lambda seen, _: told.append(seen)), len(told)


def test_of_two_that_ask_at_once_one_makes_it(cache: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        answers = list(executor.map(ask, [cache, cache]))

    assert answers[0][0] == answers[1][0]
    assert sorted(told > 0 for _, told in answers) == [False, True]


@pytest.fixture
def pip_that_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Let pip find an index that takes the connection and says nothing."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as index:
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{index.getsockname()[1]}")
        yield tmp_path


def test_an_interrupted_installation_leaves_nothing_behind(
    cache: Path, pip_that_waits: Path
) -> None:
    class Interrupted(Exception):
        pass

    def interrupt(_seen: int, _total: int) -> None:
        raise Interrupted

    before = {child.pid for child in psutil.Process().children()}
    with pytest.raises(Interrupted):
        environment_with(OLD, progress=interrupt)

    left = [child for child in psutil.Process().children() if child.pid not in before]
    assert not any(is_alive(child) for child in left)
    assert [path.suffix for path in cache.iterdir()] == [".lock"]


_SERVES = """
from importlib.metadata import version

async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": version("uvicorn").encode()})
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["uvicorn", "gunicorn"])
def test_a_server_runs_on_the_releases_of_2022(
    kind: str, write_app: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.chdir(write_app(_SERVES, "versions.py"))
    python = environment_with(*releases.OF_2022)
    if kind == "uvicorn":
        server = uvicorn("versions:app", arguments=["--lifespan", "off"], python=python)
    else:
        worker = ("--worker-class", "uvicorn.workers.UvicornWorker")
        server = gunicorn("versions:app", arguments=worker, python=python)
    with server:
        assert server.get("/").text == "0.17.6"
    assert kind == "uvicorn" or "Starting gunicorn 20.1.0" in server.log

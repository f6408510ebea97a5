"""Every lesson runs in a clean kernel, shows what it showed when committed, and reads well."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, cast

import psutil
import pytest

from autograde.lessons import (
    LESSONS,
    LessonRun,
    copy_lessons,
    lesson_executor,
    run_apart,
    run_lesson,
)
from autograde.notebooks import read_notebook, source_of
from tasklab.gates import wait_until
from tasklab.releases import OF_2022, NotInstalled, environment_with

NOTEBOOKS = sorted(LESSONS.glob("*.ipynb"))
ROOT = LESSONS.parent
# All twelve together get four minutes of two processors; but the clock is shared with everybody's
# work, so it is the processors' time that is limited.
CPU_SECONDS = 30
TAG = "raises-exception"

each_lesson = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells_of(path: Path, kind: str) -> list[dict[str, Any]]:
    return [cell for cell in read_notebook(path)["cells"] if cell["cell_type"] == kind]


def text_of(value: str | list[str]) -> str:
    return value if isinstance(value, str) else "".join(value)


def words_of(cell: dict[str, Any]) -> list[tuple[str, str]]:
    """What a cell shows; of a picture only its title, because times differ from run to run."""
    shown = []
    for output in cell["outputs"]:
        if output["output_type"] == "stream":
            shown.append((output["name"], text_of(output["text"])))
        elif output["output_type"] == "error":
            shown.append(("error", output["ename"]))
        elif "<img" in text_of(output["data"].get("text/html", "")):
            title = text_of(output["data"]["text/plain"]).partition("\n")[0]
            shown.append(("picture", re.sub(r"\d+\.\d+ s|less than 0\.1 s", "… s", title)))
        else:
            data = output["data"]
            shown.append(("shown", text_of(data.get("text/markdown") or data["text/plain"])))
    return shown


def prose_of(path: Path) -> str:
    """The lesson's markdown without code and addresses, which follow other rules."""
    prose = "\n\n".join(source_of(cell) for cell in cells_of(path, "markdown"))
    prose = re.sub(r"^```.*?^```", "", prose, flags=re.DOTALL | re.MULTILINE)
    prose = re.sub(r"`[^`]*`", "", prose)
    return re.sub(r"\]\([^)]*\)", "]", prose)


def left_behind(folder: Path) -> list[str]:
    """Every process in the process table that works in the folder, or was started for it."""
    found = []
    for process in psutil.process_iter():
        try:
            started_for = process.environ().get("TMPDIR", "") == str(folder)
            if started_for or Path(process.cwd()).is_relative_to(folder):
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


@pytest.fixture(scope="session")
def missing_releases() -> str:
    """Install what a lesson would on its first run, before its time is taken; say why not."""
    try:
        environment_with(*OF_2022)
    except NotInstalled as problem:
        return str(problem)
    return ""


@pytest.fixture(scope="session")
def runs(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    missing_releases: str,
) -> Iterator[dict[Path, tuple[Path, Future[LessonRun]]]]:
    """Run the selected lessons side by side, each in a folder of its own: most of it is waiting."""
    with lesson_executor() as executor:
        started = {}
        for item in request.session.items:
            if (
                isinstance(item, pytest.Function)
                and item.originalname == "test_a_clean_run_shows_what_is_committed"
            ):
                path = cast("Path", item.callspec.params["path"])
                folder = tmp_path_factory.mktemp(path.stem)
                copy_lessons(folder)
                run = executor.submit(run_apart, folder / path.name, {"TMPDIR": str(folder)})
                started[path] = folder, run
        yield started
        executor.shutdown(cancel_futures=True)


def test_there_are_lessons() -> None:
    assert NOTEBOOKS[0].name == "00-start-here.ipynb"


@pytest.mark.slow
@pytest.mark.timeout(600)
@each_lesson
def test_a_clean_run_shows_what_is_committed(
    path: Path, runs: dict[Path, tuple[Path, Future[LessonRun]]], missing_releases: str
) -> None:
    """If only the outputs differ, `make lessons` renews them."""
    if missing_releases and "environment_with" in path.read_text(encoding="utf-8"):
        pytest.skip(missing_releases)
    folder, future = runs[path]
    run = future.result()
    wait_until(lambda: not left_behind(folder), what=f"the end of {left_behind(folder)}")

    for ran, committed in zip(run.notebook.cells, read_notebook(path)["cells"], strict=True):
        if ran["cell_type"] == "code":
            assert words_of(ran) == words_of(committed), source_of(committed)
    assert run.processor_time <= CPU_SECONDS, "a learner waits for this"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_borrowed_things_shows_the_same_on_postgres(tmp_path: Path) -> None:
    copy_lessons(tmp_path)
    path = tmp_path / "08-borrowed-things.ipynb"
    choice = 'DATABASE = \\"SQLite\\"'
    text = path.read_text(encoding="utf-8")
    assert choice in text
    path.write_text(text.replace(choice, 'DATABASE = \\"PostgreSQL\\"'), encoding="utf-8")
    notebook = run_lesson(path, {"TMPDIR": str(tmp_path)})

    committed = read_notebook(LESSONS / path.name)["cells"]
    for ran, cell in zip(notebook.cells, committed, strict=True):
        if ran["cell_type"] == "code":
            assert words_of(ran) == words_of(cell), source_of(cell)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_missing_newsletter_runs_to_its_end_without_a_package_index(tmp_path: Path) -> None:
    copy_lessons(tmp_path)
    offline = {"PIP_NO_INDEX": "1", "XDG_CACHE_HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    notebook = run_lesson(tmp_path / "11-the-missing-newsletter.ipynb", offline)
    words = "".join(
        text for cell in notebook.cells if "outputs" in cell for _, text in words_of(cell)
    )

    assert "pip reaches no package index that has them" in words
    assert "Skipped: the releases of 2022 are not installed." in words
    assert "| task | today |" in words


@each_lesson
def test_every_code_cell_is_committed_with_its_run(path: Path) -> None:
    counts = [cell["execution_count"] for cell in cells_of(path, "code")]
    assert counts == list(range(1, len(counts) + 1))
    assert any(cell["outputs"] for cell in cells_of(path, "code"))


@each_lesson
def test_a_cell_fails_only_where_it_says_so(path: Path) -> None:
    for cell in cells_of(path, "code"):
        failed = [out["ename"] for out in cell["outputs"] if out["output_type"] == "error"]
        announced = re.findall(r"# raises (\w+)$", source_of(cell), re.MULTILINE)
        assert failed == announced
        assert (TAG in cell["metadata"].get("tags", [])) == bool(announced)


@each_lesson
def test_claims_stand_beside_checks(path: Path) -> None:
    """Every section that runs something asserts something."""
    section, code = "", dict[str, str]()
    for cell in read_notebook(path)["cells"]:
        if cell["cell_type"] == "code":
            code[section] = code.get(section, "") + source_of(cell)
        elif headings := re.findall(r"^#{1,2} (.+)$", source_of(cell), re.MULTILINE):
            section = headings[-1]
    checked = re.compile(r"\bassert\b|\.expect\(")
    assert [name for name, text in code.items() if not checked.search(text)] == []


@each_lesson
def test_every_link_leads_somewhere(path: Path) -> None:
    markdown = "\n\n".join(source_of(cell) for cell in cells_of(path, "markdown"))
    links = re.findall(r"\]\(([^)#]+)", markdown)
    local = [link for link in links if not link.startswith("https://")]
    assert [link for link in local if not (path.parent / link).exists()] == []


@each_lesson
def test_folded_answers_can_be_opened_and_read(path: Path) -> None:
    for cell in cells_of(path, "markdown"):
        source = source_of(cell)
        assert source.count("<details>") == source.count("</details>")
        assert source.count("<details>") == len(
            re.findall(r"<details><summary>[^<]+</summary>\n\n[^<]", source)
        )
        assert source.count("</details>") == len(re.findall(r"\n\n</details>(?:\n\n|$)", source))


@each_lesson
def test_the_voice(path: Path) -> None:
    prose = prose_of(path)
    banned = r"!(?!\[)|\b(?:simply|just|obviously|we|we'll|our|let's)\b"
    assert re.findall(banned, prose, re.IGNORECASE) == []


@each_lesson
def test_nothing_in_the_file_belongs_to_one_machine_or_one_run(path: Path) -> None:
    text = re.sub(r"base64,[A-Za-z0-9+/=]+", "", path.read_text(encoding="utf-8"))
    assert re.findall(r"/tmp/|/root/|/home/|/Users/|127\.0\.0\.1:\d|\[\d{3,}\]", text) == []
    assert '"execution": {' not in text

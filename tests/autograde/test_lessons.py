"""Renewing the lessons' outputs; that each lesson runs is seen in tests/notebooks."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner
from nbclient.exceptions import CellExecutionError

from autograde import lessons
from autograde.notebooks import read_notebook
from tasklab.metronome import Metronome


def write_lesson(folder: Path, name: str, *sources: str) -> Path:
    notebook = nbformat.v4.new_notebook(  # type: ignore[no-untyped-call]
        cells=[nbformat.v4.new_code_cell(source) for source in sources]  # type: ignore[no-untyped-call]
    )
    path = folder / name
    nbformat.write(notebook, path)  # type: ignore[no-untyped-call]
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(lessons, "LESSONS", tmp_path)
    return tmp_path


@pytest.mark.timeout(300)
def test_a_lesson_that_fails_stays_as_it_was_and_the_others_are_renewed(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    failing = write_lesson(folder, "01-failing.ipynb", "print(1)", "1 / 0")
    before = failing.read_bytes()
    sound = write_lesson(folder, "02-sound.ipynb", "print(6 * 7)")

    told = CliRunner().invoke(lessons.main)

    assert told.exit_code == 1
    assert failing.read_bytes() == before
    assert read_notebook(sound)["cells"][0]["outputs"][0]["text"] == ["42\n"]
    assert "01-failing.ipynb fails and stays as it was. ZeroDivisionError" in told.stderr
    assert "Traceback" not in told.output + capfd.readouterr().err


@pytest.mark.timeout(300)
def test_a_lesson_is_named_with_or_without_its_ending_or_by_its_number(folder: Path) -> None:
    names = ("05-one.ipynb", "06-another.ipynb", "07-a-third.ipynb", "08-not-named.ipynb")
    *named, other = (write_lesson(folder, name, "print(6 * 7)") for name in names)
    before = other.read_bytes()

    told = CliRunner().invoke(lessons.main, ["05-one.ipynb", "06-another", "07"])

    assert told.exit_code == 0, told.output
    assert all(read_notebook(path)["cells"][0]["outputs"] for path in named)
    assert other.read_bytes() == before


def test_a_lesson_that_is_not_there_is_named_and_no_other_is_run(folder: Path) -> None:
    sound = write_lesson(folder, "02-sound.ipynb", "print(6 * 7)")
    before = sound.read_bytes()

    told = CliRunner().invoke(lessons.main, ["02-sound", "99-nowhere"])

    assert told.exit_code == 2
    assert "There is no lesson 99-nowhere in" in told.stderr
    assert sound.read_bytes() == before


def test_help_is_no_lesson() -> None:
    told = CliRunner().invoke(lessons.main, ["--help"])
    assert told.exit_code == 0
    assert "[LESSON]..." in told.output


@pytest.mark.timeout(300)
def test_a_kernel_has_nothing_to_warn_of(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Of a connection in plain text, say, once for each lesson."""
    lessons.run_lesson(write_lesson(tmp_path, "sound.ipynb", "print(6 * 7)"))
    assert capfd.readouterr().err == ""


@pytest.mark.timeout(300)
def test_what_a_lesson_used_is_measured_for_it_alone(tmp_path: Path) -> None:
    busy = "import time\nwhile time.process_time() < 3: pass"
    paths = [write_lesson(tmp_path, "busy.ipynb", busy), write_lesson(tmp_path, "idle.ipynb", "1")]
    with lessons.lesson_executor() as executor:
        ran = list(executor.map(lessons.run_apart, paths))

    assert ran[0].processor_time >= 3
    assert ran[1].processor_time < 3


@pytest.mark.timeout(300)
def test_a_lesson_that_failed_on_a_machine_that_stood_still_is_run_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its timeouts then killed who had done nothing wrong; elsewhere a failure is a failure."""
    fails_once = (
        "from pathlib import Path\nseen = Path('seen').exists()\nPath('seen').touch()\nassert seen"
    )
    path = write_lesson(tmp_path, "fails-once.ipynb", fails_once)

    monkeypatch.setattr(Metronome, "lateness", 0.0)
    with pytest.raises(CellExecutionError, match="AssertionError"):
        lessons.run_apart(path)
    tmp_path.joinpath("seen").unlink()
    monkeypatch.setattr(Metronome, "lateness", 2.0)
    lessons.run_apart(path)

    path = write_lesson(tmp_path, "fails-always.ipynb", "1 / 0")
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        lessons.run_apart(path)

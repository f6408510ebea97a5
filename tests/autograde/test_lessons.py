"""Renewing the lessons' outputs; that each lesson runs is seen in tests/notebooks."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
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

    assert lessons.main([]) == 1

    assert failing.read_bytes() == before
    assert read_notebook(sound)["cells"][0]["outputs"][0]["text"] == ["42\n"]
    told = capfd.readouterr().err
    assert "01-failing.ipynb fails and stays as it was. ZeroDivisionError" in told
    assert "Traceback" not in told


def test_a_lesson_that_is_not_there_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lessons.main(["99-nowhere.ipynb"]) == 2
    assert "There is no lesson 99-nowhere.ipynb" in capsys.readouterr().err


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

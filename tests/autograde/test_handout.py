"""What students get has all that they need, and nothing to grade by."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from autograde.errors import Misuse
from autograde.handout import NAME, _contents, build_handout
from autograde.notebooks import read_notebook, source_of

ROOT = Path(__file__).resolve().parents[2]
EXERCISE = "exercises/06-everyone-waits-for-one-letter"


@pytest.fixture(scope="module")
def handout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_handout(ROOT, tmp_path_factory.mktemp("handout"))


@pytest.fixture
def students(handout: Path, tmp_path: Path) -> Path:
    """The unpacked zip, on a machine that has nothing else of the course."""
    with zipfile.ZipFile(handout) as bundle:
        bundle.extractall(tmp_path)
    return tmp_path / NAME


def secrets(source: Path) -> list[str]:
    """Words that only the hidden checks of this exercise say."""
    text = "\n".join(source_of(cell) for cell in read_notebook(source)["cells"])
    visible, *parts = re.split(r"### (?:BEGIN|END) HIDDEN TESTS\n?", text)
    visible += "".join(parts[1::2])
    said = re.findall(r'^ *saw=f?"(.{30,})"', "\n".join(parts[::2]), re.MULTILINE)
    return [words for words in said if words not in visible]


def test_it_has_what_a_learner_needs(students: Path) -> None:
    names = {path.name for path in students.iterdir()}

    assert names == {
        ".github", ".gitignore", ".gitlab-ci.yml", "LICENSE", "Makefile", "README.md", "autograde",
        "environment.yml", "exercises", "notebooks", "pyproject.toml", "requirements.lock",
        "tasklab",
    }  # fmt: skip
    for notebooks in ("notebooks/*.ipynb", "exercises/[0-9]*/*.ipynb"):
        handed = {path.relative_to(students) for path in students.glob(notebooks)}
        assert handed == {path.relative_to(ROOT) for path in ROOT.glob(notebooks)}
    assert (students / "notebooks" / "what-holds-where.json").is_file()


def test_no_solution_and_no_hidden_check_is_in_it(handout: Path) -> None:
    with zipfile.ZipFile(handout) as bundle:
        names = bundle.namelist()
        pages = {Path(name).stem: bundle.read(name) for name in names if name.endswith(".ipynb")}
    assert not [name for name in names if re.search(r"solutions|/tests/|\.git/|classroom", name)]
    found = 0
    for source in sorted((ROOT / "solutions").glob("[0-9]*/*.ipynb")):
        page = pages[source.stem].decode()
        # The helps may quote what a check says; its code is nowhere.
        cells = json.loads(page)["cells"]
        code = "\n".join(source_of(cell) for cell in cells if cell["cell_type"] == "code")
        found += len(secrets(source))
        assert [words for words in secrets(source) if words in code] == []
        assert not re.search("BEGIN (HIDDEN TESTS|SOLUTION|BUG)", page)
    assert found > 30


def test_nothing_in_it_belongs_to_one_machine(handout: Path) -> None:
    with zipfile.ZipFile(handout) as bundle:
        found = [n for n in bundle.namelist() if str(ROOT).encode() in bundle.read(n)]

    assert found == []


def test_two_builds_are_equal(handout: Path, tmp_path: Path) -> None:
    assert build_handout(ROOT, tmp_path).read_bytes() == handout.read_bytes()


def test_make_help_lists_only_what_works_there(students: Path) -> None:
    listed = subprocess.run(["make", "help"], cwd=students, capture_output=True, text=True).stdout

    assert re.findall(r"^  make (\S+)", listed, re.MULTILINE) == ["help", "lab", "clean", "sterile"]


def test_a_visible_check_runs_from_it_alone_and_promises_no_more(students: Path) -> None:
    command = [sys.executable, "-P", "-m", "autograde", "check", EXERCISE]
    env = {**os.environ, "PYTHONPATH": str(students)}
    checked = subprocess.run(command, cwd=students, env=env, capture_output=True, text=True)

    assert checked.returncode == 1, checked.stderr
    assert "2 of 5 points. 1 of 2 checks failed." in checked.stdout
    assert "your teacher runs them: publisher-is-not-kept" in checked.stdout


def test_progress_and_reset_work_from_it_alone(students: Path) -> None:
    """The warm-up arrives solved, and is all of the first part."""
    env = {**os.environ, "PYTHONPATH": str(students)}
    said = {}
    for words in (["check", "00"], ["progress"], ["reset", "00"]):
        command = [sys.executable, "-P", "-m", "autograde", *words]
        done = subprocess.run(command, cwd=students, env=env, capture_output=True, text=True)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        said[words[0]] = done.stdout

    page = "Next: notebooks/01-after-the-response.ipynb, 25 to 45 minutes"
    assert f"That was all of part 00, start here. {page}.\n" in said["check"]
    assert f"\n{page}; then exercises/02-only-half-the-letters/" in said["progress"]


@pytest.mark.long
@pytest.mark.timeout(900)
def test_the_set_up_of_make_lab_works_from_it_alone(students: Path) -> None:
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = ["make", "environment", f"PYTHON={sys.executable}"]
    made = subprocess.run(command, cwd=students, env=env, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    (python,) = students.glob(".venv*/bin/python")
    code = "import autograde, tasklab, jupyterlab, nbgrader; print(autograde.__file__)"
    found = subprocess.run([python, "-c", code], cwd="/", capture_output=True, text=True)

    assert found.stdout.strip() == str(students / "autograde" / "__init__.py")


def test_what_was_handed_out_before_goes_and_the_history_stays(tmp_path: Path) -> None:
    build_handout(ROOT, tmp_path)
    folder = tmp_path / NAME
    (folder / ".git").mkdir()
    (folder / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (folder / "notebooks" / "an-old-lesson.ipynb").write_text("{}")
    bundle = build_handout(ROOT, tmp_path)

    assert not (folder / "notebooks" / "an-old-lesson.ipynb").exists()
    assert (folder / ".git" / "HEAD").is_file()
    with zipfile.ZipFile(bundle) as packed:
        assert not [name for name in packed.namelist() if ".git/" in name]


def test_an_exercise_that_is_left_out_is_left_out_of_the_lessons_too(tmp_path: Path) -> None:
    course = tmp_path / "course"
    for folder in ("notebooks", "exercises", "tasklab"):
        shutil.copytree(ROOT / folder, course / folder, ignore=shutil.ignore_patterns(".*"))
    for name in (
        ".gitignore", "LICENSE", "Makefile", "environment.yml", "pyproject.toml",
        "requirements.lock",
    ):  # fmt: skip
        shutil.copy(ROOT / name, course)
    shutil.rmtree(course / EXERCISE)
    files = _contents(course)
    lessons = {
        name: text.decode() for name, text in files.items() if re.match("notebooks/.*b$", name)
    }

    assert not [name for name, text in lessons.items() if f"../{EXERCISE}/" in text]
    lesson = lessons["notebooks/03-who-holds-the-loop.ipynb"]
    assert "[07-forty-letters-then-nothing](../exercises/07" in lesson
    assert "letter is on its way, and nobody else gets an answer." not in lesson
    assert (
        "In 06-everyone-waits-for-one-letter a letter is"
        in lessons["notebooks/00-start-here.ipynb"]
    )
    untouched = "notebooks/07-restarts-and-deploys.ipynb"
    assert files[untouched] == (ROOT / untouched).read_bytes()


@pytest.mark.parametrize("files", [["thesis.tex"], ["README.md", "solutions/01/01.ipynb"]])
def test_another_folder_is_refused_and_kept(tmp_path: Path, files: list[str]) -> None:
    for name in files:
        (tmp_path / NAME / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / NAME / name).write_text("mine")
    with pytest.raises(Misuse, match="is not a bundle of this course; name another folder"):
        build_handout(ROOT, tmp_path)

    assert all((tmp_path / NAME / name).read_text() == "mine" for name in files)


def test_stale_exercises_are_not_handed_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autograde.handout.find_stale", lambda _: ["exercises/06 is stale."])
    with pytest.raises(Misuse, match=r"exercises/06 is stale\. Run `make exercises`"):
        build_handout(ROOT, tmp_path)

    assert not any(tmp_path.iterdir())


def test_a_hidden_check_with_its_text_is_not_handed_out(tmp_path: Path) -> None:
    course = tmp_path / "course"
    for folder in ("exercises", "solutions"):
        shutil.copytree(ROOT / folder / "00-warm-up", course / folder / "00-warm-up")
    from autograde.handout import _refuse_hidden_text

    _refuse_hidden_text(course)
    shutil.copy(course / "solutions/00-warm-up/00-warm-up.ipynb", course / "exercises/00-warm-up")
    with pytest.raises(Misuse, match="has a hidden check or a solution in it"):
        _refuse_hidden_text(course)

"""What is taken from a repository that somebody else owns."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from autograde.errors import Misuse
from autograde.repositories import Repository, collect, read_listing
from tests.autograde.courses import NAME, answer, notebook

STARTER = notebook(answer())
PAGE = f"exercises/{NAME}/{NAME}.ipynb"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    (folder / PAGE).parent.mkdir(parents=True)
    (folder / PAGE).write_text(json.dumps(STARTER))
    return folder


def take(folder: Path) -> tuple[list[str], list[str], Path]:
    git = ["git", "-C", str(folder), "-c", "user.name=A", "-c", "user.email=a@example.org"]
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message=."]):
        subprocess.run([*git, *command], check=True, capture_output=True)
    submitted = folder.parent / "submitted"
    (found,) = collect([Repository("ada", str(folder))], {NAME: STARTER}, submitted)
    return found.exercises, found.wrong, submitted / "ada" / NAME / f"{NAME}.ipynb"


def test_what_was_begun_is_taken_as_it_is(repository: Path) -> None:
    text = json.dumps(notebook(answer("%%writefile newsletter.py\nmine = 1\n")))
    (repository / PAGE).write_text(text)
    (repository / "exercises" / "notes.ipynb").write_text("{}")
    # A copy that was put aside is not handed in, wherever it is in the order of names.
    for aside in ("exercises/.starters", "exercises/zz"):
        (repository / aside).mkdir()
        (repository / aside / f"{NAME}.ipynb").write_text("{}")
    exercises, wrong, path = take(repository)

    assert (exercises, wrong) == ([NAME], [])
    assert path.read_text() == text


def test_what_is_as_it_was_is_not_handed_in(repository: Path) -> None:
    (repository / PAGE).write_text(json.dumps(STARTER, indent=4))
    assert take(repository)[:2] == ([], [])


def test_what_cannot_be_read_is_for_the_grading_to_refuse(repository: Path) -> None:
    (repository / PAGE).write_text("{")
    assert take(repository)[:2] == ([NAME], [])


def test_a_link_is_not_followed(repository: Path) -> None:
    (repository / PAGE).unlink()
    (repository / PAGE).symlink_to("/etc/passwd")
    exercises, wrong, path = take(repository)

    assert exercises == []
    assert wrong == [f"ada: {PAGE} is a link, and left out."]
    assert not path.exists()


def test_what_is_too_large_is_left_out(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autograde.repositories.LARGEST_NOTEBOOK", 3)
    assert take(repository)[1] == [f"ada: {PAGE} is too large, and left out."]


@pytest.fixture
def marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a program leaves that git runs, where a teacher's own settings let it."""
    path = tmp_path / "ran"
    settings = tmp_path / "gitconfig"
    settings.write_text(
        f'[protocol "ext"]\nallow = always\n[filter "mark"]\nsmudge = "touch {path}; cat"\n'
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    return path


def test_nothing_is_checked_out(repository: Path, marker: Path) -> None:
    (repository / ".gitattributes").write_text("*.ipynb filter=mark\n")
    (repository / PAGE).write_text("{}")

    assert take(repository)[0] == [NAME]
    assert not marker.exists()


def test_no_program_is_started_by_an_address(tmp_path: Path, marker: Path) -> None:
    address = f"ext::sh -c touch% {marker}"
    (found,) = collect([Repository("ada", address)], {NAME: STARTER}, tmp_path / "submitted")

    assert "nothing can be taken from the repository" in found.wrong[0]
    assert not marker.exists()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "needs a line `student,repository`"),
        ("name,url\nada,x\n", "needs a line `student,repository`"),
        ("student,repository\n../ada,x\n", "Line 2 of students.csv: '../ada' is no name"),
        ("student,repository\nada,--upload-pack=x\n", "'--upload-pack=x' is no repository"),
        ("student,repository\nada\n", "'' is no repository"),
        ("student,repository\nada,x\nada,y\n", "Line 3 of students.csv: ada is there twice"),
    ],
)
def test_a_slip_in_the_listing_is_one_sentence(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "students.csv"
    path.write_text(text)
    with pytest.raises(Misuse, match=why):
        read_listing(path)


def test_a_listing_may_have_more_columns_and_a_mark_of_its_encoding(tmp_path: Path) -> None:
    path = tmp_path / "students.csv"
    path.write_text("\ufeffteam,student,repository\n1,ada,x\n", encoding="utf-8")
    assert read_listing(path) == [Repository("ada", "x")]
    with pytest.raises(Misuse, match="with the columns student and repository"):
        read_listing(tmp_path / "nothing.csv")

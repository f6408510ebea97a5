from __future__ import annotations

import json
import os
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from autograde.errors import Misuse
from autograde.intake import Refused, Submission, find_submissions
from tests.autograde.courses import answer, notebook

FIRST, SECOND = "01-no-letter", "02-two-letters"
EXERCISES = {FIRST: ["answer-newsletter", "letter-arrives"], SECOND: ["answer-x", "two-arrive"]}
TEXT = json.dumps(notebook(answer()))


def write(root: Path, *names: str, text: str = TEXT) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def pack(path: Path, entries: Mapping[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in entries.items():
            archive.writestr(name, text)
    return path


def told(found: list[Submission]) -> set[tuple[str, str]]:
    return {(submission.student, submission.slug) for submission in found}


def test_nbgraders_own_layout(tmp_path: Path) -> None:
    write(tmp_path, f"ada/{FIRST}/{FIRST}.ipynb", f"bo/{SECOND}/{SECOND}.ipynb")
    found, refused = find_submissions(tmp_path, EXERCISES)
    assert told(found) == {("ada", FIRST), ("bo", SECOND)}
    assert not refused


def test_the_folder_of_one_learner_is_named_as_the_learner_is(tmp_path: Path) -> None:
    write(tmp_path, f"submitted/ada/{FIRST}/{FIRST}.ipynb")
    found, refused = find_submissions(tmp_path / "submitted" / "ada", EXERCISES)
    assert (told(found), refused) == ({("ada", FIRST)}, [])
    archive = pack(tmp_path / "all.zip", {f"{FIRST}/{FIRST}.ipynb": TEXT})
    assert find_submissions(archive, EXERCISES) == (
        [], [Refused(f"{FIRST}/{FIRST}.ipynb", "its name does not say whose it is")]
    )  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        f"ada_{FIRST}.ipynb",
        f"{FIRST}-ada.ipynb",
        f"{FIRST}_ada (2).ipynb",
        f"ada-{FIRST}-Copy1.ipynb",
        f"ada/{FIRST}.ipynb",
        f"ada/{FIRST} (3).ipynb",
        "ada.ipynb",
    ],
)
def test_loose_notebooks(tmp_path: Path, name: str) -> None:
    found, _ = find_submissions(write(tmp_path, name), EXERCISES)
    assert told(found) == {("ada", FIRST)}


@pytest.mark.parametrize(
    ("name", "student"),
    [
        (f"Ada Lovelace_4711_assignsubmission_file_/{FIRST}.ipynb", "Ada-Lovelace"),
        (f"Ada Lovelace_4711_assignsubmission_file_/{FIRST}/{FIRST}.ipynb", "Ada-Lovelace"),
        (f"Ada Lovelace_4711_assignsubmission_file/week 1/{FIRST}.ipynb", "Ada-Lovelace"),
        (f"Ada Lovelace_4711_assignsubmission_file_{FIRST}.ipynb", "Ada-Lovelace"),
        (f"Šárka O'Brien-Núñez_9_assignsubmission_file/{FIRST}.ipynb", "Šárka-O-Brien-Núñez"),
        (f"Participant_4711_assignsubmission_file/{FIRST}.ipynb", "Participant-4711"),
        (f"lovelaceada_12345_67890_{FIRST}.ipynb", "lovelaceada-12345"),
        (f"lovelaceada_LATE_12345_67890_{FIRST}-1.ipynb", "lovelaceada-12345"),
        ("lovelaceada_12345_67890_renamed.ipynb", "lovelaceada-12345"),
        (f"núñez_o_šárka_12345_67890_{FIRST}-2.ipynb", "núñez_o_šárka-12345"),
        (f"anon_a1B2c_67890_{FIRST}.ipynb", "anon_a1B2c"),
        (f"LATE_anon_a1B2c_67890_{FIRST}.ipynb", "anon_a1B2c"),
    ],
)
def test_a_zip_from_moodle_or_canvas(tmp_path: Path, name: str, student: str) -> None:
    archive = pack(tmp_path / "all.zip", {name: TEXT, "readme.txt": "", "__MACOSX/x.ipynb": ""})
    found, refused = find_submissions(archive, EXERCISES)
    assert told(found) == {(student, FIRST)}
    assert not refused
    assert found[0].read() == TEXT.encode()


@pytest.mark.parametrize(
    ("names", "students"),
    [
        (
            [f"Min Kim_{n}_assignsubmission_file/{FIRST}.ipynb" for n in (11, 12)],
            {"Min-Kim-11", "Min-Kim-12"},
        ),
        ([f"kimmin_{n}_6789{n}_{FIRST}.ipynb" for n in (11, 12)], {"kimmin-11", "kimmin-12"}),
    ],
)
def test_two_people_of_one_name_are_two(
    tmp_path: Path, names: list[str], students: set[str]
) -> None:
    found, refused = find_submissions(
        pack(tmp_path / "all.zip", dict.fromkeys(names, TEXT)), EXERCISES
    )
    assert {submission.student for submission in found} == students
    assert not refused


def test_canvas_numbers_files_as_they_come(tmp_path: Path) -> None:
    names = [f"kimmin_11_{number}_{FIRST}.ipynb" for number in (998, 1001)]
    found, refused = find_submissions(
        pack(tmp_path / "all.zip", dict.fromkeys(names, TEXT)), EXERCISES
    )
    assert [submission.name for submission in found] == [names[1]]
    assert [item.name for item in refused] == [names[0]]


def test_nbgraders_pattern_comes_first(tmp_path: Path) -> None:
    pattern = r".*_(?P<student_id>\w+)_attempt_(?P<timestamp>[0-9\-]+)_(?P<file_id>.*)"
    write(
        tmp_path, "ps1_ada_attempt_2026-01-30-15_a.ipynb", "ps1_ada_attempt_2026-01-29-15_a.ipynb"
    )
    found, refused = find_submissions(tmp_path, EXERCISES, pattern=pattern)
    assert told(found) == {("ada", FIRST)}
    assert found[0].name.startswith("ps1_ada_attempt_2026-01-30")
    assert [item.why for item in refused] == [f"{found[0].name} is a later one by ada"]


def test_the_newest_of_two_files_counts(tmp_path: Path) -> None:
    write(tmp_path, f"ada_{FIRST}.ipynb", f"ada_{FIRST} (1).ipynb")
    os.utime(tmp_path / f"ada_{FIRST}.ipynb", (2_000_000_000, 2_000_000_000))
    found, _ = find_submissions(tmp_path, EXERCISES)
    assert [submission.name for submission in found] == [f"ada_{FIRST}.ipynb"]


def test_one_assignment_only(tmp_path: Path) -> None:
    write(tmp_path, f"ada/{FIRST}/{FIRST}.ipynb", f"ada/{SECOND}/{SECOND}.ipynb")
    found, refused = find_submissions(tmp_path, EXERCISES, assignment=SECOND)
    assert told(found) == {("ada", SECOND)}
    assert not refused


def test_what_belongs_nowhere_is_named(tmp_path: Path) -> None:
    write(tmp_path, "notes.ipynb", text=json.dumps(notebook()))
    write(tmp_path, "broken.ipynb", text="{")
    found, refused = find_submissions(tmp_path, EXERCISES)
    assert not found
    assert refused == [
        Refused("broken.ipynb", "it belongs to none of the exercises"),
        Refused("notes.ipynb", "it belongs to none of the exercises"),
    ]


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    secret = write(tmp_path / "solutions", "solution.ipynb") / "solution.ipynb"
    folder = tmp_path / "submitted" / "ada" / FIRST
    folder.mkdir(parents=True)
    (folder / f"{FIRST}.ipynb").symlink_to(secret)
    (tmp_path / "submitted" / "bo").symlink_to(tmp_path / "solutions")
    found, refused = find_submissions(tmp_path / "submitted", EXERCISES)
    assert not found
    assert [item.why for item in refused] == ["it is a link, not a file"]


def test_a_link_in_a_zip_is_not_followed(tmp_path: Path) -> None:
    path = tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w") as archive:
        entry = zipfile.ZipInfo(f"ada_{FIRST}.ipynb")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, "/etc/passwd")
    assert find_submissions(path, EXERCISES)[1][0].why == "it is a link, not a file"


@pytest.mark.parametrize("name", ["../../etc/x", "..", "/etc/ada", "a\tb\nc", "=cmd()"])
def test_a_students_name_is_no_path(tmp_path: Path, name: str) -> None:
    archive = pack(tmp_path / "all.zip", {f"{name}/{FIRST}/{FIRST}.ipynb": TEXT})
    found, refused = find_submissions(archive, EXERCISES)
    for submission in found:
        assert "/" not in submission.student
        assert not submission.student.startswith((".", "="))
    assert len(found) + len(refused) == 1


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"ada_{FIRST}.ipynb", b" " * (64 << 20))
    (submission,), _ = find_submissions(path, EXERCISES)
    with pytest.raises(Misuse, match="more than 20 MiB"):
        submission.read()


def test_something_else_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "grades.csv").write_text("x")
    with pytest.raises(Misuse, match="neither a folder, a notebook nor a zip"):
        find_submissions(tmp_path / "grades.csv", EXERCISES)
    with pytest.raises(Misuse, match="There is no"):
        find_submissions(tmp_path / "nothing", EXERCISES)


def test_work_on_an_exercise_that_was_left_out_counts_for_no_other(tmp_path: Path) -> None:
    """Most exercises have some names in common."""
    cells = [answer(name=name) for name in ("answer-newsletter", "letter-arrives", "answered")]
    text = json.dumps(notebook(*cells, answer(name="deploy-waits")))
    write(tmp_path, "ada/03-left-out/03-left-out.ipynb")
    write(tmp_path, "mine/renamed.ipynb", text=text)
    found, refused = find_submissions(tmp_path, EXERCISES)
    assert not found
    assert refused == [
        Refused(
            "ada/03-left-out/03-left-out.ipynb", "there is no exercise 03-left-out in this course"
        ),
        Refused("mine/renamed.ipynb", "it belongs to none of the exercises"),
    ]

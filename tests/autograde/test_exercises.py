from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from autograde.errors import Misuse
from autograde.exercises import build, find_stale
from tests.autograde.courses import (
    HEALTH,
    NAME,
    Course,
    answer,
    check_cell,
    exercise,
    markdown,
    notebook,
)


def read_tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_starter_holds_the_bug_and_nothing_that_gives_it_away(course: Course) -> None:
    assert build(course.root) == [NAME]
    text = (course.root / "exercises" / NAME / f"{NAME}.ipynb").read_text(encoding="utf-8")
    assert "if issue:" in text
    for secret in ("add_task", "###", "SECRET_NUMBER", "is attached", "autograde", "seen"):
        assert secret not in text
    assert 'hidden_check(\\"letter-arrives\\")' in text


def test_the_starter_has_no_outputs_and_the_ids_of_its_source(course: Course) -> None:
    source = exercise()
    source["cells"][1]["metadata"]["execution"] = {"iopub.status.busy": "2026-01-01T00:00:00Z"}
    course.source(source)
    build(course.root)
    cells = course.starter()["cells"]
    assert [cell["id"] for cell in cells] == [cell["id"] for cell in source["cells"]]
    for cell in cells:
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None
        assert "execution" not in cell["metadata"]
    checks = [cell for cell in cells if cell["metadata"].get("nbgrader", {}).get("grade")]
    assert [cell["metadata"].get("editable") for cell in checks] == [False, False, None]


def test_a_written_answer_arrives_as_a_friendly_prompt(course: Course) -> None:
    build(course.root)
    assert "Double-click here" in "".join(course.starter()["cells"][-1]["source"])


def test_two_builds_are_the_same_to_the_byte(course: Course) -> None:
    build(course.root)
    first = read_tree(course.root / "exercises")
    build(course.root)
    assert read_tree(course.root / "exercises") == first
    assert find_stale(course.root) == []


def test_building_leaves_the_gradebook_alone(course: Course) -> None:
    build(course.root)
    assert not (course.root / "classroom" / "gradebook.db").exists()


def test_files_beside_the_source_are_handed_out_and_leftovers_are_not(course: Course) -> None:
    folder = course.root / "solutions" / NAME
    (folder / "letters.csv").write_text("ada\n", encoding="utf-8")
    (folder / "newsletter.py").write_text("the solution, as run by its author\n", encoding="utf-8")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "newsletter.pyc").write_bytes(b"")
    build(course.root)
    assert sorted(read_tree(course.root / "exercises" / NAME)) == [f"{NAME}.ipynb", "letters.csv"]


def test_what_has_no_source_is_removed_and_what_running_left_is_kept(course: Course) -> None:
    build(course.root)
    exercises = course.root / "exercises"
    (exercises / "00-gone").mkdir()
    (exercises / "00-gone" / "00-gone.ipynb").write_text("{}", encoding="utf-8")
    (exercises / NAME / "old.csv").write_text("", encoding="utf-8")
    (exercises / NAME / "newsletter.py").write_text("x = 1\n", encoding="utf-8")
    assert find_stale(course.root) == [
        "exercises/00-gone/00-gone.ipynb is unknown: nothing in solutions/ makes it.",
        f"exercises/{NAME}/old.csv is unknown: nothing in solutions/ makes it.",
    ]
    build(course.root)
    assert sorted(read_tree(exercises)) == [f"{NAME}/{NAME}.ipynb", f"{NAME}/newsletter.py"]
    assert find_stale(course.root) == []


def test_a_stale_and_a_missing_file_are_named(course: Course) -> None:
    course.source(exercise(), "02-other")
    build(course.root)
    path = course.root / "exercises" / NAME / f"{NAME}.ipynb"
    path.write_bytes(path.read_bytes().replace(b"202", b"200"))
    (course.root / "exercises" / "02-other" / "02-other.ipynb").unlink()
    before = read_tree(course.root / "exercises")
    assert find_stale(course.root) == [
        f"exercises/{NAME}/{NAME}.ipynb is stale: its source in solutions/ says something else.",
        "exercises/02-other/02-other.ipynb is missing.",
    ]
    assert read_tree(course.root / "exercises") == before


def test_only_the_named_exercises_are_built(course: Course) -> None:
    course.source(exercise(), "02-other")
    assert build(course.root, ["02-other"]) == ["02-other"]
    assert [path.name for path in (course.root / "exercises").iterdir()] == ["02-other"]


def test_a_name_that_does_not_exist_is_misuse(course: Course) -> None:
    with pytest.raises(Misuse, match=f"no exercise '7' in solutions/; there are: {NAME}"):
        build(course.root, ["7"])


def test_a_course_without_exercises_is_misuse(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="There are no exercises in"):
        build(tmp_path)


def without_id() -> dict[str, Any]:
    content = exercise()
    del content["cells"][1]["id"]
    return content


def old_format() -> dict[str, Any]:
    return {**exercise(), "nbformat_minor": 4}


def same_id() -> dict[str, Any]:
    content = exercise()
    content["cells"][1]["id"] = "cell-1"
    return content


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (without_id(), "cell 2 has no id"),
        (old_format(), "cell 1 has no id"),
        (same_id(), "cell 2 has the id 'cell-1' of cell 1"),
        (
            notebook(answer(), check_cell(HEALTH, "answer-newsletter", 1)),
            "cell 2 has the grade_id 'answer-newsletter' of cell 1",
        ),
        (notebook(answer("%%writefile a.py\n### BEGIN SOLUTION\n")), "cell 1, line 2: found BEGIN"),
        (
            notebook(markdown("Because.", "own-words", solution=True)),
            f"nbgrader cannot generate {NAME}: ",
        ),
    ],
)
def test_a_malformed_source_stops_the_build_in_one_sentence(
    course: Course, content: dict[str, Any], sentence: str, capfd: pytest.CaptureFixture[str]
) -> None:
    build(course.root)
    before = read_tree(course.root / "exercises")
    course.source(exercise(), "00-sound")
    course.source(content)
    with pytest.raises(Misuse) as caught:
        build(course.root)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert read_tree(course.root / "exercises") == before
    assert capfd.readouterr() == ("", "")


def test_a_source_that_is_not_json_stops_the_build(course: Course) -> None:
    (course.root / "solutions" / NAME / f"{NAME}.ipynb").write_text("{", encoding="utf-8")
    with pytest.raises(Misuse, match="is not JSON"):
        build(course.root)


def test_a_folder_without_its_notebook_stops_the_build(course: Course) -> None:
    folder = course.root / "solutions" / "03-empty"
    folder.mkdir()
    with pytest.raises(Misuse, match=r"03-empty holds no notebook; it must hold one, 03-empty\."):
        build(course.root)
    (folder / "other.ipynb").write_text("{}", encoding="utf-8")
    with pytest.raises(Misuse, match=r"03-empty holds other\.ipynb; it must"):
        build(course.root)

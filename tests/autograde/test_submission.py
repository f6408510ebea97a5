"""A submission is data: what is taken from it, and what is put right."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from autograde.errors import Misuse
from autograde.submission import Exercise, find_exercise, rebuild
from tests.autograde.courses import (
    ANSWER,
    HEALTH,
    NAME,
    answer,
    check_cell,
    code,
    exercise,
    find,
    markdown,
    notebook,
)

MINE = "%%writefile newsletter.py\nmine = 1\n"


def handed_in(text: str = MINE) -> dict[str, Any]:
    content = exercise()
    find(content, "answer-newsletter")["source"] = text
    return content


def files(submitted: dict[str, Any]) -> tuple[dict[str, str], list[str]]:
    instructor = exercise()
    rebuilt, remarks = rebuild(instructor, submitted)
    return Exercise.from_notebook(NAME, instructor).files_of(rebuilt), remarks


def test_only_the_text_of_the_answer_is_taken() -> None:
    submitted = handed_in()
    submitted["cells"].insert(0, code("import os; os._exit(0)"))
    submitted["metadata"]["nbgrader"] = {"points": 99}
    find(submitted, "answer-newsletter")["metadata"]["nbgrader"]["points"] = 99
    rebuilt, remarks = rebuild(exercise(), submitted)
    assert not remarks
    wanted = exercise()
    find(wanted, "answer-newsletter")["source"] = MINE
    find(wanted, "own-words")["source"] = "Because the task is attached."
    for cell, expected in zip(rebuilt["cells"], wanted["cells"], strict=True):
        assert "".join(cell["source"]) == "".join(expected["source"])
        assert cell["metadata"] == expected["metadata"]


@pytest.mark.parametrize(
    ("first", "remark"),
    [
        ("%%writefile newsletter.py\n", ""),
        ("\n  \n%%writefile newsletter.py\n", ""),
        ("%%file newsletter.py  \n", ""),
        ("%%writefile newsletter.py\r\n", ""),
        ("", "missing or changed"),
        ("%%writefile other.py\n", "missing or changed"),
        ("%%writefile ../../autograde/engine.py\n", "missing or changed"),
        ("%%writefile -a newsletter.py\n", "missing or changed"),
        ("%%bash\n", "missing or changed"),
    ],
)
def test_the_file_has_the_instructors_name(first: str, remark: str) -> None:
    found, remarks = files(handed_in(first + "mine = 1\n"))
    assert found == {"newsletter.py": "mine = 1\n"}
    assert bool(remarks) == bool(remark)
    assert all(remark in told for told in remarks)


def test_of_two_copies_the_last_counts() -> None:
    submitted = handed_in()
    again = copy.deepcopy(find(submitted, "answer-newsletter"))
    again["source"] = MINE.replace("1", "2")
    submitted["cells"].append(again)
    found, remarks = files(submitted)
    assert found == {"newsletter.py": "mine = 2\n"}
    assert remarks == ["2 cells write newsletter.py; the last one was graded."]


def test_an_answer_that_lost_its_metadata_is_known_by_its_first_line() -> None:
    submitted = handed_in()
    find(submitted, "answer-newsletter")["metadata"] = {}
    assert files(submitted)[0] == {"newsletter.py": "mine = 1\n"}


def test_a_deleted_answer_is_empty() -> None:
    submitted = handed_in()
    submitted["cells"].remove(find(submitted, "answer-newsletter"))
    found, remarks = files(submitted)
    assert found == {"newsletter.py": ""}
    assert remarks == ["The cell that writes newsletter.py is missing; it was graded as empty."]


def test_half_a_character_becomes_a_question_mark() -> None:
    assert files(handed_in("%%writefile newsletter.py\nx = '\ud800'\n"))[0] == {
        "newsletter.py": "x = '?'\n"
    }


@pytest.mark.parametrize(
    "metadata",
    [
        {"nbgrader": "x"},
        {"nbgrader": {"grade_id": 4}},
        {"nbgrader": {"grade_id": ["answer-newsletter"]}},
        {"nbgrader": None},
        {"tags": "skip-execution"},
    ],
)
def test_metadata_that_makes_no_sense_is_none(metadata: dict[str, Any]) -> None:
    submitted = handed_in()
    submitted["cells"].append({**code("1/0"), "metadata": metadata})
    assert files(submitted) == ({"newsletter.py": "mine = 1\n"}, [])


def test_a_check_with_the_answers_name_is_no_answer() -> None:
    submitted = handed_in()
    health = find(submitted, "health-answers")
    health["metadata"]["nbgrader"]["grade_id"] = "answer-newsletter"
    health["source"] = "%%writefile newsletter.py\nforged = 1\n"
    rebuilt, remarks = rebuild(exercise(), submitted)
    assert "".join(find(rebuilt, "health-answers")["source"]) == HEALTH
    assert "The check health-answers is missing; the original was run." in remarks


def test_an_exercise_knows_its_checks() -> None:
    found = Exercise.from_notebook(NAME, exercise())
    assert found.title == "No letter"
    assert found.points == 5
    assert [(c.grade_id, c.hidden, c.is_empty) for c in found.checks] == [
        ("health-answers", False, False),
        ("letter-arrives", True, False),
    ]
    assert [cell.grade_id for cell in found.without(["health-answers"]).checks] == [
        "letter-arrives"
    ]


def test_an_answer_cell_must_name_its_file() -> None:
    with pytest.raises(Misuse, match="does not begin with `%%writefile NAME`"):
        Exercise.from_notebook(NAME, notebook(answer(ANSWER.split("\n", 1)[1])))


def test_a_hand_out_has_no_hidden_body() -> None:
    source = notebook(markdown("# X"), answer(), check_cell('hidden_check("one")\n', "one", 1))
    (check,) = Exercise.from_notebook(NAME, source).checks
    assert check.is_empty


@pytest.mark.parametrize("name", ["1", "01", NAME, f"exercises/{NAME}", f"exercises/{NAME}/"])
def test_an_exercise_is_found_by_many_names(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "exercises" / NAME / f"{NAME}.ipynb"
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert find_exercise(name) == path
    monkeypatch.chdir(path.parent)
    assert find_exercise(".") == path
    assert find_exercise(f"{NAME}.ipynb") == path


def test_an_empty_name_is_told_as_the_folder_that_it_means(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Misuse, match=r"^\. is a folder without .*\.ipynb; name one such as "):
        find_exercise("")

from __future__ import annotations

from typing import Any

import pytest

from autograde.errors import Misuse
from autograde.planting import PlantingError, check_notebook, plant
from tests.autograde.courses import ANSWER, HEALTH, answer, check_cell, code, markdown, notebook

FILE = "solutions/01-no-letter/01-no-letter.ipynb"


def check(*cells: dict[str, Any]) -> dict[int, Any]:
    content = notebook(*cells)
    for cell in content["cells"]:
        cell["source"] = "".join(cell["source"])
    return check_notebook(content, FILE)


def written(*lines: str) -> dict[str, Any]:
    return answer("\n".join(["%%writefile newsletter.py", *lines]))


def test_the_solution_keeps_the_fix_and_nothing_else() -> None:
    planted = plant(ANSWER, "here")
    assert '    tasks.add_task(deliver, issue["number"])\n    return' in planted.solution
    assert "###" not in planted.solution
    assert "if issue" not in planted.solution


def test_the_starter_gets_the_bug_uncommented() -> None:
    planted = plant(ANSWER, "here")
    bug = "    # Nobody sees to the letter.\n\n    if issue:\n        pass\n    return"
    assert bug in planted.starter
    assert "add_task" not in planted.starter
    assert "###" not in planted.starter


def test_lines_outside_regions_are_in_both_as_they_were() -> None:
    planted = plant("a = 1  # one\n\n### BEGIN SOLUTION\nb\n### END SOLUTION\n\tc\n", "here")
    assert planted.solution == "a = 1  # one\n\nb\n\tc\n"
    assert planted.starter == "a = 1  # one\n\n\tc\n"


@pytest.mark.parametrize(
    ("comment", "planted"),
    [
        ("    # go()", "    go()"),
        ("    #go()", "    go()"),
        ("    #     deeper()", "        deeper()"),
        ("    #", ""),
        ("    #   ", ""),
        ("", ""),
        ("   ", ""),
        ("    # # a comment", "    # a comment"),
    ],
)
def test_one_comment_mark_is_taken_off(comment: str, planted: str) -> None:
    region = ["    ### BEGIN SOLUTION", "    fix()", "    ### BEGIN BUG", comment]
    assert plant("\n".join([*region, "    ### END SOLUTION"]), "here").starter == planted


def test_several_regions_in_a_cell() -> None:
    lines = ["### BEGIN SOLUTION", "a", "### BEGIN BUG", "# b", "### END SOLUTION"]
    planted = plant("\n".join([*lines, "mid", *lines]), "here")
    assert (planted.solution, planted.starter) == ("a\nmid\na", "b\nmid\nb")
    assert planted.regions == 2


BEGIN, BUG, END = "### BEGIN SOLUTION", "### BEGIN BUG", "### END SOLUTION"


@pytest.mark.parametrize(
    ("lines", "line", "found"),
    [
        ([BEGIN, "x = 1"], 2, "without an end"),
        ([BEGIN, "x = 1", BUG, "# x = 2"], 2, "without an end"),
        ([BEGIN, "x = 1", BEGIN, END], 4, "inside the region begun on line 2"),
        ([BUG, "# x = 1", END], 2, "BEGIN BUG outside a region"),
        (["x = 1", END], 3, "END SOLUTION outside a region"),
        ([BEGIN, "x = 1", END, END], 5, "END SOLUTION outside a region"),
        ([BEGIN, "x = 1", BUG, "x = 2", END], 5, "'x = 2' in a BUG part"),
        (["if 1:", "    " + BEGIN, "    x = 1", "    " + BUG, "# x", "    " + END], 6, "column 5"),
        ([BEGIN, "x = 1", BUG, "# x = 2", BUG, "# x = 3", END], 6, "a second BEGIN BUG"),
        ([BEGIN, "x = 1", BUG, "# x = 1", END], 1, "equals its solution"),
        ([BEGIN, "x = (", BUG, "# x = 1", END], 3, "the solution is not Python"),
        ([BEGIN, "x = 1", BUG, "# x = (", END], 5, "the starter is not Python"),
        (
            ["def f():", "    " + BEGIN, "    return 1", "    " + END],
            4,
            "(expected an indented block after function definition on line 2)",
        ),
        (["x = 1"], 1, "no '### BEGIN SOLUTION'"),
        (["# BEGIN SOLUTION", "x = 1", "# END SOLUTION"], 2, "reads like a marker"),
        ([BEGIN, "x = 1", "### BEGIN BUG: late", "# x = 2", END], 4, "reads like a marker"),
        ([BEGIN, "x = 1", BUG, "# x = 2", "### END BUG", END], 6, "reads like a marker"),
    ],
)
def test_a_malformed_region_names_its_file_cell_and_line(
    lines: list[str], line: int, found: str
) -> None:
    with pytest.raises(PlantingError) as caught:
        check(markdown("# Story"), written(*lines))
    sentence = str(caught.value)
    assert sentence.startswith(f"{FILE}, cell 2, line {line}: ")
    assert found in sentence
    assert "\n" not in sentence


def test_a_malformed_notebook_is_misuse() -> None:
    assert issubclass(PlantingError, Misuse)


@pytest.mark.parametrize(
    ("cells", "where", "found"),
    [
        ([code(f"{BEGIN}\nx = 1\n{END}")], "cell 1, line 1", "not an answer cell"),
        ([check_cell(f"x = 0\n{BEGIN}\n{END}", "c", 1)], "cell 1, line 2", "not an answer cell"),
        (
            [markdown(f"{BEGIN}\nyes\n{END}", "w", solution=True, grade=True)],
            "cell 1, line 1",
            "answer",
        ),
        ([answer("x = 1")], "cell 1, line 1", "'x = 1' as the first line"),
        ([answer("")], "cell 1, line 1", "'' as the first line"),
        ([answer("%%writefile -a newsletter.py\n")], "cell 1, line 1", "%%writefile NAME"),
        ([answer("%%writefile ../newsletter.py\n")], "cell 1, line 1", "%%writefile NAME"),
        ([answer(), answer(name="again")], "cell 2, line 1", "the first is cell 1"),
    ],
)
def test_a_region_or_file_in_the_wrong_cell(
    cells: list[dict[str, Any]], where: str, found: str
) -> None:
    with pytest.raises(PlantingError, match=where) as caught:
        check(*cells)
    assert found in str(caught.value)


HIDE, SHOW = "### BEGIN HIDDEN TESTS", "### END HIDDEN TESTS"


@pytest.mark.parametrize(
    ("cell", "line", "found"),
    [
        (check_cell(f"{HIDE}\nsecret", "c", 1), 1, "without an end"),
        (check_cell(f"secret\n{SHOW}", "c", 1), 2, "write '### BEGIN HIDDEN TESTS' before"),
        (check_cell(f"{HIDE}\n{HIDE}\n{SHOW}", "c", 1), 2, "write '### END HIDDEN TESTS' before"),
        (check_cell("### BEGIN HIDDEN TEST\nsecret", "c", 1), 1, "reads like a marker"),
        (code(f"{HIDE}\nsecret\n{SHOW}"), 1, "not a check"),
        (markdown(f"{HIDE}\nsecret\n{SHOW}"), 1, "not a check"),
    ],
)
def test_a_hidden_part_that_would_show(cell: dict[str, Any], line: int, found: str) -> None:
    with pytest.raises(PlantingError, match=f"cell 1, line {line}: ") as caught:
        check(cell)
    assert found in str(caught.value)


def test_an_answer_may_arrive_solved_if_it_says_so() -> None:
    cell = written("x = 1")
    cell["metadata"]["autograde"] = {"arrives_solved": True}
    planted = check(cell)[0]
    assert planted.starter == planted.solution == "%%writefile newsletter.py\nx = 1"
    cell = written(BEGIN, "x = 1", END)
    cell["metadata"]["autograde"] = {"arrives_solved": True}
    with pytest.raises(PlantingError, match="arrives solved"):
        check(cell)


def test_a_file_that_is_not_python_need_not_parse() -> None:
    lines = ["%%writefile Procfile", BEGIN, "web: gunicorn app", BUG, "# web: flask run", END]
    assert check(answer("\n".join(lines)))[0].starter == "%%writefile Procfile\nweb: flask run"


def test_a_heading_may_speak_of_bugs() -> None:
    assert check(markdown("# Begin bug hunting"), check_cell(HEALTH, "health-answers", 1)) == {}

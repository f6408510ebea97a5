from __future__ import annotations

from pathlib import Path

import pytest

from autograde.errors import Misuse
from autograde.notebooks import (
    parse_notebook,
    read_notebook,
    source_of,
    split_writefile,
    without_hidden_tests,
)

HIDDEN = """\
hidden_check("one")
### BEGIN HIDDEN TESTS
secret = 1
### END HIDDEN TESTS
shown = 1
    ### BEGIN HIDDEN TESTS
    secret = 2
    ### END HIDDEN TESTS
"""


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it is not JSON (line 1)"),
        ("{\n\n", "it is not JSON (line 3)"),
        ("[" * 100_000, "it is not JSON"),
        ("[]", "it has no list of cells"),
        ('{"cells": {}}', "it has no list of cells"),
        ('{"cells": ["x"]}', "it has no list of cells"),
        ('{"cells": [{"cell_type": "code", "source": 4}]}', "it has no list of cells"),
        ('{"cells": [{"cell_type": "code", "metadata": []}]}', "it has no list of cells"),
        ('{"cells": [{"source": ""}]}', "it has no list of cells"),
    ],
)
def test_what_is_no_notebook_is_one_sentence(text: str, why: str) -> None:
    with pytest.raises(Misuse) as raised:
        parse_notebook(text.encode(), "x.ipynb")
    assert why in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="There is no notebook"):
        read_notebook(tmp_path / "x.ipynb")
    with pytest.raises(Misuse, match="cannot be read: Is a directory"):
        read_notebook(tmp_path)


def test_a_source_is_a_string_or_a_list() -> None:
    assert source_of({"source": ["a\n", "b"]}) == source_of({"source": "a\nb"}) == "a\nb"
    assert source_of({}) == ""


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("%%writefile a.py\nx", ("a.py", "x")),
        ("%%file a.py\nx", ("a.py", "x")),
        ("\n \n%%writefile  a.py \nx", ("a.py", "x")),
        ("%%writefile a.py", ("a.py", "")),
        ("%%writefile -a a.py\nx", (None, "x")),
        ("%%writefile a b\nx", (None, "x")),
        ("  %%time\nx", (None, "x")),
        ("x\n%%writefile a.py", (None, "x\n%%writefile a.py")),
        ("", (None, "")),
    ],
)
def test_the_writefile_line(source: str, expected: tuple[str | None, str]) -> None:
    assert split_writefile(source) == expected


def test_hidden_tests_are_cut_out() -> None:
    assert without_hidden_tests(HIDDEN) == 'hidden_check("one")\nshown = 1'
    assert "secret" not in without_hidden_tests(HIDDEN.rstrip("\n"))

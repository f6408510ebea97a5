"""Programs that run to their end, in a folder with nothing in it but what they are given."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from autograde.places import Sandbox
from tasklab.children import ServerDidNotStart
from tasklab.launcher import Launcher, use_launcher
from tasklab.programs import program

LOOK = """
import os

for name in sorted(set(os.listdir()) - {"look.py"}):
    print(name, open(name).read())
"""
ANSWERS = {"test_newsletter.py": "# the answer's", "newsletter.py": "# the answer's own app"}


@pytest.fixture(params=["this machine", "behind the wall"])
def place(
    request: pytest.FixtureRequest, write_app: Callable[..., Path], tmp_path: Path
) -> Iterator[Path]:
    """Where the answer's files are, and a folder that must stay as it is."""
    for name, text in ANSWERS.items():
        write_app(text, name)
    if request.param == "this machine":
        yield tmp_path
    else:
        with Sandbox(ANSWERS, warm=False) as sandbox, use_launcher(sandbox):
            yield tmp_path


def run_look(**options: object) -> list[str]:
    prepared = program("look", files={"look.py": LOOK}, **options)  # type: ignore[arg-type]
    assert prepared.run() == 0, prepared.log.text
    return prepared.log.lines


@pytest.mark.usefixtures("place")
def test_it_finds_the_answers_that_were_named_and_nothing_else() -> None:
    assert run_look() == []
    assert run_look(answers=["test_newsletter.py"]) == ["test_newsletter.py # the answer's"]


@pytest.mark.usefixtures("place")
def test_a_given_file_takes_the_place_of_an_answer() -> None:
    files = {"look.py": LOOK, "newsletter.py": "# the check's app"}
    prepared = program("look", answers=["newsletter.py"], files=files)
    assert prepared.run() == 0, prepared.log.text
    assert "newsletter.py # the check's app" in prepared.log.lines


def test_what_it_leaves_is_not_left_beside_the_answer(place: Path) -> None:
    before = sorted(place.iterdir())
    prepared = program("leave", files={"leave.py": "open('left', 'w').close()"})
    assert prepared.run() == 0
    assert run_look() == []
    assert sorted(place.iterdir()) == before


@pytest.mark.usefixtures("place")
def test_it_gets_its_arguments_its_environment_and_its_exit_code_through() -> None:
    text = "import os, sys\nprint(*sys.argv[1:], os.environ['MOOD'])\nsys.exit(5)"
    prepared = program("speak", "a", "b", files={"speak.py": text}, env={"MOOD": "calm"})
    assert prepared.run() == 5
    assert prepared.log.lines == ["a b calm"]


@pytest.mark.usefixtures("place")
def test_an_answer_that_is_not_there_is_named() -> None:
    with pytest.raises(ServerDidNotStart, match=r"there is no gunicorn\.conf\.py here"):
        program("look", answers=["gunicorn.conf.py"], files={"look.py": LOOK}).run()


@pytest.mark.usefixtures("write_app")
def test_the_folder_is_removed() -> None:
    with Launcher() as launcher, use_launcher(launcher):
        prepared = program("where", files={"where.py": "import os\nprint(os.getcwd())"})
        assert prepared.run() == 0
    (folder,) = prepared.log.lines
    assert not Path(folder).exists()

from __future__ import annotations

import copy
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jupyter_client
import pytest
from nbgrader import converters, coursedir, exchange, preprocessors
from nbgrader.api import Gradebook
from nbgrader.apps import NbGrader, NbGraderAPI
from nbgrader.server_extensions.formgrader import formgrader
from traitlets.config import Config
from traitlets.config.loader import PyFileConfigLoader

import autograde
from autograde import preprocessors as own
from autograde.exercises import find_stale
from autograde.nbgrader_config import configure, course_root, ignored_names
from tests.autograde.courses import NAME, Course, answer, code, notebook

if TYPE_CHECKING:
    from traitlets.config import Configurable

HOME = Path(autograde.__file__).resolve().parents[1]


@pytest.fixture
def config(course: Course) -> Config:
    made = Config()
    configure(made, course.root)
    return made


def test_every_setting_is_one_that_nbgrader_has(config: Config) -> None:
    """A misspelt one would be passed over in silence."""
    modules: list[Any] = [
        converters,
        coursedir,
        exchange.default,
        formgrader,
        jupyter_client,
        preprocessors,
        own,
    ]
    for name, settings in list(config.items()):
        owner: type[Configurable] = next(
            getattr(module, name) for module in modules if hasattr(module, name)
        )
        made = owner(config=copy.deepcopy(config))
        for setting, value in list(settings.items()):
            assert setting in owner.class_traits(config=True), name
            assert getattr(made, setting) == value


def test_everything_about_people_lies_in_the_classroom(config: Config, course: Course) -> None:
    made = coursedir.CourseDirectory(config=config)
    for step in ("submitted", "autograded", "feedback", "solution", "source_with_tests"):
        assert getattr(made, f"{step}_directory").startswith("classroom/")
    assert made.db_url == course.db_url
    assert made.format_path(made.source_directory, ".", NAME) == f"{course.root}/solutions/./{NAME}"
    assert made.format_path(made.release_directory, ".", NAME) == (
        f"{course.root}/exercises/./{NAME}"
    )
    ignored = (HOME / ".gitignore").read_text(encoding="utf-8").split()
    assert "/classroom/" in ignored


def test_the_course_is_found_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in (tmp_path, HOME, HOME / "autograde" / "etc"):
        monkeypatch.chdir(folder)
        assert course_root() == HOME


def test_the_installed_file_loads_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path))
    path = str(HOME / "autograde" / "etc")
    loaded = PyFileConfigLoader("nbgrader_config.py", path=path).load_config()
    expected = Config()
    configure(expected)
    assert loaded == expected
    assert loaded.CourseDirectory.root == str(HOME)


@pytest.mark.parametrize("ranked", ["0", "1"])
def test_the_installed_file_gives_way_to_what_a_person_sets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ranked: str
) -> None:
    """Also where Jupyter ranks it higher, as in an environment that the person owns."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path / "own"))
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", ranked)
    own = tmp_path / "own" / "nbgrader_config.py"
    own.parent.mkdir()
    own.write_text("c.Exchange.root = '/srv/exchange'\n", encoding="utf-8")
    loaded = NbGrader()
    loaded.load_config_file()
    assert loaded.config.Exchange.root == "/srv/exchange"
    assert loaded.config.CourseDirectory.root == str(HOME)


def test_names_that_notebooks_write_are_ignored(tmp_path: Path) -> None:
    course = Course(tmp_path)
    course.source(notebook(answer("%%writefile shop.conf.py\n"), code("%%writefile -a log.txt\n")))
    ignored = ignored_names(tmp_path)
    assert {"shop.conf.py", "log.txt", "__pycache__", "*.db"} <= set(ignored)
    assert "newsletter.py" not in ignored


def test_the_exchange_is_there_so_that_nothing_complains(config: Config) -> None:
    assert not NbGraderAPI(config=config).exchange_missing


def test_a_gradebook_is_made_where_the_environment_is_not_activated(
    course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nbgrader makes one with the alembic command."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert shutil.which("alembic") is None
    configure(Config(), course.root)
    assert Path(str(shutil.which("alembic"))).parent == Path(sys.executable).parent
    assert os.environ["PATH"].endswith("/usr/bin:/bin")


@pytest.mark.slow
def test_plain_nbgrader_releases_and_grades(course: Course) -> None:
    """The release is what `autograde exercises` builds, to the byte."""
    run = course.nbgrader("generate_assignment", NAME)
    assert run.returncode == 0, run.stderr
    assert find_stale(course.root) == []
    course.submit("ada", course.fix())
    run = course.nbgrader("autograde", NAME)
    assert run.returncode == 0, run.stderr
    assert "Traceback" not in run.stderr
    with Gradebook(course.db_url) as gradebook:
        assert gradebook.find_submission(NAME, "ada").score == 5

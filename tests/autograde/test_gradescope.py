"""The autograder zip, as Gradescope unpacks it, sets it up and runs it."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

from autograde.errors import Misuse
from autograde.exercises import build
from autograde.gradescope import build_autograder, grade_submission
from tests.autograde.containers import ROOT, Container
from tests.autograde.courses import FIX, NAME, Course, exercise, find

# Says what it could take instead of delivering.
THIEF = """\
    import os, pathlib
    taken = []
    for place in ("solutions", "submission", "results", "/autograder/source/solutions"):
        for root in ("/autograder", "/autograder/source"):
            try:
                taken += os.listdir(os.path.join(root, place))
            except OSError:
                pass
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        for name in ("environ", "mem", "maps"):
            try:
                if process.name != str(os.getpid()) and os.getuid() != process.stat().st_uid:
                    taken += [(process / name).open("rb").read(1)]
            except OSError:
                pass
    if taken or os.getuid() == 0:
        tasks.add_task(print, taken)
    else:
        tasks.add_task(deliver, issue["number"])
"""
# Leaves a process behind that is nobody's child.
DAEMON = """\
    import os, time
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(3600)
        os._exit(0)
    tasks.add_task(deliver, issue["number"])
"""
KILLER = """\
    import os, signal, time
    keeper = os.getppid()
    for _ in range(2):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                time.sleep(3600)
            os._exit(0)
    os.kill(keeper, signal.SIGKILL)
"""

# What still runs then, of users other than those of the system, is printed.
RUN = """\
bash /autograder/run_autograder
code=$?
find /proc -maxdepth 1 -uid +100000 -name '[0-9]*' -printf 'still runs: %f\\n'
exit $code
"""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make such a container")


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    made = Course(tmp_path_factory.mktemp("gradescope") / "course")
    made.source(exercise())
    build(made.root)
    for name in ("LICENSE", "environment.yml", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, made.root)
    for name in ("autograde", "tasklab"):
        shutil.copytree(ROOT / name, made.root / name)
    return made


@pytest.fixture(scope="module")
def container(course: Course, tmp_path_factory: pytest.TempPathFactory) -> Container:
    """The image that Gradescope would have built from the zip."""
    made = Container(tmp_path_factory.mktemp("image") / "autograder")
    source = made.folder / "source"
    bundle = build_autograder(course.root, NAME, course.root / "classroom")
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(source)
    shutil.copy(source / "run_autograder", made.folder)
    made.make_environment()
    done = made.run("bash", "/autograder/source/setup.sh")
    assert done.returncode == 0, done.stderr
    assert (source / "solutions").stat().st_mode & 0o777 == 0o700
    return made


def hand_in(container: Container, files: dict[str, Any]) -> dict[str, Any]:
    """Put files into submission/, run run_autograder, and return what results.json says."""
    submission, results = container.folder / "submission", container.folder / "results"
    for folder in (submission, results):
        shutil.rmtree(folder)
        folder.mkdir(mode=0o755)
    for name, content in files.items():
        path = submission / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content), encoding="utf-8")
    done = container.run("bash", "-c", RUN)
    assert "Traceback" not in done.stderr
    found: dict[str, Any] = json.loads((results / "results.json").read_text(encoding="utf-8"))
    return found | {"printed": done.stdout + done.stderr, "code": done.returncode}


def answer(course: Course, fix: str) -> dict[str, Any]:
    content = course.fix()
    cell = find(content, "answer-newsletter")
    source = "".join(cell["source"])
    assert f"{FIX}\n" in source
    cell["source"] = source.replace(f"{FIX}\n", fix)
    return content


@needs_root
def test_a_submission_is_graded_by_all_checks(container: Container, course: Course) -> None:
    results = hand_in(container, {f"{NAME}.ipynb": course.fix(), "metadata.json": {}})

    assert "runs as another user" in results["printed"]
    assert results["score"] == 5, results
    assert {test["name"]: test["score"] for test in results["tests"]} == {
        "health-answers": 2, "letter-arrives": 3
    }  # fmt: skip
    assert results["code"] == 0
    failed = hand_in(container, {"week 1/mine.ipynb": course.fix(wrong=True)})
    assert (failed["score"], failed["code"]) == (2, 0)
    assert "SECRET_NUMBER" not in json.dumps(failed)


@needs_root
def test_an_answer_reads_no_solution_and_nothing_of_root(
    container: Container, course: Course
) -> None:
    results = hand_in(container, {f"{NAME}.ipynb": answer(course, THIEF)})

    assert results["score"] == 5, results


@needs_root
def test_what_an_answer_starts_ends_with_it(container: Container, course: Course) -> None:
    results = hand_in(container, {f"{NAME}.ipynb": answer(course, DAEMON)})

    assert results["score"] == 5, results
    assert "still runs" not in results["printed"]


@needs_root
def test_who_kills_the_keeper_gains_nothing(container: Container, course: Course) -> None:
    results = hand_in(container, {f"{NAME}.ipynb": answer(course, KILLER)})

    assert results["score"] == 2, results
    assert results["tests"][1]["status"] == "failed"
    assert "still runs" not in results["printed"]


@needs_root
def test_solutions_that_the_answer_could_read_stop_it(container: Container, course: Course) -> None:
    module = container.folder / "source" / "autograde" / "users.py"
    text = module.read_text()
    module.write_text(text.replace("path.chmod(stat.S_IRWXU)", "path.chmod(0o755)"))
    try:
        results = hand_in(container, {f"{NAME}.ipynb": course.fix()})
    finally:
        module.write_text(text)

    assert "The answer's user could look into /autograder/source/solutions" in results["printed"]
    assert ("score" in results, results["code"]) == (False, 3)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], f"There is no notebook in what you handed in: hand in {NAME}.ipynb."),
        (["a.ipynb", "b.ipynb"], "There are 2 notebooks in what you handed in"),
        ([".ipynb_checkpoints/a.ipynb"], "There is no notebook in what you handed in"),
        (["a.ipynb", f"{NAME}.ipynb"], ""),
        ([f"week 1/{NAME} (1).ipynb", "notes.ipynb"], ""),
        ([f"{NAME}.ipynb", f"{NAME} (1).ipynb"], ""),
    ],
)
def test_what_is_no_answer_is_said_to_its_learner(
    course: Course, tmp_path: Path, names: list[str], said: str
) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "solutions").symlink_to(course.root / "solutions")
    for name in names:
        path = tmp_path / "submission" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(course.fix()), encoding="utf-8")
    results = json.loads(grade_submission(tmp_path))

    if said:
        assert (results["score"], results["output"][: len(said)]) == (0, said)
    else:
        assert results["score"] == 5


def test_a_link_is_not_followed(course: Course, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "solutions").symlink_to(course.root / "solutions")
    (tmp_path / "submission").mkdir()
    (tmp_path / "submission" / "link").symlink_to(course.root / "solutions")
    solution = course.root / "solutions" / NAME / f"{NAME}.ipynb"
    (tmp_path / "submission" / f"{NAME}.ipynb").symlink_to(solution)

    assert json.loads(grade_submission(tmp_path))["score"] == 0


def test_the_zip_has_one_exercise_and_nothing_of_the_class(course: Course, tmp_path: Path) -> None:
    course.submit("ada", course.fix())
    shutil.copytree(course.root, tmp_path / "two")
    course = Course(tmp_path / "two")
    course.source(exercise(), "02-two-letters")
    bundle = build_autograder(course.root, NAME, tmp_path)
    with zipfile.ZipFile(bundle) as archive:
        names = archive.namelist()
        modes = {i.filename: i.external_attr >> 16 & 0o777 for i in archive.infolist()}
        dates = {entry.date_time for entry in archive.infolist()}

    assert {name.split("/")[0] for name in names} == {
        "LICENSE", "autograde", "environment.yml", "pyproject.toml", "requirements.lock",
        "run_autograder", "setup.sh", "solutions", "tasklab",
    }  # fmt: skip
    assert [name for name in names if name.startswith("solutions")] == [
        f"solutions/{NAME}/{NAME}.ipynb"
    ]
    assert modes["run_autograder"] == modes["setup.sh"] == 0o755
    assert dates == {(1980, 1, 1, 0, 0, 0)}
    assert build_autograder(course.root, NAME, tmp_path / "again").read_bytes() == (
        bundle.read_bytes()
    )
    with pytest.raises(Misuse, match="There is no exercise '99'"):
        build_autograder(course.root, "99", tmp_path)

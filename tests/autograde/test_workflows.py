"""The workflows of GitHub and GitLab are valid, and their steps do it, on real repositories."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from autograde.errors import Misuse
from autograde.exercises import build
from autograde.workflows import students_workflows, write_workflow
from tests.autograde.courses import NAME, Course, exercise

ROOT = Path(__file__).resolve().parents[2]
# No settings of this machine's, and a name for commits.
GIT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@example.org",
}  # fmt: skip
SUDO = '#!/bin/sh\necho "$@" >> "$HOME/sudo.log"\n'
# Before each command, bash writes down which one it is and whether it gets the token.
NOTE = """trap 'echo "${STUDENTS_TOKEN:+token: }$BASH_COMMAND" >> "$HOME/commands.log"' DEBUG\n"""


def git(folder: Path, *arguments: str) -> None:
    command = ["git", "-C", str(folder), *arguments]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, **GIT})


def commit(folder: Path) -> Path:
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all", "--force")
    git(folder, "commit", "--quiet", "--message=.")
    return folder


class Host:
    """A runner: a home, a folder to work in, and the commands that a host's machine has."""

    def __init__(self, folder: Path, origin: Path) -> None:
        self.work, self.home, self.kept = folder / "work", folder / "home", folder / "kept"
        self.home.mkdir(parents=True)
        (self.home / "sudo").write_text(SUDO)
        (self.home / "sudo").chmod(0o755)
        git(folder, "clone", "--quiet", str(origin), "work")
        self.failed: list[str] = []
        self.variables = {
            **GIT,
            "HOME": str(self.home),
            "PATH": f"{self.home}:{os.environ['PATH']}",
            "CI_PROJECT_DIR": str(self.work),
            "CI_SERVER_URL": "https://gitlab.example.org",
        }

    def shell(self, text: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-eo", "pipefail", "-c", NOTE + text], cwd=self.work,
            env={**self.variables, **more}, capture_output=True, text=True, timeout=600,
        )  # fmt: skip

    def make_environment(self, text: str) -> None:
        """Take the environment that these tests run in for the one that the step would build."""
        assert text == "make environment"
        (self.work / ".venv").symlink_to(sys.prefix)
        # What that installs for nbgrader is for the course around these tests.
        settings = self.home / "etc" / "nbgrader_config.py"
        settings.parent.mkdir()
        settings.write_text(
            "from pathlib import Path\n"
            "from autograde.nbgrader_config import configure\n"
            f"configure(get_config(), Path({str(self.work)!r}))\n"
        )
        self.variables["JUPYTER_CONFIG_DIR"] = str(settings.parent)
        self.variables["JUPYTER_PREFER_ENV_PATH"] = "0"

    def keep(self, names: list[str]) -> None:
        for name in names:
            place = self.work / name
            target = self.kept / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if place.is_dir():
                shutil.copytree(place, target)
            else:
                shutil.copy(place, target)

    def run(self, workflow: str) -> tuple[bool, str]:
        raise NotImplementedError


class GitHub(Host):
    def run(self, workflow: str) -> tuple[bool, str]:
        told = yaml.safe_load((self.work / workflow).read_text())
        (job,) = told["jobs"].values()
        said = ""
        for step in job["steps"]:
            condition = step.get("if")
            assert condition in (None, "${{ !cancelled() }}")
            if self.failed and condition is None:
                continue
            if "uses" in step:
                if step["uses"].startswith("actions/upload-artifact@"):
                    self.keep(step["with"]["path"].split())
                continue
            if step["run"].startswith("make "):
                self.make_environment(step["run"])
                continue
            secrets = {
                name: value.replace("${{ secrets.STUDENTS_TOKEN }}", "secret-token")
                for level in (told, job, step)
                for name, value in level.get("env", {}).items()
            }
            done = self.shell(step["run"], **secrets)
            said += done.stdout + done.stderr
            if done.returncode:
                self.failed.append(step["name"])
        return not self.failed, said


class GitLab(Host):
    def run(self, workflow: str) -> tuple[bool, str]:
        (job,) = yaml.safe_load((self.work / workflow).read_text()).values()
        first, *lines = job["script"]
        self.make_environment(first)
        done = self.shell("\n".join(lines), STUDENTS_TOKEN="secret-token")
        artifacts = job.get("artifacts", {})
        if done.returncode == 0 or artifacts.get("when") == "always":
            self.keep(artifacts.get("paths", []))
        return done.returncode == 0, done.stdout + done.stderr


HOSTS: dict[str, type[Host]] = {"github": GitHub, "gitlab": GitLab}
CHECK = {"github": ".github/workflows/check.yml", "gitlab": ".gitlab-ci.yml"}
USERS = {"github": ("github.com", "x-access-token"), "gitlab": ("gitlab.example.org", "oauth2")}


@pytest.fixture
def course(tmp_path: Path) -> Course:
    made = Course(tmp_path / "course")
    made.source(exercise())
    build(made.root)
    return made


@pytest.fixture
def push(course: Course, tmp_path: Path) -> Callable[..., Path]:
    """Make a student's repository, from what is handed out."""

    def make(student: str, content: dict[str, Any] | None) -> Path:
        folder = tmp_path / "students" / student
        shutil.copytree(course.root / "exercises", folder / "exercises")
        starters = folder / "exercises" / ".starters"
        starters.mkdir()
        page = folder / "exercises" / NAME / f"{NAME}.ipynb"
        shutil.copy(page, starters)
        if content is not None:
            page.write_text(json.dumps(content))
        for name, data in students_workflows().items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        return commit(folder)

    return make


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("host", HOSTS)
def test_the_teacher_grades_what_was_pushed(
    host: str, course: Course, push: Callable[..., Path], tmp_path: Path
) -> None:
    repositories = {
        "ada": push("ada", course.fix()),
        "bo": push("bo", course.fix(wrong=True)),
        "cy": push("cy", None),
        "di": tmp_path / "nowhere",
    }
    lines = ["student,repository", *(f"{name},{path}" for name, path in repositories.items())]
    (course.root / "students.csv").write_text("\n".join(lines) + "\n")
    (course.root / ".gitignore").write_text("/.venv*\n/classroom/\n")
    workflow = write_workflow(course.root, host).relative_to(course.root)
    runner = HOSTS[host](tmp_path / "runner", commit(course.root))
    good, said = runner.run(str(workflow))

    assert not good, "a repository could not be read, and the run must say so"
    assert "di: nothing can be taken from the repository" in said
    assert "cy: no exercise is begun." in said
    with (runner.kept / "classroom" / "grades" / "grades.csv").open() as file:
        points = {row["student"]: row["points"] for row in csv.DictReader(file)}
    assert points == {"ada": "5", "bo": "2"}
    feedback = runner.kept / "classroom" / "feedback" / "bo" / NAME / f"{NAME}.html"
    assert "SECRET_NUMBER" not in feedback.read_text(encoding="utf-8")
    # The token is gone before an answer runs.
    commands = (runner.home / "commands.log").read_text()
    assert "\ntoken: .venv/bin/autograde collect" in commands
    assert "\n.venv/bin/autograde grade" in commands
    # The token is in no file, and git hands it to the host alone.
    name, user = USERS[host]
    settings = (runner.home / ".gitconfig").read_text()
    assert "secret-token" not in settings
    for asked, told in ((name, f"username={user}\npassword=secret-token"), ("evil.example", "")):
        filled = runner.shell(
            f"printf 'protocol=https\\nhost={asked}\\n\\n' | git credential fill",
            STUDENTS_TOKEN="secret-token", GIT_TERMINAL_PROMPT="0", GIT_ASKPASS="/bin/false",
        )  # fmt: skip
        assert (told in filled.stdout) is True
        assert ("secret-token" in filled.stdout) is bool(told)
    if host == "github":
        assert runner.failed == ["Take what the students pushed"]
        log = (runner.home / "sudo.log").read_text()
        assert log == "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0\n"


@pytest.mark.parametrize("host", HOSTS)
def test_a_student_sees_the_visible_checks(
    host: str, course: Course, push: Callable[..., Path], tmp_path: Path
) -> None:
    runner = HOSTS[host](tmp_path / "runner", push("ada", course.fix(wrong=True)))
    good, said = runner.run(CHECK[host])

    assert good, said
    assert "your teacher runs them: letter-arrives" in said


@pytest.mark.parametrize("host", HOSTS)
def test_who_has_not_begun_is_not_failed(
    host: str, push: Callable[..., Path], tmp_path: Path
) -> None:
    runner = HOSTS[host](tmp_path / "runner", push("ada", None))
    assert runner.run(CHECK[host]) == (True, "No exercise is begun yet.\n")


def test_only_the_teacher_starts_a_grading_and_only_the_teacher_sees_it(course: Course) -> None:
    told = yaml.safe_load(write_workflow(course.root, "github").read_text())
    # YAML takes the word `on` for a yes.
    assert set(told[True]) == {"workflow_dispatch", "schedule"}
    (job,) = yaml.safe_load(write_workflow(course.root, "gitlab").read_text()).values()
    assert job["rules"] == [
        {"if": f'$CI_PIPELINE_SOURCE == "{source}"'} for source in ("schedule", "web")
    ]
    assert job["artifacts"]["access"] == "maintainer"


@pytest.mark.parametrize("name", ["check", "grade"])
def test_a_workflow_of_github_may_read_and_no_more(name: str) -> None:
    folder = ROOT / "autograde" / "templates" / "github"
    told = yaml.safe_load((folder / f"{name}.yml").read_text())
    (job,) = told["jobs"].values()

    assert told["permissions"] == {"contents": "read"}
    assert "permissions" not in job
    (checkout,) = [s for s in job["steps"] if s.get("uses", "").startswith("actions/checkout@")]
    assert checkout["with"] == {"persist-credentials": False}


@pytest.mark.parametrize(
    ("schema", "pattern"),
    [
        ("github-workflows", "templates/github/*.yml"),
        ("gitlab-ci", "templates/gitlab/*.yml"),
        ("compose-spec", "docker/compose.yaml"),
    ],
)
def test_what_a_host_reads_is_valid(schema: str, pattern: str) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}"]
    if schema == "gitlab-ci":
        command += ["--data-transform", "gitlab-ci"]
    files = sorted((ROOT / "autograde").glob(pattern))
    assert files
    done = subprocess.run([*command, *files], capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr


def test_a_workflow_of_ones_own_stays(course: Course) -> None:
    written = write_workflow(course.root, "gitlab")
    assert write_workflow(course.root, "gitlab") == written
    written.write_text("mine: {}\n")
    with pytest.raises(Misuse, match="is there and says something else"):
        write_workflow(course.root, "gitlab")
    assert written.read_text() == "mine: {}\n"

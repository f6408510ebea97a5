from __future__ import annotations

import ast
import fcntl
import hashlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import psutil
import pytest

from autograde import environment
from autograde.environment import EnvironmentProblem

BACKEND = """
import zipfile

def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    name = "course-1-py3-none-any.whl"
    with zipfile.ZipFile(f"{wheel_directory}/{name}", "w") as wheel:
        info = "course-1.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: course\\nVersion: 1\\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nTag: py3-none-any\\n")
        wheel.writestr(f"{info}/RECORD", "")
    return name
"""


def write_wheel(folder: Path, name: str) -> str:
    """Make the smallest wheel that pip installs; return its hash."""
    wheel = folder / f"{name}-1-py3-none-any.whl"
    info = f"{name}-1.dist-info"
    files = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(path, text)
    return hashlib.sha256(wheel.read_bytes()).hexdigest()


class Project:
    """A course of one tiny package, with the real script that builds its environment."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.venv = root / ".venv"
        self.lock = root / "requirements.lock"
        (root / "autograde" / "etc").mkdir(parents=True)
        (root / "wheels").mkdir()
        shutil.copy(environment.__file__, root / "autograde")
        (root / "autograde" / "etc" / "overrides.json").write_text("{}")
        (root / "backend.py").write_text(BACKEND)
        (root / "pyproject.toml").write_text(
            '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
            '[project]\nname = "course"\nversion = "1"\n'
        )
        self.lock.write_text(f"tiny==1 --hash=sha256:{write_wheel(root / 'wheels', 'tiny')}\n")

    def start(self, **settings: str) -> subprocess.Popen[str]:
        plain = {name: text for name, text in os.environ.items() if not name.startswith("PIP_")}
        return subprocess.Popen(
            [sys.executable, "-I", str(self.root / "autograde" / "environment.py")],
            env={**plain, "PIP_CONFIG_FILE": os.devnull, "PIP_NO_CACHE_DIR": "1", **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def build(self, **settings: str) -> tuple[int, str, str]:
        """Run the script; return the exit code, what it said, and its complaint."""
        wheels = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.root / "wheels")}
        child = self.start(**(settings or wheels))
        told, complaint = child.communicate(timeout=90)
        return child.returncode, told, complaint.strip()

    def is_complete(self) -> bool:
        return environment.is_fresh(self.root, self.venv)

    def pretend(self) -> None:
        """Leave what a finished build leaves."""
        (self.venv / "bin").mkdir(parents=True)
        (self.venv / "bin" / "python").touch()
        packages = environment.describe_packages(self.root, self.venv)
        environment.write_stamp(self.venv, packages, environment.describe_project(self.root))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.mark.parametrize("version", [(2, 7), (3, 6), (3, 10), (3, 14)])
def test_other_pythons_are_refused_by_name(version: tuple[int, int]) -> None:
    sentence = environment.explain_python(version)

    assert "{}.{}:".format(*version) in sentence
    assert "needs Python 3.11, 3.12 or 3.13" in sentence


@pytest.mark.parametrize("version", [(3, 11), (3, 12), (3, 13)])
def test_supported_pythons_are_accepted(version: tuple[int, int]) -> None:
    assert environment.explain_python(version) == ""


def test_an_old_python_can_read_the_script() -> None:
    """It must get as far as the sentence, which stands before the first import but sys."""
    tree = ast.parse(Path(environment.__file__).read_text(), feature_version=(3, 6))
    kinds = [type(node) for node in tree.body]
    refusal = kinds.index(ast.If)

    assert kinds[:refusal] == [ast.Expr, ast.Import, ast.FunctionDef]


def test_native_windows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem, match="install WSL2"):
        environment.check_machine(tmp_path, system="nt")


def test_a_missing_venv_module_names_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name != "ensurepip" or None)

    with pytest.raises(EnvironmentProblem, match=r"sudo apt install python3\.\d+-venv"):
        environment.check_machine(tmp_path)


def test_a_full_disk_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem, match=r"0\.3 GB are free in .* need 1\.5 GB"):
        environment.check_machine(tmp_path, free_bytes=300_000_000)
    assert list(tmp_path.iterdir()) == []


def test_a_build_is_complete_and_the_next_run_is_silent(project: Project) -> None:
    code, told, complaint = project.build()

    assert (code, complaint) == (0, "")
    assert ".venv is not there" in told
    assert "[  1/1] installing" in told
    assert told.rstrip().splitlines()[-1].startswith(".venv is ready")
    assert project.is_complete()
    assert list(project.venv.glob("lib/python*/site-packages/tiny-1.dist-info"))
    assert list(project.venv.glob("lib/python*/site-packages/course-1.dist-info"))
    assert project.build() == (0, "", "")


def test_a_changed_pyproject_installs_the_project_alone(project: Project) -> None:
    project.build()
    packages = environment.read_stamp(project.venv)[0]
    python = (project.venv / "bin" / "python").lstat().st_mtime_ns
    with (project.root / "pyproject.toml").open("a") as file:
        file.write("# changed\n")

    code, told, _ = project.build()

    assert code == 0
    assert "building it anew" not in told
    assert environment.read_stamp(project.venv)[0] == packages
    assert (project.venv / "bin" / "python").lstat().st_mtime_ns == python
    assert project.is_complete()


def test_no_network_is_one_sentence(project: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]

    code, _, complaint = project.build(
        PIP_INDEX_URL=f"http://127.0.0.1:{port}/simple", PIP_RETRIES="0"
    )

    assert code == 3
    assert complaint.startswith("The packages cannot be downloaded")
    assert str(project.venv) + ".log" in complaint
    assert len(complaint.splitlines()) == 1
    assert not project.is_complete()
    assert environment.read_stamp(project.venv) == []


def test_a_wrong_hash_names_the_package(project: Project) -> None:
    project.lock.write_text(f"tiny==1 --hash=sha256:{'0' * 64}\n")

    code, _, complaint = project.build()

    assert code == 3
    assert complaint.startswith("The download of tiny is not the one that requirements.lock names")
    assert len(complaint.splitlines()) == 1
    assert not project.is_complete()


def test_an_interrupted_build_leaves_no_stamp_and_no_pip(project: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        child = project.start(PIP_INDEX_URL=f"http://127.0.0.1:{silent.getsockname()[1]}/simple")
        with silent.accept()[0]:  # pip has asked, and now waits for good
            pips = psutil.Process(child.pid).children(recursive=True)
            child.send_signal(signal.SIGTERM)
            _, complaint = child.communicate(timeout=60)

    assert child.returncode == 130
    assert complaint.strip() == "Stopped: the next `make` builds .venv anew."
    assert pips
    assert not any(process.is_running() for process in pips)
    assert environment.read_stamp(project.venv) == []
    assert "out of date or incomplete" in project.build()[1]
    assert project.is_complete()


def test_a_second_build_waits_for_the_first(project: Project, tmp_path: Path) -> None:
    with Path(f"{project.venv}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        child = project.start()
        assert child.stdout is not None
        first = child.stdout.readline()
        project.pretend()
        fcntl.flock(file, fcntl.LOCK_UN)
    rest, complaint = child.communicate(timeout=60)

    assert first == "Another command is building .venv: waiting for it.\n"
    assert (rest, complaint, child.returncode) == ("", "", 0)


def test_what_makes_an_environment_stale(project: Project, tmp_path: Path) -> None:
    assert not project.is_complete()
    project.pretend()
    assert project.is_complete()

    was = project.lock.read_text()
    project.lock.write_text(f"# a comment\n{was}")
    assert project.is_complete()
    project.lock.write_text(was.replace("tiny==1", "tiny==2"))
    assert not project.is_complete()
    project.lock.write_text(was)

    overrides = project.root / "autograde" / "etc" / "overrides.json"
    overrides.write_text('{"changed": true}')
    assert not project.is_complete()
    overrides.write_text("{}")

    (project.venv / "bin" / "python").rename(project.venv / "bin" / "gone")
    assert not project.is_complete()
    (project.venv / "bin" / "gone").rename(project.venv / "bin" / "python")
    assert project.is_complete()

    moved = project.venv.rename(tmp_path / "moved")
    assert not environment.is_fresh(project.root, moved)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("ERROR: [Errno 28] No space left on device\n", "The disk filled up"),
        ("WARNING: Retrying after connection broken by 'NewConnectionError'\n", "no package index"),
        ("ERROR: No matching distribution found (from versions: none)\n", "no package index"),
        ("ERROR: boom\nERROR: Failed building wheel for tiny\n\n", "`ERROR: Failed building wheel"),
        ("", "pip's last words are `nothing`"),
    ],
)
def test_each_cause_has_its_sentence(tmp_path: Path, said: str, sentence: str) -> None:
    log = tmp_path / ".venv.log"
    log.write_text(said)

    assert sentence in environment.explain_failure(log)


def test_progress_counts_downloads_and_files_of_a_mirror_alike(project: Project) -> None:
    log = project.root / ".venv.log"
    log.write_text(
        "Ignoring windows-only: markers 'os_name == \"nt\"' don't match your environment\n"
        "Collecting some-thing==1.2 (from -r requirements.lock (line 3))\n"
        "Processing /mirror/other_thing-3.4-py3-none-any.whl (from -r requirements.lock (line 9))\n"
    )
    lock = "windows-only==1\nsome-thing==1.2\nother-thing==3.4\nlast==5\n"

    assert environment.Progress(project.venv, log, lock).read() == (2, 3, "fetching other_thing")


def test_an_unknown_argument_is_misuse() -> None:
    script = [sys.executable, "-I", environment.__file__, "--unheard-of"]
    told = subprocess.run(script, capture_output=True, text=True)

    assert told.returncode == 2
    assert "unrecognized arguments: --unheard-of" in told.stderr

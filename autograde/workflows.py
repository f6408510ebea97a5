"""The workflows for GitHub and GitLab: the students' goes with the hand-out, the teacher's here."""

from __future__ import annotations

from pathlib import Path

from autograde.errors import Misuse

__all__ = ["HOSTS", "students_workflows", "write_workflow"]

_TEMPLATES = Path(__file__).with_name("templates")
_PLACES = {"github": ".github/workflows/{}.yml", "gitlab": ".gitlab-ci.yml"}
HOSTS = tuple(_PLACES)


def students_workflows() -> dict[str, bytes]:
    """What checks a student's repository, by its path there."""
    return {
        place.format("check"): (_TEMPLATES / host / "check.yml").read_bytes()
        for host, place in _PLACES.items()
    }


def write_workflow(root: Path, host: str) -> Path:
    """Write what grades at this host into the teacher's repository; return where it is."""
    target = root / _PLACES[host].format("grade")
    text = (_TEMPLATES / host / "grade.yml").read_bytes()
    if target.exists() and target.read_bytes() != text:
        raise Misuse(f"{target} is there and says something else: move it away, or keep it.")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(text)
    return target

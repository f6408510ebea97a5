from __future__ import annotations

from pathlib import Path

import pytest

from autograde.errors import BrokenEnvironment, Misuse
from autograde.journal import Journal

PASSED = {"outcome": "passed", "points": 5.0}
BROKEN = {"outcome": "broken", "points": 0.0}


def test_what_was_graded_is_found_again(tmp_path: Path) -> None:
    path = tmp_path / "grading" / "journal.jsonl"
    with Journal(path) as journal:
        journal.note_entered(journal.note_graded("ada", "01", "print-1", PASSED))
    with Journal(path) as journal:
        entry = journal.find("ada", "01", "print-1")
        assert entry is not None
        assert (entry.report, entry.entered, entry.tries) == (PASSED, True, 1)
        assert journal.find("ada", "01", "print-2") is None
        assert journal.find("bo", "01", "print-1") is None


def test_a_name_is_there_as_it_is_written_and_half_a_character_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    report = {"outcome": "failed", "saw": "\ud83d"}
    with Journal(path) as journal:
        journal.note_graded("Šárka", "01", "print-1", report)
    assert '{"student": "Šárka", '.encode() in path.read_bytes()
    with Journal(path) as journal:
        entry = journal.find("Šárka", "01", "print-1")
        assert entry is not None
        assert entry.report == report


def test_a_new_grading_is_not_in_the_gradebook_yet(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal") as journal:
        journal.note_entered(journal.note_graded("ada", "01", "print-1", PASSED))
        entry = journal.note_graded("ada", "01", "print-2", PASSED)
        assert (entry.entered, entry.tries) == (False, 2)


def test_a_broken_one_is_graded_again(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal") as journal:
        journal.note_graded("ada", "01", "print-1", BROKEN)
        assert journal.find("ada", "01", "print-1") is None


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_line_cut_off_by_a_kill_costs_only_itself(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "journal"
    with Journal(path) as journal:
        journal.note_graded("ada", "01", "print-1", PASSED)
        journal.note_graded("bo", "01", "print-2", PASSED)
    path.write_bytes(path.read_bytes()[:-cut])
    with Journal(path) as journal:
        assert journal.find("ada", "01", "print-1") is not None
        journal.note_graded("cy", "01", "print-3", PASSED)
    with Journal(path) as journal:
        assert [entry.student for entry in journal][-1] == "cy"
        assert journal.find("ada", "01", "print-1") is not None


def test_two_graders_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with Journal(path), pytest.raises(Misuse, match="Another `autograde grade` is at work"):
        Journal(path).__enter__()
    with Journal(path):
        pass


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.symlink_to("/dev/full")
    with Journal(path) as journal, pytest.raises(BrokenEnvironment, match="the disk is full"):
        journal.note_graded("ada", "01", "print-1", PASSED)

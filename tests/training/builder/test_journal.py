"""What a stage has done outlives a kill, and nothing half written is believed."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from PIL import Image

from training.builder.journal import JOURNAL, BuildError, Entry, Journal

SETTINGS = {"size": 64}


def _filled(folder: Path, count: int = 3) -> Journal:
    journal = Journal.open(folder, SETTINGS)
    for k in range(count):
        journal.add(Entry(f"{k:016x}", f"{k}.png", facts={"score": k / 10}))
    return journal


def test_entries_are_found_again(tmp_path: Path) -> None:
    written = list(_filled(tmp_path))
    assert list(Journal.open(tmp_path, SETTINGS)) == written
    assert list(Journal.read(tmp_path)) == written


def test_other_settings_begin_anew(tmp_path: Path) -> None:
    _filled(tmp_path)
    assert len(Journal.open(tmp_path, {"size": 128})) == 0


def test_line_that_was_cut_off_is_made_again(tmp_path: Path) -> None:
    _filled(tmp_path)
    path = tmp_path / JOURNAL
    path.write_bytes(path.read_bytes()[:-5])
    journal = Journal.open(tmp_path, SETTINGS)
    assert len(journal) == 2
    journal.add(Entry("f" * 16))
    assert [entry.id[-1] for entry in Journal.open(tmp_path, SETTINGS)] == ["0", "1", "f"]


@pytest.mark.parametrize("line", ["no json", '{"id": "a", "surprise": 1}', "[]"])
def test_damaged_line_is_told_with_the_remedy(tmp_path: Path, line: str) -> None:
    _filled(tmp_path)
    with (tmp_path / JOURNAL).open("a") as file:
        file.write(line + "\n")
    for open_journal in (lambda: Journal.read(tmp_path), lambda: Journal.open(tmp_path, SETTINGS)):
        with pytest.raises(BuildError, match=r"journal.jsonl' is damaged .*delete its folder"):
            open_journal()


def test_stage_that_has_not_begun_is_empty(tmp_path: Path) -> None:
    assert len(Journal.read(tmp_path / "nothing")) == 0
    assert not (tmp_path / "nothing").exists()


def test_picture_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = _filled(tmp_path, 0)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(BuildError, match=r"No space left on device.*make room.*goes on where it was"):
        journal.save_image(Image.new("L", (4, 4)), "a.png")
    assert [path.name for path in tmp_path.iterdir()] == [JOURNAL]


def test_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BuildError, match="cannot be written"):
        Journal.open(tmp_path / "file", SETTINGS)

"""Strikes: a list on the disk that nothing is lost from, and the prepared set without them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.training.builder.builds import make_build
from training.builder.journal import BuildError
from training.builder.prepared import open_mapped, read_build_info
from training.builder.strikes import STRUCK_REASON, read_struck, remove_struck, strike
from training.datasets import DatasetError, PairedDataset, Pairs, digest


@pytest.fixture
def build(tmp_path: Path) -> Path:
    return make_build(tmp_path / "discs")


def names(build: Path, split: str = "train") -> list[str]:
    return (build / "dataset" / split / "names.txt").read_text("utf-8").split()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_nothing_is_struck_at_first(build: Path) -> None:
    assert read_struck(build) == frozenset()


def test_strikes_are_on_the_disk_a_line_each_in_their_order(build: Path) -> None:
    second, first, third = names(build)[:3]
    for one in (first, second, third, first):
        strike(build, one, True)
    assert (build / "struck.txt").read_text("utf-8") == f"{first}\n{second}\n{third}\n"
    strike(build, second, False)
    assert (build / "struck.txt").read_text("utf-8") == f"{first}\n{third}\n"
    assert read_struck(build) == {first, third}


def test_list_that_a_person_wrote_may_have_blank_lines_and_spaces(build: Path) -> None:
    (build / "struck.txt").write_text("  one \n\n\ttwo\r\n", "utf-8")
    assert read_struck(build) == {"one", "two"}


def test_list_that_is_no_text_is_refused(build: Path) -> None:
    (build / "struck.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BuildError, match=r"struck.txt' is no text; it should hold one id a line"):
        strike(build, "one", True)
    assert (build / "struck.txt").read_bytes() == b"\xff\xfe\x00"


def test_removed_pairs_are_gone_and_the_others_are_as_they_were(build: Path) -> None:
    before = {split: PairedDataset.open(build / "dataset", split) for split in ("train", "val")}
    gone = [*names(build)[1:3], names(build, "val")[0]]
    for one in (*gone, "of an earlier set"):
        strike(build, one, True)
    info = remove_struck(build)
    for split, old in before.items():
        new = PairedDataset.open(build / "dataset", split)
        stay = [k for k, name in enumerate(old.names) if name not in gone]
        assert list(new.names) == [old.names[k] for k in stay]
        assert np.array_equal(new.source, old.source[stay])
        assert np.array_equal(new.target, old.target[stay])
    assert info == read_build_info(build)
    assert info.counts == {"train": 4, "val": 1}
    assert info.rejects == {**before["train"].info.rejects, STRUCK_REASON: 3}


def test_checksum_is_the_one_of_the_smaller_set(build: Path) -> None:
    before = read_build_info(build).sha256
    strike(build, names(build)[0], True)
    info = remove_struck(build)
    opened = {split: PairedDataset.open(build / "dataset", split) for split in info.counts}
    assert info.sha256 == digest({split: Pairs(one.names, one.source, one.target) for split, one in opened.items()})
    assert info.sha256 != before


def test_removing_twice_counts_once_and_later_strikes_are_added(build: Path) -> None:
    strike(build, names(build)[0], True)
    first = remove_struck(build)
    assert remove_struck(build) == first
    strike(build, names(build)[0], True)
    assert remove_struck(build).rejects[STRUCK_REASON] == 2


def test_strikes_stay_listed_so_that_a_later_build_leaves_them_out(build: Path) -> None:
    one = names(build)[0]
    strike(build, one, True)
    remove_struck(build)
    assert read_struck(build) == {one}


def test_without_strikes_no_file_is_touched(build: Path) -> None:
    before = (build / "dataset").stat().st_ino
    remove_struck(build)
    assert (build / "dataset").stat().st_ino == before


def test_split_is_never_emptied(build: Path) -> None:
    before = contents(build / "dataset")
    for one in names(build, "val"):
        strike(build, one, True)
    with pytest.raises(BuildError, match="Every pair of split 'val' is struck; leave at least one"):
        remove_struck(build)
    assert contents(build / "dataset") == before


def test_nothing_is_lost_when_the_smaller_set_cannot_be_written(build: Path) -> None:
    """A file that cannot be copied stands for any failure in the middle."""
    strike(build, names(build)[0], True)
    (build / "dataset" / "loop").symlink_to(build / "nowhere")
    before = contents(build / "dataset")
    with pytest.raises(BuildError, match="cannot be written"):
        remove_struck(build)
    assert contents(build / "dataset") == before
    assert [path.name for path in build.iterdir() if path.name.startswith(".")] == []


def test_what_lies_beside_the_sets_own_files_stays(build: Path) -> None:
    (build / "dataset" / "preview-before.png").write_bytes(b"picture")
    (build / "dataset" / "notes").mkdir()
    (build / "dataset" / "notes" / "a.txt").write_text("kept", "utf-8")
    strike(build, names(build)[0], True)
    remove_struck(build)
    assert (build / "dataset" / "preview-before.png").read_bytes() == b"picture"
    assert (build / "dataset" / "notes" / "a.txt").read_text("utf-8") == "kept"


def test_other_inputs_of_a_pair_go_with_it(tmp_path: Path) -> None:
    from tests.training.synthetic import make_several

    make_several(tmp_path / "dataset")
    before = PairedDataset.open(tmp_path / "dataset", "train")
    strike(tmp_path, before.names[2], True)
    remove_struck(tmp_path)
    after = PairedDataset.open(tmp_path / "dataset", "train")
    for name, images in after.others.items():
        assert np.array_equal(images, np.delete(before.others[name], 2, axis=0))


def test_build_without_a_set_says_what_to_run(tmp_path: Path) -> None:
    build = make_build(tmp_path / "discs", until="4-draw")
    with pytest.raises(BuildError, match=r"holds no pairs yet .*run `inkwash-train dataset build`"):
        remove_struck(build)


@pytest.mark.parametrize("harm", ["missing", "cut", "other shape"])
def test_damaged_array_is_told_with_the_remedy(build: Path, harm: str) -> None:
    path = build / "dataset" / "train" / "target.npy"
    if harm == "missing":
        path.unlink()
    elif harm == "cut":
        path.write_bytes(path.read_bytes()[:100])
    else:
        np.save(path, np.zeros((2, 2), np.uint8))
    with pytest.raises(DatasetError, match=r"target.npy' is .*Remove .*dataset' and run `inkwash-train dataset build` again"):
        open_mapped(build, read_build_info(build), "train")


def test_mapped_set_equals_the_one_in_memory(build: Path) -> None:
    mapped, held = open_mapped(build, read_build_info(build), "val"), PairedDataset.open(build / "dataset", "val")
    assert isinstance(mapped.source, np.memmap)
    assert mapped.names == held.names
    assert np.array_equal(mapped.target, held.target)

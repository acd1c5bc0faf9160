"""Prepared sets: what is written is what is read, and what is wrong is said."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.training.synthetic import SIDE, make_dataset, make_pairs, make_several
from training.datasets import DatasetError, PairedDataset, Pairs, digest, displayable, read_info, write_dataset


def test_open_reads_what_was_written(tmp_path: Path) -> None:
    info = make_dataset(tmp_path / "set")
    dataset = PairedDataset.open(tmp_path / "set", "val")
    expected = make_pairs("line", 5, seed=1)
    assert dataset.info == info
    assert dataset.names == tuple(expected.names)
    np.testing.assert_array_equal(dataset.source, expected.source)
    np.testing.assert_array_equal(dataset.target, expected.target)


def test_prepared_set_has_preview_and_license(tmp_path: Path) -> None:
    make_dataset(tmp_path / "set", "labels")
    with Image.open(tmp_path / "set" / "preview.png") as preview:
        assert preview.width > 2 * SIDE
    assert "CC0" in (tmp_path / "set" / "LICENSE.txt").read_text("utf-8")


def test_open_without_a_set_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="inkwash-train prepare"):
        PairedDataset.open(tmp_path / "nothing", "train")


def test_open_of_an_unknown_split_lists_those_there_are(tmp_path: Path) -> None:
    make_dataset(tmp_path / "set")
    with pytest.raises(DatasetError, match="no split 'test'; it has train, val"):
        PairedDataset.open(tmp_path / "set", "test")


def test_open_of_a_truncated_array_says_which(tmp_path: Path) -> None:
    make_dataset(tmp_path / "set")
    path = tmp_path / "set" / "train" / "target.npy"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DatasetError, match=r"target\.npy' is missing or damaged.*prepare squares"):
        PairedDataset.open(tmp_path / "set", "train")


def test_open_of_an_array_with_another_shape_is_refused(tmp_path: Path) -> None:
    make_dataset(tmp_path / "set")
    np.save(tmp_path / "set" / "train" / "source.npy", np.zeros((3, 8, 8, 1), np.uint8))
    with pytest.raises(DatasetError, match=r"promises uint8 \(8, 32, 32, 1\)"):
        PairedDataset.open(tmp_path / "set", "train")


def test_open_with_a_name_missing_is_refused(tmp_path: Path) -> None:
    make_dataset(tmp_path / "set")
    (tmp_path / "set" / "train" / "names.txt").write_text("one\n", "utf-8")
    with pytest.raises(DatasetError, match="names 1 of 8 pictures"):
        PairedDataset.open(tmp_path / "set", "train")


def test_damaged_description_is_refused(tmp_path: Path) -> None:
    make_dataset(tmp_path / "set")
    (tmp_path / "set" / "dataset.json").write_text('{"format_version": 1}', "utf-8")
    with pytest.raises(DatasetError, match="damaged or of another version"):
        read_info(tmp_path / "set")


def test_write_replaces_an_earlier_set(tmp_path: Path) -> None:
    make_dataset(tmp_path / "set", "line")
    make_dataset(tmp_path / "set", "labels")
    assert read_info(tmp_path / "set").kind == "labels"
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_write_does_not_replace_a_folder_of_other_files(tmp_path: Path) -> None:
    info = make_dataset(tmp_path / "set")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x", "utf-8")
    with pytest.raises(DatasetError, match="holds other files"):
        write_dataset(tmp_path / "mine", info, {"train": make_pairs("line", 8)})
    assert (tmp_path / "mine" / "thesis.tex").is_file()


def test_pairs_of_unequal_length_are_refused() -> None:
    pairs = make_pairs("line", 3)
    with pytest.raises(ValueError, match="2 names, 3 sources and 3 targets"):
        Pairs(pairs.names[:2], pairs.source, pairs.target)


def test_digest_depends_on_every_array() -> None:
    pairs = make_pairs("line", 3)
    changed = Pairs(pairs.names, pairs.source, pairs.target.copy())
    changed.target[2, 5, 5, 1] ^= 1
    assert digest({"train": pairs}) != digest({"train": changed})


def test_labels_are_shown_in_palette_colors(tmp_path: Path) -> None:
    info = make_dataset(tmp_path / "set", "labels")
    shown = displayable(np.array([[[0], [1], [2]]], np.uint8), info.main)
    np.testing.assert_array_equal(shown, [[[0, 0, 128], [255, 0, 0], [0, 255, 0]]])


def test_sets_of_version_1_still_open(tmp_path: Path) -> None:
    """That version knew one input, whose description stood among the set's own."""
    info = make_dataset(tmp_path / "set", "labels")
    told = json.loads((tmp_path / "set" / "dataset.json").read_text("utf-8"))
    (main,) = told.pop("inputs")
    for newer in ("prepare", "format_version"):
        told.pop(newer)
    flat = {key: value for key, value in main.items() if key not in ("name", "values")}
    (tmp_path / "set" / "dataset.json").write_text(json.dumps({"format_version": 1, **flat, **told}), "utf-8")
    dataset = PairedDataset.open(tmp_path / "set", "train")
    assert dataset.info == info
    assert list(dataset.inputs()) == ["image"]


def test_several_inputs_are_read_as_they_were_written(tmp_path: Path) -> None:
    info = make_several(tmp_path / "set")
    dataset = PairedDataset.open(tmp_path / "set", "val")
    assert list(dataset.inputs()) == [spec.name for spec in info.inputs] == ["geology", "relief", "bands"]
    assert {name: images.shape for name, images in dataset.inputs(slice(2)).items()} == {
        "geology": (2, SIDE, SIDE, 1),
        "relief": (2, SIDE, SIDE, 1),
        "bands": (2, SIDE, SIDE, 5),
    }
    every = {split: PairedDataset.open(tmp_path / "set", split) for split in info.counts}
    assert digest({k: Pairs(d.names, d.source, d.target, d.others) for k, d in every.items()}) == info.sha256


def test_missing_array_of_an_input_is_named(tmp_path: Path) -> None:
    make_several(tmp_path / "set")
    (tmp_path / "set" / "train" / "input-relief.npy").unlink()
    with pytest.raises(DatasetError, match=r"input-relief\.npy' is missing"):
        PairedDataset.open(tmp_path / "set", "train")


def test_pairs_with_too_few_pictures_of_an_input_are_refused() -> None:
    pairs = make_pairs("line", 3)
    with pytest.raises(ValueError, match="do not pair up"):
        Pairs(pairs.names, pairs.source, pairs.target, {"relief": pairs.source[:2]})

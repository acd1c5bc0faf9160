"""Unpaired sets: two folders of any photos become two domains, and what is damaged is named."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.training.conftest import BuildConfig
from tests.training.synthetic import SIDE, make_dataset, make_unpaired
from training.batches import UnpairedBatches
from training.config import ConfigError
from training.datasets import DatasetError, read_info
from training.material import open_material
from training.prepare import prepare_unpaired
from training.recipes.recipe import SourceError
from training.unpaired import UnpairedDataset, is_unpaired, read_unpaired_info, write_unpaired

ORIGIN = 'name = "Ours"\nhome_page = ""\nlicense = "CC0"\nweights_license = "CC0"\nfree_samples = true\nnotice = "Ours."\n'


def _photos(folder: Path, count: int, color: tuple[int, int, int]) -> Path:
    """Photos of several sizes, formats and depths of folders, each a different picture."""
    for k in range(count):
        path = folder / f"roll-{k % 2}" / f"photo-{k}.{('png', 'jpg', 'webp')[k % 3]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        image = Image.new("RGB", (40 + 7 * k, 64), color)
        image.paste((10 * k, 255 - 10 * k, 128), (5, 5, 20, 20 + k))
        image.save(path)
    return folder


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    return _photos(tmp_path / "ripe-apples", 12, (200, 30, 20)), _photos(tmp_path / "oranges", 5, (240, 150, 20))


def test_folders_of_any_size_and_count_become_two_domains(folders: tuple[Path, Path], tmp_path: Path) -> None:
    info = prepare_unpaired(*folders, tmp_path / "set", SIDE)
    assert info.names == {"a": "ripe apples", "b": "oranges"}
    assert info.title == {"en": "Ripe apples and oranges"}
    assert sum(counts["a"] for counts in info.counts.values()) == 12
    assert sum(counts["b"] for counts in info.counts.values()) == 5
    training, held_out = (UnpairedDataset.open(tmp_path / "set", split) for split in ("train", "val"))
    assert training.a.images.shape == (info.counts["train"]["a"], SIDE, SIDE, 3)
    for domain in ("a", "b"):
        assert not set(getattr(training, domain).names) & set(getattr(held_out, domain).names)
        assert len(getattr(held_out, domain)) >= 1
    assert (tmp_path / "set" / "preview.png").is_file()


def test_unreadable_and_double_files_are_left_out_with_a_reason(folders: tuple[Path, Path], tmp_path: Path) -> None:
    (folders[0] / "broken.jpg").write_bytes(b"no picture")
    (folders[1] / "double.png").write_bytes((folders[1] / "roll-0" / "photo-0.png").read_bytes())
    info = prepare_unpaired(*folders, tmp_path / "set", SIDE)
    assert sum(info.rejects["a"].values()) == sum(info.rejects["b"].values()) == 1
    assert "cannot be read" in next(iter(info.rejects["a"]))
    assert next(iter(info.rejects["b"])) == "same picture as another"


def test_photos_are_turned_upright(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    lying = Image.new("RGB", (40, 40), "white")
    lying.paste((0, 0, 0), (0, 0, 40, 20))  # the upper half is dark
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    for k in range(2):
        lying.putpixel((39, 39), (k, k, 200))
        lying.save(tmp_path / "oranges" / f"lying-{k}.png", exif=exif)
    prepare_unpaired(*folders, tmp_path / "set", SIDE)
    both = [UnpairedDataset.open(tmp_path / "set", split).b for split in ("train", "val")]
    upright = [image for b in both for name, image in zip(b.names, b.images, strict=True) if name.startswith("lying")]
    assert len(upright) == 2
    assert all(image[: SIDE // 2 - 2].mean() > 200 > 60 > image[SIDE // 2 + 2 :].mean() for image in upright)


def test_origin_is_what_the_folders_say(folders: tuple[Path, Path], tmp_path: Path) -> None:
    unknown = prepare_unpaired(*folders, tmp_path / "set", SIDE).origin
    assert (unknown.license, unknown.free_samples) == ("not stated", False)
    (folders[0] / "origin.toml").write_text(ORIGIN)
    mixed = prepare_unpaired(*folders, tmp_path / "set", SIDE).origin
    assert mixed.license == "CC0; not stated"
    assert not mixed.free_samples
    (folders[1] / "origin.toml").write_text(ORIGIN)
    assert prepare_unpaired(*folders, tmp_path / "set", SIDE).origin.name == "Ours"


def test_folder_without_enough_photos_is_named(folders: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"--b '.*nowhere' is not a folder"):
        prepare_unpaired(folders[0], tmp_path / "nowhere", tmp_path / "set", SIDE)
    with pytest.raises(SourceError, match=r"--a '.*one' has 1 usable photos"):
        prepare_unpaired(_photos(tmp_path / "one", 1, (9, 9, 9)), folders[1], tmp_path / "set", SIDE)
    assert not (tmp_path / "set").exists()


def test_same_folders_give_the_same_set(folders: tuple[Path, Path], tmp_path: Path) -> None:
    first, again = (prepare_unpaired(*folders, tmp_path / name, SIDE) for name in ("first", "again"))
    assert first == again
    other = prepare_unpaired(*folders, tmp_path / "other", SIDE + 8)
    assert other.sha256 != first.sha256


def test_form_of_a_set_is_recognised(tmp_path: Path) -> None:
    info = make_unpaired(tmp_path / "two")
    make_dataset(tmp_path / "pairs")
    assert is_unpaired(tmp_path / "two")
    assert not is_unpaired(tmp_path / "pairs")
    assert not is_unpaired(tmp_path)
    assert read_unpaired_info(tmp_path / "two") == info
    with pytest.raises(DatasetError, match="not of unpaired pictures"):
        read_unpaired_info(tmp_path / "pairs")
    with pytest.raises(DatasetError):
        read_info(tmp_path / "two")


def test_family_and_form_that_differ_are_explained(tmp_path: Path) -> None:
    make_unpaired(tmp_path / "two")
    make_dataset(tmp_path / "pairs")
    with pytest.raises(ConfigError, match=r"'pix2pix' learns from a data set that is paired, but '.*two' is unpaired; prepare"):
        open_material(tmp_path / "two", "paired", "pix2pix")
    with pytest.raises(ConfigError, match=r"is paired; prepare one with `inkwash-train prepare unpaired --a DIR --b DIR`"):
        open_material(tmp_path / "pairs", "unpaired", "cyclegan")
    with pytest.raises(DatasetError, match="is not a prepared data set"):
        open_material(tmp_path / "none", "unpaired", "cyclegan")


def test_damaged_sets_are_named(tmp_path: Path) -> None:
    info = make_unpaired(tmp_path / "set")
    with pytest.raises(DatasetError, match="no split 'test'"):
        UnpairedDataset.open(tmp_path / "set", "test")
    np.save(tmp_path / "set" / "train" / "b.npy", np.zeros((3, SIDE, SIDE, 3), np.uint8))
    with pytest.raises(DatasetError, match=rf"promises uint8 \(4, {SIDE}, {SIDE}, 3\)"):
        UnpairedDataset.open(tmp_path / "set", "train")
    (tmp_path / "set" / "val" / "a.txt").write_text("one\n")
    with pytest.raises(DatasetError, match="names 1 of 3 pictures"):
        UnpairedDataset.open(tmp_path / "set", "val")
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("x")
    with pytest.raises(DatasetError, match="holds other files"):
        write_unpaired(other, info, {})


def test_each_domain_comes_round_on_its_own(tiny_config: BuildConfig) -> None:
    """Of 6 and 4 pictures, 12 images show each of the first twice and each of the second three times."""
    config = tiny_config(optimizer={"batch_size": 1}, augment={"zoom_max": 1.0, "flip": False})
    a, b = (np.stack([np.full((SIDE, SIDE, 3), first + k, np.uint8) for k in range(n)]) for n, first in ((6, 0), (4, 100)))
    batches = UnpairedBatches(a, b, config, device=torch.device("cpu"))
    seen = [{name: round(float(image.mean() + 1) * 127.5) for name, image in batches.batch(k).items()} for k in range(12)]
    assert sorted(step["a"] for step in seen) == sorted([*range(6)] * 2)
    assert sorted(step["b"] for step in seen) == sorted([*range(100, 104)] * 3)
    orders = [tuple(step["a"] for step in seen[start : start + 6]) for start in (0, 6)]
    assert orders[0] != orders[1]


def test_batch_depends_on_its_position_alone_and_domains_are_drawn_apart(tiny_config: BuildConfig) -> None:
    config = tiny_config(augment={"zoom_max": 2.0})
    images = np.random.default_rng(0).integers(0, 256, (4, SIDE, SIDE, 3), dtype=np.uint8)
    first, second = (UnpairedBatches(images, images, config, device=torch.device("cpu")) for _ in range(2))
    first.batch(0)
    late, alone = first.batch(6), second.batch(6)
    assert all(torch.equal(late[name], alone[name]) for name in ("a", "b"))
    assert not torch.equal(late["a"], late["b"])


def test_processes_share_the_pictures_of_an_epoch(tiny_config: BuildConfig) -> None:
    config = tiny_config(optimizer={"batch_size": 1}, augment={"zoom_max": 1.0, "flip": False})
    images = np.stack([np.full((SIDE, SIDE, 3), k, np.uint8) for k in range(6)])
    ranks = [UnpairedBatches(images, images, config, device=torch.device("cpu"), rank=rank, world_size=2) for rank in (0, 1)]
    seen = {round(float(batches.batch(at)["a"].mean() + 1) * 127.5) for at in range(0, 6, 2) for batches in ranks}
    assert seen == set(range(6))

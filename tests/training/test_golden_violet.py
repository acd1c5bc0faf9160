"""The named set of two domains: species go to the colour that they have, and its gallery is free."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.prepare import prepare_domains
from training.recipes.golden_violet import drawings
from training.recipes.recipe import SourceError
from training.unpaired import UnpairedDataset, UnpairedInfo

SIZE = 32


def _species(root: Path, name: str, color: tuple[int, int, int], count: int = 4) -> None:
    (root / name).mkdir(parents=True)
    for k in range(count):
        image = Image.new("RGB", (SIZE, SIZE), color)
        image.paste((k * 40, k * 30, 90), (0, 0, 5 + k, 9))
        image.save(root / name / f"photo-{k}.png")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for name, color in (("sunflower", (240, 200, 20)), ("buttercup", (250, 220, 40)), ("clematis", (120, 60, 200))):
        _species(tmp_path / "flowers", name, color)
    _species(tmp_path / "flowers", "corn-poppy", (220, 20, 20))
    return tmp_path / "flowers"


def _made(source: Path, out: Path) -> tuple[UnpairedInfo, list[str], list[str]]:
    info = prepare_domains("golden-violet", source, out, SIZE)
    splits = [UnpairedDataset.open(out, split) for split in ("train", "val")]
    a, b = ([name for split in splits for name in getattr(split, domain).names] for domain in ("a", "b"))
    return info, a, b


def test_species_go_to_the_domain_of_their_colour_and_others_stay_out(source: Path, tmp_path: Path) -> None:
    info, golden, violet = _made(source, tmp_path / "set")
    assert {name.split("/")[0] for name in golden} == {"sunflower", "buttercup"}
    assert {name.split("/")[0] for name in violet} == {"clematis"}
    assert (len(golden), len(violet)) == (8, 4)
    assert info.names == {"a": "golden flowers", "b": "violet flowers"}
    assert not info.origin.free_samples


def test_folder_without_the_species_is_refused_with_their_names(tmp_path: Path) -> None:
    _species(tmp_path / "flowers", "rose", (200, 0, 0))
    with pytest.raises(SourceError, match=r"none of the folders black-eyed-susan, buttercup.*a folder a species"):
        prepare_domains("golden-violet", tmp_path / "flowers", tmp_path / "set", SIZE)


@pytest.mark.parametrize(("source", "rule"), [(None, "give --source DIR"), (Path("nowhere"), "is not a folder")])
def test_source_must_be_a_folder(source: Path | None, rule: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=rule):
        prepare_domains("golden-violet", source, tmp_path / "set", SIZE)


def test_gallery_shows_a_flower_of_the_colour_that_is_translated() -> None:
    golden, violet = (drawings(domain, SIZE)[0].inputs["image"] for domain in ("a", "b"))
    assert golden.shape == violet.shape == (SIZE, SIZE, 3)
    middle = (slice(12, 20), slice(12, 20))
    red, _, blue = np.mean(golden[middle], axis=(0, 1))
    assert red > blue + 60
    red, green, blue = np.mean(violet[middle], axis=(0, 1))
    assert blue > green + 60

"""The recipe of boundaries, and the benchmark on its test photos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy import io

from tests.training.synthetic import SIDE
from training.config import parse_config
from training.datasets import PairedDataset
from training.edge_benchmark import (
    SCORES_FILE,
    CannyDetector,
    LearnedDetector,
    benchmark,
    best_canny,
    levels,
    list_photos,
    measure_beside_canny,
    read_scores,
    write_scores,
)
from training.families.edges import ServedEdges
from training.figures import Trial, measure
from training.networks.edgenet import EdgeNetwork
from training.prepare import prepare
from training.recipes.bsds500 import read_boundaries, to_drawing
from training.recipes.recipe import SourceError
from training.session import Placement, run_training
from training.trained import open_trained

HEIGHT, WIDTH = 42, 62


def _square(top: int, left: int, scale: int = 1) -> NDArray[np.uint8]:
    """The outline of a square, one pixel wide, in a picture `scale` times as large."""
    boundary = np.zeros((HEIGHT * scale, WIDTH * scale), np.uint8)
    top, left, side = top * scale, left * scale, 24 * scale
    boundary[top : top + side, left : left + side] = 1
    boundary[top + 1 : top + side - 1, left + 1 : left + side - 1] = 0
    return boundary


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BSDS500: bright squares on dark ground, outlined by two people, one of whom also saw a line that is not there."""
    root = tmp_path_factory.mktemp("bsds")
    generator = np.random.default_rng(3)
    for split, count in (("train", 30), ("val", 12), ("test", 4)):
        (root / "images" / split).mkdir(parents=True)
        (root / "groundTruth" / split).mkdir(parents=True)
        for k in range(count):
            top, left = int(generator.integers(4, 14)), int(generator.integers(4, 30))
            scale = 4 if split == "test" else 1  # the tolerance is a share of the diagonal: in a tiny picture no pixel
            photo = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
            photo[top : top + 24, left : left + 24] = (220, 180, 60)
            photo = photo.repeat(scale, axis=0).repeat(scale, axis=1)
            Image.fromarray(photo).save(root / "images" / split / f"x{k}.jpg", quality=95)
            other = _square(top, left, scale)
            other[2, :] = 1
            people = np.empty((1, 2), object)
            for place, boundary in enumerate((_square(top, left, scale), other)):
                people[0, place] = {"Segmentation": boundary, "Boundaries": boundary}
            io.savemat(root / "groundTruth" / split / f"x{k}.mat", {"groundTruth": people})
    return root


def test_what_people_drew_is_read_and_laid_on_one_another(source: Path) -> None:
    people = read_boundaries(source / "groundTruth" / "train" / "x0.mat")
    assert people.shape == (2, HEIGHT, WIDTH)
    drawing = to_drawing(people)
    assert drawing.shape == (HEIGHT, WIDTH, 1)
    assert set(np.unique(drawing)) == {0, 128, 255}
    assert (drawing[2] == 128).all()


def test_recipe_cuts_squares_that_cover_the_photos_and_leaves_test_photos_out(source: Path, tmp_path: Path) -> None:
    info = prepare("bsds500", source, tmp_path / "data", size=SIDE)
    assert info.target_channels == 1
    assert info.main.kind == "photo"
    assert sum(info.counts.values()) == 42 * 4  # 42 and 62 pixels are two squares of 32 each way
    train = PairedDataset.open(tmp_path / "data", "train")
    assert train.target.shape == (info.counts["train"], SIDE, SIDE, 1)
    assert train.source.shape == (info.counts["train"], SIDE, SIDE, 3)
    assert {name.partition("@")[2] for name in train.names} == {"0,0", "30,0", "0,10", "30,10"}


def test_squares_of_one_photo_are_on_one_side(source: Path, tmp_path: Path) -> None:
    prepare("bsds500", source, tmp_path / "data", size=SIDE)
    photos = [
        {name.partition("@")[0] for name in PairedDataset.open(tmp_path / "data", split).names} for split in ("train", "val")
    ]
    assert photos[1]
    # Both folders number their photos from 0, so a name may stand for two photos; the split goes by the name all the same.
    assert not photos[0] & photos[1]


def test_photo_without_boundaries_and_one_too_small_are_left_out(source: Path, tmp_path: Path) -> None:
    for folder in ("images", "groundTruth"):
        for split in ("train", "val"):
            (tmp_path / folder / split).mkdir(parents=True)
            for path in (source / folder / split).iterdir():
                (tmp_path / folder / split / path.name).write_bytes(path.read_bytes())
    (tmp_path / "groundTruth" / "train" / "x0.mat").unlink()
    Image.new("RGB", (20, 20)).save(tmp_path / "images" / "train" / "x1.jpg")
    (tmp_path / "images" / "train" / "x2.jpg").write_bytes(b"broken")
    info = prepare("bsds500", tmp_path, tmp_path / "data", size=SIDE)
    assert info.rejects == {"cannot be read": 1, "has no ground truth": 1, "smaller than 32 pixels": 1}


def test_other_folder_and_other_file_are_told(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="has no photos; give the folders 'images' and 'groundTruth'"):
        prepare("bsds500", tmp_path, tmp_path / "data", size=SIDE)
    io.savemat(tmp_path / "other.mat", {"anything": 1})
    with pytest.raises(SourceError, match="no ground truth of BSDS500"):
        read_boundaries(tmp_path / "other.mat")


def test_canny_finds_squares_and_the_second_person_costs_recall(source: Path) -> None:
    score = benchmark("Canny", CannyDetector(1.0, 6), list_photos(source, "test"))
    assert score.photos == 4
    assert score.precision > 0.9
    assert 0.4 < score.recall < 0.85  # the line that only one saw is not in the photo
    assert score.ois >= score.ods
    assert score.threshold in np.round(0.8 * levels(6), 3)


def test_learned_detector_gives_thin_maps_of_the_photos_own_size() -> None:
    served = ServedEdges(EdgeNetwork((8, 16, 16), (0, 0, 0)).eval())
    maps = list(LearnedDetector(served, 5)(np.zeros((41, 62, 3), np.uint8)))
    assert [edges.shape for edges in maps] == [(41, 62)] * 5
    counts = [int(edges.sum()) for edges in maps]
    assert counts == sorted(counts, reverse=True)


def test_smoothing_is_chosen_among_those_offered(source: Path) -> None:
    assert best_canny(list_photos(source, "val")[:3]).sigma_px in (1.0, 1.4, 2.0, 2.8)


def test_missing_split_and_missing_boundaries_are_told(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no photos of the split 'test'"):
        list_photos(tmp_path, "test")
    (tmp_path / "images" / "test").mkdir(parents=True)
    Image.new("RGB", (40, 40)).save(tmp_path / "images" / "test" / "a.jpg")
    with pytest.raises(SourceError, match="has no boundaries at"):
        list_photos(tmp_path, "test")


def test_run_is_measured_beside_canny_and_remembers_it(source: Path, tmp_path: Path) -> None:
    prepare("bsds500", source, tmp_path / "data", size=SIDE)
    config = parse_config(
        {
            "name": "edges",
            "family": "edges",
            "data": str(tmp_path / "data"),
            "edges": {"channels": (8, 16, 16), "blocks": (0, 1, 1)},
            "optimizer": {"batch_size": 2, "total_images": 4},
            "augment": {"image_size": SIDE, "reflect": True, "jitter": 0.3},
        }
    )
    run_training(config, tmp_path / "run", Placement(accelerator="cpu"))
    trained = open_trained(tmp_path / "run")
    scores = measure_beside_canny(trained, source, limit=2)
    assert scores[0].name == "edges"
    assert scores[1].name.startswith("Canny, sigma")
    assert write_scores(tmp_path / "run", scores) == tmp_path / "run" / SCORES_FILE
    figures = read_scores(tmp_path / "run")
    assert figures is not None
    assert figures.values == {"ods": scores[0].ods, "ois": scores[0].ois}
    assert read_scores(tmp_path) is None


def test_figures_of_drawings_are_those_of_their_lines() -> None:
    target = np.full((2, 40, 40, 1), 255, np.uint8)
    target[:, 20] = 0
    target[:, 30] = 200  # what one person in five drew
    drawn = np.full_like(target, 255)
    drawn[0, 19:22] = 0
    figures = measure(Trial("plain", "", {}, target), drawn, "protocol")
    assert figures.values["line_precision"] == pytest.approx(1, abs=0.1)
    assert figures.values["line_recall"] == pytest.approx(0.5, abs=0.05)
    assert set(figures.values) == {"line_f", "line_precision", "line_recall"}

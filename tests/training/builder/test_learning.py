"""Learning from GrabCut's own masks what the subject of a set looks like."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tests.training.builder.detectors import CLASSES, color_detector_file
from training.builder.box import Box
from training.builder.cutout import CutoutSettings, cut_out
from training.builder.detector import Detector
from training.builder.journal import Entry, Journal
from training.builder.learning import MIN_PICTURES, learn
from training.builder.likelihood import LikelihoodModel, sampled
from training.builder.mask import Mask
from training.builder.sight import Sight, View, contrast_along, found_by_box, found_by_sight

SIZE = (96, 80)
BOX = Box(16, 12, 80, 68)
CUSHIONS = ((40, 200, 60), (200, 40, 200), (40, 200, 200), (240, 240, 240))


def cat_on_cushion(seed: int, is_ground: bool = False) -> tuple[View, Mask]:
    """An orange ellipse on blue noise; in one corner of its box a cushion of another colour.

    Args:
        is_ground: Whether everything behind the ellipse has the cushion's colour, so that GrabCut takes it for background.
    """
    rng = np.random.default_rng(seed)
    cushion = CUSHIONS[int(rng.integers(len(CUSHIONS)))]
    noise = rng.normal(cushion if is_ground else (50, 60, 130), 12, (SIZE[1], SIZE[0], 3))
    picture = Image.fromarray(np.clip(noise, 0, 255).astype(np.uint8))
    draw, shape = ImageDraw.Draw(picture), Image.new("1", SIZE)
    left, top = (BOX.left, BOX.right - 36)[seed % 2], (BOX.top, BOX.bottom - 32)[seed // 2 % 2]
    draw.rectangle((left, top, left + 36, top + 32), fill=cushion)
    ellipse = (BOX.left, BOX.top, BOX.right - 1, BOX.bottom - 1)
    ImageDraw.Draw(shape).ellipse(ellipse, fill=1)
    draw.ellipse(ellipse, fill=(220, 130, int(rng.integers(30, 60))))
    return View(picture, BOX), np.asarray(shape)


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    return Detector(color_detector_file(tmp_path_factory.mktemp("detector") / "d.onnx"), CLASSES)


@pytest.fixture(scope="module")
def sight(detector: Detector) -> Sight:
    model = learn(detector, [cat_on_cushion(seed, is_ground=seed >= 8)[0] for seed in range(32)])
    assert model is not None
    return Sight(detector, model)


def overlap(one: Mask, other: Mask) -> float:
    return float((one & other).sum() / (one | other).sum())


def test_what_was_learned_tells_the_subject_from_what_lies_in_its_box(sight: Sight) -> None:
    by_box, by_sight = [], []
    for seed in range(100, 104):
        view, truth = cat_on_cushion(seed)
        by_box.append(overlap(found_by_box(view, 3).tidy, truth))
        by_sight.append(overlap(found_by_sight(view, 96, sight, 3).tidy, truth))
    assert max(by_box) < 0.94  # boxes alone keep the cushion
    assert np.mean(by_sight) > 0.97


def test_likelihood_is_high_on_the_subject_and_nothing_beyond_the_reach_of_its_box(sight: Sight) -> None:
    view, truth = cat_on_cushion(100)
    likelihood = sight(view, SIZE)
    assert likelihood.shape == truth.shape
    assert likelihood[truth].mean() > 0.85
    assert likelihood[~truth].mean() < 0.15
    assert likelihood[:3].max() < 0.01


def test_what_is_mirrored_is_seen_mirrored(sight: Sight) -> None:
    view, _ = cat_on_cushion(101)
    there, back = sight(view, SIZE), sight(view.mirrored(), SIZE)
    assert np.abs(there - back[:, ::-1]).max() < 1e-4  # float32


def test_an_outline_where_the_likelihood_falls_has_contrast_and_another_has_not() -> None:
    disc = np.hypot(*np.mgrid[-40:40, -40:40]) < 25
    likelihood = np.where(disc, 0.9, 0.2).astype(np.float32)
    assert contrast_along(disc, likelihood) == pytest.approx(0.7)
    assert contrast_along(np.roll(disc, 10), likelihood) < 0.4
    assert contrast_along(~disc, likelihood) == pytest.approx(-0.7)
    assert contrast_along(np.ones_like(disc), likelihood) == 0


def test_what_is_nothing_like_the_subject_has_less_contrast(sight: Sight) -> None:
    view, _ = cat_on_cushion(102)
    strange = View(Image.fromarray(255 - view.pixels), view.box)
    known, unknown = (found_by_sight(seen, 96, sight, 3).contrast for seen in (view, strange))
    assert known is not None
    assert unknown is not None
    assert known > 1.5 * unknown


def test_too_few_pictures_teach_nothing(detector: Detector) -> None:
    assert learn(detector, [cat_on_cushion(seed)[0] for seed in range(MIN_PICTURES - 1)]) is None


def test_the_same_pictures_teach_the_same(detector: Detector) -> None:
    views = [cat_on_cushion(seed)[0] for seed in range(MIN_PICTURES)]
    one, two = (learn(detector, views) for _ in range(2))
    assert one is not None
    assert two is not None
    assert np.array_equal(one.weights, two.weights)


def test_a_model_is_read_back_as_it_was_written(tmp_path: Path, detector: Detector, sight: Sight) -> None:
    (tmp_path / "m.npz").write_bytes(sight.model.to_bytes())
    view, _ = cat_on_cushion(103)
    again = Sight(detector, LikelihoodModel.load(tmp_path / "m.npz"))
    assert np.array_equal(again(view, SIZE), sight(view, SIZE))


def test_samples_are_places_around_the_subject_with_its_share_of_them(detector: Detector) -> None:
    view, truth = cat_on_cushion(104)
    sample = sampled(detector.opinions(view.pixels), view.shares, truth, np.random.default_rng(0))
    assert len(sample.features) == len(sample.shares) < 8 * 6
    assert 0.5 < sample.shares.mean() < 0.75  # an ellipse fills 0.79 of its box, and places a little outside count too
    assert sample.shares.min() < 0.02
    assert sample.shares.max() > 0.98


def detected(root: Path, views: list[View]) -> Journal:
    journal = Journal.open(root / "2-detect", {})
    for view in views:
        entry_id = hashlib.sha256(view.picture.tobytes()).hexdigest()[:16]
        name = journal.save_image(view.picture, f"{entry_id}.png")
        journal.add(Entry(entry_id, name, facts={"box": view.box.numbers(), "photo": [0, 0, *SIZE]}))
    return journal


def test_the_stage_learns_once_and_goes_on_with_what_it_learned(tmp_path: Path, detector: Detector) -> None:
    before = detected(tmp_path, [cat_on_cushion(seed)[0] for seed in range(MIN_PICTURES)])
    settings = CutoutSettings(min_contrast=0.05)  # cells as coarse as this detector's blur every outline
    first = cut_out(settings, before, tmp_path / "3", detector=detector)
    assert all(entry.is_kept and entry.facts["contrast"] > 0.05 for entry in first)
    (learned,) = (tmp_path / "3").glob("learned-*.npz")
    stamp, whole = learned.stat().st_mtime_ns, (tmp_path / "3" / "journal.jsonl").read_text()
    (tmp_path / "3" / "journal.jsonl").write_text("".join(whole.splitlines(keepends=True)[:-1]) + '{"id": "cut by a k')
    second = cut_out(settings, before, tmp_path / "3", detector=detector)
    assert learned.stat().st_mtime_ns == stamp
    assert (tmp_path / "3" / "journal.jsonl").read_text() == whole
    assert [entry.facts for entry in second] == [entry.facts for entry in first]
    stricter = cut_out(CutoutSettings(min_contrast=0.9), before, tmp_path / "3", detector=detector)
    assert {entry.reason for entry in stricter} == {"outline in doubt"}
    assert learned.stat().st_mtime_ns == stamp  # a gate changes nothing of what is learned


@pytest.mark.parametrize("settings", [CutoutSettings(learn_from=0), CutoutSettings(learn_from=5)], ids=["off", "too few"])
def test_the_stage_goes_by_boxes_where_nothing_is_learned(tmp_path: Path, detector: Detector, settings: CutoutSettings) -> None:
    before = detected(tmp_path, [cat_on_cushion(seed)[0] for seed in range(6)])
    journal = cut_out(settings, before, tmp_path / "3", detector=detector)
    assert len(journal) == 6
    assert not any("contrast" in entry.facts for entry in journal)
    assert not list((tmp_path / "3").glob("learned-*"))

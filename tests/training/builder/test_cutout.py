"""Cutting a subject out, on pictures whose masks are known."""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw
from pydantic import ValidationError

from training.builder.box import Box
from training.builder.cutout import CutoutSettings, cut_out, find_fault
from training.builder.grabcut import grabcut, labels_from_box, labels_from_likelihood
from training.builder.journal import BuildError, Entry, Journal
from training.builder.mask import Mask, Shape, bounds, measured, sticker, tidied, to_alpha

SIZE = (240, 200)
BODY = Box(50, 40, 190, 170)
EYES = ((95, 85, 105, 95), (135, 85, 145, 95))
GOOD = Shape(cover=0.7, main=1.0, raggedness=1.8, cut=0.0, borders=0)


def drawn(seed: int, box: Box = BODY, size: tuple[int, int] = SIZE) -> tuple[Image.Image, Mask]:
    """An orange ellipse with eyes of the background's colour on bluish noise, and its mask."""
    rng = np.random.default_rng(seed)
    ground = np.clip(rng.normal((60, 90, 140), 18, (size[1], size[0], 3)), 0, 255)
    fur = np.clip(rng.normal((210, 140, 60), 18, ground.shape), 0, 255)
    shape = Image.new("1", size)
    ImageDraw.Draw(shape).ellipse((box.left, box.top, box.right - 1, box.bottom - 1), fill=1)
    mask = np.asarray(shape)
    picture = Image.fromarray(np.where(mask[..., None], fur, ground).astype(np.uint8))
    for eye in EYES:
        ImageDraw.Draw(picture).ellipse(eye, fill=(60, 90, 140))
    return picture, mask


def overlap(one: Mask, other: Mask) -> float:
    return float((one & other).sum() / (one | other).sum())


def test_grabcut_from_a_box_finds_the_subject_and_keeps_its_eyes() -> None:
    picture, truth = drawn(0)
    mask = tidied(grabcut(np.asarray(picture), labels_from_box(truth.shape, BODY), rounds=3))
    assert overlap(mask, truth) > 0.95
    for left, top, right, bottom in EYES:
        assert mask[top : bottom + 1, left : right + 1].all()


def test_grabcut_reaches_beyond_a_box_that_is_a_little_small() -> None:
    picture, truth = drawn(1)
    small = BODY.grown(-0.05)
    mask = tidied(grabcut(np.asarray(picture), labels_from_box(truth.shape, small), rounds=3))
    assert overlap(mask, truth) > 0.95
    assert not mask[small.within()].all()
    assert mask.sum() > mask[small.within()].sum()


def test_grabcut_finds_a_subject_whose_box_is_the_whole_picture() -> None:
    picture, truth = drawn(2)
    mask = tidied(grabcut(np.asarray(picture), labels_from_box(truth.shape, Box.whole(SIZE)), rounds=4))
    assert overlap(mask, truth) > 0.9


def test_grabcut_is_the_same_every_time() -> None:
    picture, truth = drawn(3)
    masks = [grabcut(np.asarray(picture), labels_from_box(truth.shape, BODY), rounds=2) for _ in range(2)]
    assert np.array_equal(*masks)


def test_grabcut_of_an_empty_box_finds_nothing() -> None:
    picture, truth = drawn(4)
    labels = labels_from_box(truth.shape, Box(10, 10, 10, 10))
    assert not grabcut(np.asarray(picture), labels, rounds=1).any()


def test_a_likelihood_decides_where_colours_cannot() -> None:
    """Two ellipses alike in one box: the likelihood says which is meant."""
    size = (240, 120)
    left, right = Box(20, 20, 110, 100), Box(130, 20, 220, 100)
    pixels = np.asarray(drawn(5, left, size)[0]).copy()
    _, truth = drawn(5, left, size)
    other, other_mask = drawn(6, right, size)
    pixels[other_mask] = np.asarray(other)[other_mask]
    likelihood = np.where(np.arange(size[0]) < 120, 0.7, 0.1).astype(np.float32) * np.ones((size[1], 1), np.float32)
    both = Box(20, 20, 220, 100)
    by_box = tidied(grabcut(pixels, labels_from_box(truth.shape, both), rounds=3))
    by_likelihood = tidied(grabcut(pixels, labels_from_likelihood(likelihood, both), rounds=3))
    assert overlap(by_box, truth) < 0.6
    assert overlap(by_likelihood, truth) > 0.9


def test_tidying_keeps_the_largest_component_and_fills_its_holes() -> None:
    mask = np.zeros((100, 100), bool)
    mask[20:80, 20:80] = True
    mask[40:50, 40:50] = False  # an eye
    mask[5:10, 5:10] = True  # a speck
    mask[50, 80:] = True  # a whisker
    tidy = tidied(mask)
    assert tidy[20:80, 20:80].sum() > 3590  # all but corners
    assert tidy[40:50, 40:50].all()
    assert not tidy[:15].any()
    assert not tidy[:, 82:].any()


def test_an_empty_mask_stays_empty_and_is_rejected() -> None:
    empty = np.zeros((50, 60), bool)
    shape = measured(empty, tidied(empty), Box(10, 10, 40, 40))
    assert (shape.cover, shape.borders, shape.cut) == (0, 0, 0)
    assert find_fault(shape, None, CutoutSettings()) == "mask covers too little of the box"


def test_a_square_is_measured() -> None:
    mask = np.zeros((100, 100), bool)
    mask[50:, 30:70] = True  # on the lower border
    raw = mask.copy()
    raw[:10, :10] = True
    shape = measured(raw, mask, Box(30, 0, 70, 100))
    assert shape.cover == pytest.approx(0.5)
    assert shape.main == pytest.approx(2000 / 2100)
    assert shape.raggedness == pytest.approx(180**2 / (4 * np.pi * 2000), rel=0.05)  # the outline runs through pixels' centres
    assert shape.cut == pytest.approx(40 / 176)
    assert shape.borders == 1


def test_a_comb_is_more_ragged_than_a_disc() -> None:
    rows, columns = np.ogrid[:100, :100]
    disc = (rows - 50) ** 2 + (columns - 50) ** 2 < 40**2
    comb = disc & ((columns % 12 < 6) | (rows > 60))
    disc_shape, comb_shape = (measured(mask, mask, Box(10, 10, 90, 90)) for mask in (disc, comb))
    assert 1 <= disc_shape.raggedness < 1.3
    assert comb_shape.raggedness > 5


@pytest.mark.parametrize(
    ("change", "contrast", "fault"),
    [
        ({}, 0.3, None),
        ({}, None, None),  # nothing was learned
        ({"cover": 0.29}, None, "mask covers too little of the box"),
        ({"cover": 0.96}, None, "mask fills the box"),
        ({"main": 0.8}, None, "mask in several pieces"),
        ({"raggedness": 5.0}, None, "outline too ragged"),
        ({"cut": 0.5}, None, "mask cut off by the border"),
        ({"borders": 3}, None, "mask cut off by the border"),
        ({}, 0.1, "outline in doubt"),
    ],
)
def test_cut_outs_that_do_not_look_whole_are_rejected(
    change: dict[str, Any], contrast: float | None, fault: str | None
) -> None:
    shape = Shape(**{**vars(GOOD), **change})
    assert find_fault(shape, contrast, CutoutSettings()) == fault


def test_alpha_follows_an_enlarged_mask_with_soft_edges() -> None:
    mask = np.zeros((50, 50), bool)
    mask[10:40, 10:40] = True
    alpha = to_alpha(mask, (100, 100))
    assert alpha.shape == (100, 100)
    assert (alpha[26:74, 26:74] == 1).all()
    assert (alpha[:16] == 0).all()
    assert 0.8 < overlap(alpha > 0.5, np.kron(mask, np.ones((2, 2), bool))) < 1  # a little inwards
    assert ((alpha > 0.2) & (alpha < 0.8)).sum() > 50


def test_a_sticker_has_no_colour_of_the_background_at_its_edge() -> None:
    picture = Image.new("RGB", (60, 60), (0, 0, 255))
    picture.paste((255, 0, 0), (20, 20, 40, 40))
    mask = np.zeros((60, 60), bool)
    mask[20:40, 20:40] = True
    pixels = np.asarray(sticker(picture, to_alpha(mask, (60, 60))))
    visible = pixels[..., 3] > 0
    assert visible.sum() > 300
    assert (pixels[visible][:, :3] == (255, 0, 0)).all()
    assert (pixels[~visible] == 0).all()


def detected(root: Path, pictures: Sequence[Image.Image], padding: int = 0) -> Journal:
    """A second stage that kept these pictures, padded above and below with white."""
    journal = Journal.open(root / "2-detect", {"made": "here"})
    for picture in pictures:
        entry_id = hashlib.sha256(picture.tobytes()).hexdigest()[:16]
        padded = Image.new("RGB", (picture.width, picture.height + 2 * padding), "white")
        padded.paste(picture, (0, padding))
        sides = (BODY.left, BODY.top + padding, BODY.right, BODY.bottom + padding)
        facts = {"author": "Ada", "box": list(sides), "photo": [0, padding, picture.width, picture.height + padding]}
        journal.add(Entry(entry_id, journal.save_image(padded, f"{entry_id}.png"), facts=facts))
    return journal


def pixels_of(journal: Journal, entry: Entry) -> np.ndarray:
    with Image.open(journal.folder / str(entry.file)) as picture:
        return np.asarray(picture)


@pytest.mark.parametrize("padding", [0, 20])
def test_a_kept_cut_out_fills_a_square_and_keeps_its_alpha(tmp_path: Path, padding: int) -> None:
    picture, truth = drawn(0)
    journal = cut_out(CutoutSettings(), detected(tmp_path, [picture], padding), tmp_path / "3")
    (entry,) = journal
    pixels = pixels_of(journal, entry)
    assert entry.is_kept
    assert pixels.shape[2] == 4
    assert pixels.shape[0] == pixels.shape[1] == pytest.approx(1.1 * BODY.width, abs=6)
    box = bounds(pixels[..., 3] > 127)
    assert entry.facts["box"] == box.numbers()
    assert (box.width, box.height) == (pytest.approx(BODY.width, abs=6), pytest.approx(BODY.height, abs=6))
    assert (pixels[..., 3] > 127).sum() == pytest.approx(truth.sum(), rel=0.06)
    assert entry.facts["cover"] == pytest.approx(np.pi / 4, abs=0.05)
    assert entry.facts["author"] == "Ada"
    assert "photo" not in entry.facts  # it was of the picture before


def test_a_rejected_cut_out_shows_what_it_would_have_been(tmp_path: Path) -> None:
    settings = CutoutSettings(min_cover=0.9)
    journal = cut_out(settings, detected(tmp_path, [drawn(0)[0]]), tmp_path / "3")
    (entry,) = journal
    assert entry.reason == "mask covers too little of the box"
    assert str(entry.file).startswith("rejected/")
    assert pixels_of(journal, entry).shape == (200, 240, 3)


def test_without_a_method_pictures_stay_as_they_are(tmp_path: Path) -> None:
    picture, _ = drawn(0)
    journal = cut_out(CutoutSettings(method="none"), detected(tmp_path, [picture]), tmp_path / "3")
    (entry,) = journal
    assert np.array_equal(pixels_of(journal, entry), np.asarray(picture))
    assert entry.facts["box"] == [50, 40, 190, 170]


@pytest.mark.parametrize("method", ["none", "grabcut"])
def test_a_picture_that_was_damaged_since_is_a_reason(tmp_path: Path, method: str) -> None:
    before = detected(tmp_path, [drawn(0)[0], drawn(1)[0]])
    first = next(iter(before))
    (before.folder / str(first.file)).write_bytes(b"gone")
    journal = cut_out(CutoutSettings.model_validate({"method": method}), before, tmp_path / "3")
    assert Counter(entry.reason for entry in journal) == {"cannot be read": 1, None: 1}


def test_a_stage_goes_on_where_it_was_and_begins_anew_with_the_stage_before(tmp_path: Path) -> None:
    pictures, calls = [drawn(seed)[0] for seed in (0, 1)], []

    def run() -> int:
        calls.clear()
        before = Journal.read(tmp_path / "2-detect")
        cut_out(CutoutSettings(), before, tmp_path / "3", on_progress=lambda: calls.append(1))
        return len(calls)

    detected(tmp_path, pictures[:1])
    assert run() == 1
    detected(tmp_path, pictures)
    assert run() == 1
    assert run() == 0
    Journal.open(tmp_path / "2-detect", {"made": "otherwise"})
    detected_again = Journal.open(tmp_path / "2-detect", {"made": "otherwise"})
    for entry in Journal.read(tmp_path / "3"):
        detected_again.add(Entry(entry.id, f"{entry.id}.png", facts={"box": [50, 40, 190, 170], "photo": [0, 0, 240, 200]}))
    assert run() == 2


@pytest.mark.parametrize(
    ("values", "message"),
    [({"method": "magic"}, "'none', 'grabcut' or 'rembg'"), ({"min_cover": 0}, "greater than"), ({"side": 1}, "Extra inputs")],
)
def test_settings_that_make_no_sense_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        CutoutSettings.model_validate(values)


class StandIn(ModuleType):
    """What of rembg is called: its mask is what is redder than blue; only one model can be opened."""

    @staticmethod
    def new_session(model: str) -> str:
        if model != "isnet-general-use":
            raise ValueError(f"No session class found for model '{model}'")
        return model

    @staticmethod
    def remove(picture: Image.Image, session: str, only_mask: bool) -> Image.Image:
        assert session == "isnet-general-use"
        assert only_mask
        pixels = np.asarray(picture).astype(int)
        return Image.fromarray(np.where(pixels[..., 0] > pixels[..., 2], 255, 0).astype(np.uint8))


@pytest.fixture
def rembg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rembg", StandIn("rembg"))


@pytest.mark.usefixtures("rembg")
def test_rembg_gives_the_mask_where_it_is_chosen(tmp_path: Path) -> None:
    picture, truth = drawn(0)
    (entry,) = cut_out(CutoutSettings(method="rembg"), detected(tmp_path, [picture]), tmp_path / "3")
    assert entry.is_kept
    assert entry.facts["cover"] == pytest.approx(truth[BODY.within()].mean(), abs=0.01)


@pytest.mark.usefixtures("rembg")
def test_a_model_that_rembg_cannot_open_is_named(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"cannot open its model 'u3net' .* let it fetch that once"):
        cut_out(CutoutSettings(method="rembg", model="u3net"), detected(tmp_path, [drawn(0)[0]]), tmp_path / "3")


def test_without_rembg_its_method_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rembg", None)
    with pytest.raises(BuildError, match="run `pip install rembg`, or take method 'grabcut'"):
        cut_out(CutoutSettings(method="rembg"), detected(tmp_path, [drawn(0)[0]]), tmp_path / "3")

"""Recipes: what becomes a pair, what is left out and why, and how labels survive JPEG."""

from pathlib import Path

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from PIL import Image, ImageDraw

from tests.training.synthetic import facade_file
from training.datasets import PairedDataset, read_info
from training.photos import is_held_out, read_square
from training.prepare import median_stroke_width, prepare
from training.recipes import RECIPES
from training.recipes.facades import PALETTE, snap_labels
from training.recipes.noto_emoji import FAMILIES, agreement, split_of
from training.recipes.recipe import SourceError

FRAMED = (0x1F431, 0x1F432, 0x1F433, 0x1F434, 0x1F435, 0x1F335, 0x1F32D)
"""Code points with a square outline in the test font; 0x1F335 and 0x1F32D belong to the validation split."""


def _emoji_folder(root: Path) -> Path:
    """A source folder whose font draws a square frame, and pictures of yellow squares to go with it."""
    _write_font(root / "NotoEmoji-Regular.ttf", dict.fromkeys(FRAMED, _frame) | {0x1F430: _block, 0x41: _frame})
    (root / "png").mkdir()
    for code_point in (*FRAMED, 0x1F430, 0x41, 0x1F436):
        _picture((40, 40, 215, 215)).save(root / "png" / f"emoji_u{code_point:04x}.png")
    _picture((10, 100, 245, 160)).save(root / "png" / "emoji_u1f431.png")  # flat: not the frame's aspect
    _picture((40, 40, 215, 215)).save(root / "png" / "emoji_u1f469_200d_1f466.png")
    return root


def _picture(box: tuple[int, int, int, int]) -> Image.Image:
    picture = Image.new("RGBA", (256, 256), (0, 0, 0, 0))
    ImageDraw.Draw(picture).rectangle(box, fill=(250, 200, 40, 255))
    return picture


def _frame(pen: TTGlyphPen) -> None:
    _square(pen, 0, 1000, clockwise=True)
    _square(pen, 50, 950, clockwise=False)


def _block(pen: TTGlyphPen) -> None:
    _square(pen, 0, 1000, clockwise=True)


def _square(pen: TTGlyphPen, low: int, high: int, *, clockwise: bool) -> None:
    corners = [(low, low), (low, high), (high, high), (high, low)]
    first, *rest = corners if clockwise else corners[::-1]
    pen.moveTo(first)
    for corner in rest:
        pen.lineTo(corner)
    pen.closePath()


def _write_font(path: Path, shapes: dict[int, object]) -> None:
    names = {code_point: f"u{code_point:04X}" for code_point in shapes}
    glyphs = {".notdef": TTGlyphPen(None).glyph()}
    for code_point, draw in shapes.items():
        pen = TTGlyphPen(None)
        draw(pen)  # type: ignore[operator]
        glyphs[names[code_point]] = pen.glyph()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(list(glyphs))
    builder.setupCharacterMap(names)
    builder.setupGlyf(glyphs)
    builder.setupHorizontalMetrics(dict.fromkeys(glyphs, (1000, 0)))
    builder.setupHorizontalHeader(ascent=1000, descent=0)
    builder.setupNameTable({"familyName": "Frames", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)


@pytest.fixture
def emoji(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    source.mkdir()
    prepare("noto-emoji", _emoji_folder(source), tmp_path / "out", size=64)
    return tmp_path / "out"


def test_emoji_pairs_line_up_with_their_pictures(emoji: Path) -> None:
    dataset = PairedDataset.open(emoji, "train")
    ink, yellow = dataset.source[0, ..., 0] < 128, dataset.target[0, ..., 2] < 128
    rows, columns = np.where(ink)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (10, 53, 10, 53)
    assert ink.sum() < 0.4 * yellow.sum()
    assert not (ink & ~yellow).any()


def test_emoji_leaves_out_with_reasons(emoji: Path) -> None:
    assert read_info(emoji).rejects == {
        "glyph and picture differ in aspect": 1,
        "glyph is mostly solid ink": 1,
        "letter, digit or punctuation": 1,
        "no glyph in the font": 1,
        "sequence of several characters": 1,
    }


def test_emoji_split_and_counts_are_fixed(emoji: Path) -> None:
    assert read_info(emoji).counts == {"train": 4, "val": 2}
    assert PairedDataset.open(emoji, "val").names == ("emoji_u1f32d", "emoji_u1f335")


def test_emoji_measures_its_line_width(emoji: Path) -> None:
    assert read_info(emoji).main.line_width_px == pytest.approx(50 / 1000 * 44, abs=0.5)  # 5 % of a frame of 44 px


def test_emoji_families_stay_on_one_side_of_the_split() -> None:
    sides = {name: {split_of(member) for member in members} for name, members in FAMILIES.items()}
    assert all(len(found) == 1 for found in sides.values())
    assert 0.04 < np.mean([split_of(code_point) == "val" for code_point in range(0x1F300, 0x1F700)]) < 0.10


def test_agreement_falls_when_lines_are_moved() -> None:
    line = np.zeros((128, 128), np.uint8)
    line[20:100, 20:23] = line[20:100, 97:100] = line[20:23, 20:100] = line[97:100, 20:100] = 255
    target = np.full((128, 128, 3), 255, np.uint8)
    target[20:100, 20:100] = (250, 200, 40)
    assert min(agreement(line, target)) > 0.95
    assert max(agreement(np.roll(line, 10, axis=1), target)) < 0.7


@pytest.mark.parametrize("missing", ["NotoEmoji-Regular.ttf", "png"])
def test_emoji_names_what_its_source_lacks(tmp_path: Path, missing: str) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (_emoji_folder(source) / missing).rename(tmp_path / "away")
    with pytest.raises(SourceError, match=missing):
        prepare("noto-emoji", source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_emoji_names_a_picture_that_cannot_be_read(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (_emoji_folder(source) / "png" / "emoji_u1f432.png").write_bytes(b"not a picture")
    with pytest.raises(SourceError, match=r"emoji_u1f432\.png' cannot be read"):
        prepare("noto-emoji", source, tmp_path / "out")


def test_facades_keeps_the_given_splits(tmp_path: Path) -> None:
    for split, count in (("train", 3), ("val", 2), ("test", 1)):
        for k in range(count):
            facade_file(tmp_path / "source" / split / f"{k + 9}.jpg")
    info = prepare("facades", tmp_path / "source", tmp_path / "out", size=128)
    assert info.counts == {"train": 3, "val": 2, "test": 1}
    dataset = PairedDataset.open(tmp_path / "out", "train")
    assert dataset.names == ("9", "10", "11")
    assert set(np.unique(dataset.source)) == {0, 1, 2, 3, 7}


def test_facades_labels_survive_jpeg(tmp_path: Path) -> None:
    labels = facade_file(tmp_path / "1.jpg", quality=70)
    snapped = snap_labels(np.asarray(Image.open(tmp_path / "1.jpg"))[:, 256:])
    assert set(np.unique(snapped)) == set(np.unique(labels))
    assert (snapped == labels).mean() > 0.99


def test_facades_needs_snapping_at_all(tmp_path: Path) -> None:
    labels = facade_file(tmp_path / "1.jpg", quality=70)
    image = np.asarray(Image.open(tmp_path / "1.jpg"))[:, 256:].astype(int)
    colors = np.array([entry.rgb for entry in PALETTE])
    nearest = np.square(image[:, :, None] - colors).sum(axis=-1).argmin(axis=-1)
    assert set(np.unique(nearest)) != set(np.unique(labels))


def test_facades_refuses_a_picture_that_is_no_pair(tmp_path: Path) -> None:
    (tmp_path / "source" / "train").mkdir(parents=True)
    Image.new("RGB", (256, 256)).save(tmp_path / "source" / "train" / "1.jpg")
    with pytest.raises(SourceError, match="256x256; a pair is twice as wide as high"):
        prepare("facades", tmp_path / "source", tmp_path / "out")


def test_unknown_recipe_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no recipe 'cats'; choose one of noto-emoji, facades"):
        prepare("cats", tmp_path, tmp_path / "out")


def test_missing_source_folder_says_what_is_needed(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is not a folder; recipe 'facades' needs"):
        prepare("facades", tmp_path / "nowhere", tmp_path / "out")


@pytest.mark.parametrize("width", [3, 5, 8])
def test_stroke_width_is_measured_in_pixels(width: int) -> None:
    sheet = Image.new("L", (128, 128), 255)
    ImageDraw.Draw(sheet).line((20, 64, 108, 64), fill=0, width=width)
    assert median_stroke_width(np.asarray(sheet)[None, ..., None]) == pytest.approx(width, abs=0.5)


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_draws_its_own_samples(name: str) -> None:
    recipe = RECIPES[name]
    drawn = recipe.drawings(128, 4.0)
    assert len(drawn) >= 3
    for drawing in drawn:
        image = drawing.inputs["image"]
        assert image.shape == (128, 128, 3 if recipe.kind == "photo" else 1)
        assert {"en", "ja"} <= set(drawing.title)
        assert len(np.unique(image)) > 1 or name == "digits"  # whose whole sheet is one label
        assert not recipe.palette or image.max() < len(recipe.palette)


def test_drawn_house_fronts_show_every_class() -> None:
    shown = {int(label) for drawing in RECIPES["facades"].drawings(256, None) for label in np.unique(drawing.inputs["image"])}
    assert shown == set(range(len(PALETTE)))


def test_emoji_drawings_use_the_given_pen_and_some_have_hints() -> None:
    drawn = RECIPES["noto-emoji"].drawings(256, 8.0)
    assert median_stroke_width(np.stack([drawing.inputs["image"] for drawing in drawn])) == pytest.approx(8, abs=0.7)
    assert {bool(drawing.inputs["hints"][..., 3].any()) for drawing in drawn} == {True, False}


def _photo(color: tuple[int, int, int], size: tuple[int, int] = (80, 40)) -> Image.Image:
    """A coloured disc on gray, so that it has colour and a middle."""
    photo = Image.new("RGB", size, (128, 128, 128))
    ImageDraw.Draw(photo).ellipse((size[0] // 2 - 18, 2, size[0] // 2 + 18, 38), fill=color)
    return photo


def _photo_folder(root: Path) -> Path:
    for k in range(60):
        (root / f"class-{k % 3}").mkdir(parents=True, exist_ok=True)
        _photo((250, 4 * k, 30)).save(root / f"class-{k % 3}" / f"{k:02d}.png")
    Image.new("RGB", (50, 50), (90, 90, 90)).save(root / "gray.png")
    _photo((250, 0, 30)).save(root / "double.png")
    (root / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    (root / "notes.txt").write_text("no picture either", "utf-8")
    return root


def test_photos_become_gray_and_colour_pairs(tmp_path: Path) -> None:
    info = prepare("photos", _photo_folder(tmp_path / "photos"), tmp_path / "set", size=32)
    train = PairedDataset.open(tmp_path / "set", "train")
    assert (info.main.kind, info.main.channels) == ("gray", 1)
    assert sum(info.counts.values()) == 60
    assert info.counts["val"] >= 1
    weighted = train.target.astype(np.float64) @ [0.299, 0.587, 0.114]
    assert np.abs(weighted - train.source[..., 0]).max() <= 0.51  # rounding
    assert tuple(train.target[0, 16, 16]) == pytest.approx(
        (250, 4 * int(train.names[0][-6:-4]), 30), abs=3
    )  # cut in the middle


def test_photos_that_teach_nothing_are_left_out_with_a_reason(tmp_path: Path) -> None:
    info = prepare("photos", _photo_folder(tmp_path / "photos"), tmp_path / "set", size=32)
    assert info.rejects == {"cannot be read": 1, "has no colour": 1, "same picture as another": 1}


def test_photo_lies_as_the_camera_was_held(tmp_path: Path) -> None:
    photo = Image.new("RGB", (40, 20), (200, 30, 30))
    photo.paste((30, 30, 200), (0, 0, 20, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn right
    photo.save(tmp_path / "turned.jpg", exif=exif, quality=95)
    upright = read_square(tmp_path / "turned.jpg", 20)
    assert upright[2, 10, 2] > 150 > upright[17, 10, 2]  # what was left is now above


def test_origin_of_photos_can_be_stated_beside_them(tmp_path: Path) -> None:
    root = _photo_folder(tmp_path / "photos")
    lines = ('name = "Mine"', 'home_page = "https://example.org"', 'license = "CC0-1.0"', 'weights_license = "CC0-1.0"')
    (root / "origin.toml").write_text("\n".join([*lines, "free_samples = true", 'notice = "All mine."']), "utf-8")
    assert prepare("photos", root, tmp_path / "set", size=32).origin.name == "Mine"
    (root / "origin.toml").write_text('nam = "Mine"', "utf-8")
    with pytest.raises(SourceError, match=r"origin\.toml.*weights_license"):
        prepare("photos", root, tmp_path / "set", size=32)


def test_photos_need_a_source(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="--source DIR"):
        prepare("photos", None, tmp_path / "set")


def test_held_out_share_is_kept_and_depends_on_the_name_alone() -> None:
    names = [f"{k}.jpg" for k in range(2000)]
    assert np.mean([is_held_out(name, 0.07) for name in names]) == pytest.approx(0.07, abs=0.02)
    assert is_held_out("7.jpg", 1.0)
    assert not is_held_out("7.jpg", 0.0)


def test_gallery_of_colourisers_holds_free_gray_photos() -> None:
    drawn = RECIPES["flowers"].drawings(256, None)
    assert len(drawn) == 3
    assert all(drawing.inputs["image"].shape == (256, 256, 1) for drawing in drawn)
    assert all(drawing.inputs["image"].std() > 20 for drawing in drawn)

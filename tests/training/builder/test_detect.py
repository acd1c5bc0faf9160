"""Which photos are kept, and what is cut from them."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from tests.training.builder.detectors import CLASSES, Answer, detector_file, pixel_detector_file
from training.builder.box import Box
from training.builder.detect import DetectSettings, detect, find_fault
from training.builder.detector import Detection
from training.builder.journal import BuildError, Entry, Journal

SIZE = (400, 300)
CAT = Detection("cat", 0.9, Box(100, 50, 300, 250))
RULES = DetectSettings(subject=("cat",))


def beside(name: str, score: float) -> Detection:
    return Detection(name, score, Box(0, 0, 90, 100))


def cat(*sides: float, score: float = 0.9) -> Detection:
    return Detection("cat", score, Box(*sides))


@pytest.mark.parametrize(
    ("found", "fault"),
    [
        ([CAT], None),
        ([], "no cat found"),
        ([beside("dog", 0.9)], "no cat found"),
        ([cat(100, 50, 300, 250, score=0.15)], "no cat found"),
        ([cat(100, 50, 300, 250, score=0.45)], "not sure enough of the cat"),
        ([CAT, beside("cat", 0.3)], "more than one cat"),
        ([cat(100, 50, 300, 250, score=0.45), beside("cat", 0.3)], "more than one cat"),
        ([CAT, beside("cat", 0.15)], None),
        ([CAT, beside("person", 0.13)], "person in the picture"),
        ([CAT, beside("person", 0.1)], None),
        ([CAT, beside("dog", 0.5)], "dog in the picture"),
        ([CAT, beside("couch", 0.8)], None),
        ([CAT, Detection("dog", 0.6, CAT.box)], None),  # another reading of the same animal
        ([Detection("dog", 0.95, CAT.box), CAT], "dog in the picture"),  # the surer one
        ([cat(100, 50, 200, 200)], "subject too small"),
        ([cat(0, 5, 395, 300)], "subject too large"),
        ([cat(0, 0, 200, 300)], "subject cut off by the border"),
        ([cat(0, 0, 300, 200)], None),
    ],
)
def test_photos_with_exactly_the_subject_are_kept(found: Sequence[Detection], fault: str | None) -> None:
    assert find_fault(found, SIZE, RULES) == fault


def test_a_subject_of_few_pixels_is_rejected_however_large_its_share() -> None:
    assert find_fault([cat(20, 20, 80, 100)], (100, 120), RULES) == "subject has too few pixels"


def test_any_of_several_classes_may_be_the_subject_but_only_one_thing() -> None:
    rules = DetectSettings(subject=("cat", "dog"))
    assert find_fault([CAT], SIZE, rules) is None
    assert find_fault([CAT, Detection("dog", 0.6, CAT.box)], SIZE, rules) is None
    assert find_fault([CAT, beside("dog", 0.5)], SIZE, rules) == "more than one cat or dog"
    assert find_fault([], SIZE, rules) == "no cat or dog found"


def test_what_is_forbidden_is_a_setting() -> None:
    assert find_fault([CAT, beside("person", 0.9)], SIZE, DetectSettings(subject=("cat",), forbidden=())) is None
    rules = DetectSettings(subject=("cat",), forbidden=("couch",))
    assert find_fault([CAT, beside("couch", 0.9)], SIZE, rules) == "couch in the picture"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"detector": "d.onnx"}, "subject is missing"),
        ({"min_share": 0.5, "max_share": 0.4}, "min_share 0.5 must be below max_share 0.4"),
        ({"second_score": 0.6}, "second_score 0.6 must not be above min_score 0.5"),
        ({"min_score": 1.5}, "less than or equal to 1"),
        ({"minimum": 1}, "Extra inputs"),
    ],
)
def test_settings_that_make_no_sense_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DetectSettings.model_validate(values)


def test_one_subject_may_be_written_without_a_list() -> None:
    assert DetectSettings.model_validate({"subject": "cat"}).subject == ("cat",)


def collected(root: Path, *photos: Image.Image | bytes) -> Journal:
    """A first stage that kept these photos."""
    journal = Journal.open(root / "1-collect", {})
    for photo in photos:
        data = photo if isinstance(photo, bytes) else encoded(photo)
        entry_id = hashlib.sha256(data).hexdigest()[:16]
        journal.add(Entry(entry_id, journal.save_bytes(data, f"{entry_id}.png"), facts={"author": "Ada"}))
    return journal


def encoded(photo: Image.Image) -> bytes:
    stream = io.BytesIO()
    photo.save(stream, "PNG")
    return stream.getvalue()


def scene(shade: int = 0, size: tuple[int, int] = (384, 256)) -> Image.Image:
    """A red square, 128 to 256 by 64 to 192 pixels, on green."""
    photo = Image.new("RGB", size, (0, 200, shade))
    photo.paste((255, 0, 0), (size[0] // 3, size[1] // 4, 2 * size[0] // 3, 3 * size[1] // 4))
    return photo


def red_square_found(tmp_path: Path, **settings: Any) -> DetectSettings:
    """A detector that finds a cat where the red square of a scene of 3:2 is: it sees 64 pixels by 42.7."""
    scale = 64 / 384
    answer = Answer(27, (192 * scale, 128 * scale), (128 * scale, 128 * scale), (0.9, 0, 0))
    path = detector_file(tmp_path / "cats.onnx", [answer])
    return DetectSettings.model_validate({"detector": path, "classes": CLASSES, "subject": "cat", "min_side": 100, **settings})


def pixels_of(journal: Journal, entry: Entry) -> np.ndarray:
    with Image.open(journal.folder / str(entry.file)) as picture:
        return np.asarray(picture)


def test_a_kept_photo_is_cut_to_a_square_around_the_subject(tmp_path: Path) -> None:
    journal = detect(red_square_found(tmp_path, margin=0.25), collected(tmp_path, scene()), tmp_path / "2", base=tmp_path)
    (entry,) = journal
    assert entry.is_kept
    pixels = pixels_of(journal, entry)
    assert pixels.shape == (192, 192, 3)
    assert entry.facts == {
        "author": "Ada",
        "class": "cat",
        "score": 0.9,
        "box": pytest.approx([32, 32, 160, 160], abs=0.6),
        "photo": [0, 0, 192, 192],
    }
    red = pixels[..., 0] > 128
    assert red[33:159, 33:159].all()
    assert red.sum() == pytest.approx(128**2, rel=0.02)


@pytest.mark.parametrize(("red", "fault"), [((0, 0, 128, 128), 1), ((0, 0, 64, 128), 1), ((0, 0, 1, 1), 0)])
def test_the_part_that_is_kept_is_looked_at_again_as_it_is_and_mirrored(
    tmp_path: Path, red: tuple[int, int, int, int], fault: int
) -> None:
    """A person is seen where pixel (52, 40) of the detector's view is red: there in the part and its mirror image alone."""
    scale = 64 / 384
    cat_found = Answer(27, (192 * scale, 128 * scale), (128 * scale, 128 * scale), (0.9, 0, 0))
    path = pixel_detector_file(tmp_path / "d.onnx", 52, 40, Answer(0, (4, 4), (6, 6), (0, 0, 0)), [cat_found])
    settings = DetectSettings.model_validate(
        {"detector": path, "classes": CLASSES, "subject": "cat", "min_side": 100, "margin": 0.25}
    )
    photo = Image.new("RGB", (384, 256))
    photo.paste((255, 0, 0), tuple(start + side for start, side in zip((128, 64) * 2, red, strict=True)))
    (entry,) = detect(settings, collected(tmp_path, photo), tmp_path / "2", base=tmp_path)
    assert entry.reason == ("person in the picture" if fault else None)


def test_a_square_that_leaves_the_photo_is_filled_white_and_told(tmp_path: Path) -> None:
    journal = detect(red_square_found(tmp_path, margin=1), collected(tmp_path, scene()), tmp_path / "2", base=tmp_path)
    (entry,) = journal
    pixels = pixels_of(journal, entry)
    assert pixels.shape == (384, 384, 3)
    assert entry.facts["photo"] == [0, 64, 384, 320]
    assert (pixels[:64] == 255).all()
    assert (pixels[320:] == 255).all()
    assert not (pixels[64:320] == 255).all(axis=2).any()


def test_without_padding_the_square_stays_in_the_photo(tmp_path: Path) -> None:
    settings = red_square_found(tmp_path, margin=1, padding=False)
    journal = detect(settings, collected(tmp_path, scene()), tmp_path / "2", base=tmp_path)
    (entry,) = journal
    assert pixels_of(journal, entry).shape == (256, 256, 3)
    assert entry.facts["photo"] == [0, 0, 256, 256]


def test_a_large_picture_is_reduced_and_its_box_with_it(tmp_path: Path) -> None:
    settings = red_square_found(tmp_path, margin=0.25, max_side=96)
    journal = detect(settings, collected(tmp_path, scene()), tmp_path / "2", base=tmp_path)
    (entry,) = journal
    assert pixels_of(journal, entry).shape == (96, 96, 3)
    assert entry.facts["box"] == pytest.approx([16, 16, 80, 80], abs=0.4)


def test_a_rejected_photo_is_shown_in_small_with_what_was_found(tmp_path: Path) -> None:
    settings = red_square_found(tmp_path, min_side=500)
    journal = detect(settings, collected(tmp_path, scene(size=(1200, 800))), tmp_path / "2", base=tmp_path)
    (entry,) = journal
    assert entry.reason == "subject has too few pixels"
    assert entry.facts == {"author": "Ada", "found": [{"class": "cat", "score": 0.9}]}
    assert pixels_of(journal, entry).shape == (213, 320, 3)


def test_without_a_detector_every_photo_is_taken_whole(tmp_path: Path) -> None:
    journal = detect(DetectSettings(), collected(tmp_path, scene()), tmp_path / "2", base=tmp_path)
    (entry,) = journal
    assert entry.facts["box"] == entry.facts["photo"] == [0, 0, 384, 256]
    assert np.array_equal(pixels_of(journal, entry), np.asarray(scene()))


def test_a_damaged_photo_is_a_reason_and_the_next_is_looked_at(tmp_path: Path) -> None:
    before = collected(tmp_path, b"no picture", encoded(scene())[:2000][:-900], scene(1))
    journal = detect(red_square_found(tmp_path), before, tmp_path / "2", base=tmp_path)
    assert Counter(entry.reason for entry in journal) == {"cannot be read": 2, None: 1}
    assert all(entry.facts["author"] == "Ada" for entry in journal)


def test_what_an_earlier_stage_rejected_is_not_looked_at(tmp_path: Path) -> None:
    before = collected(tmp_path, scene())
    before.add(Entry("f" * 16, "x.png", "looks like another"))
    assert len(detect(red_square_found(tmp_path), before, tmp_path / "2", base=tmp_path)) == 1


def test_a_stage_goes_on_where_it_was(tmp_path: Path) -> None:
    settings, calls = red_square_found(tmp_path), []
    first = detect(settings, collected(tmp_path, scene(1)), tmp_path / "2", base=tmp_path, on_progress=lambda: calls.append(1))
    stamp = (tmp_path / "2" / str(next(iter(first)).file)).stat().st_mtime_ns
    both = detect(settings, collected(tmp_path, scene(2)), tmp_path / "2", base=tmp_path, on_progress=lambda: calls.append(2))
    assert (len(both), calls) == (2, [1, 2])
    assert (tmp_path / "2" / str(next(iter(both)).file)).stat().st_mtime_ns == stamp


def test_other_settings_or_another_detector_begin_anew_but_threads_do_not(tmp_path: Path) -> None:
    before = collected(tmp_path, scene())
    settings, calls = red_square_found(tmp_path), []
    changes: list[tuple[DetectSettings, int]] = [
        (settings, 1),
        (settings.model_copy(update={"threads": 2}), 0),
        (settings.model_copy(update={"margin": 0.3}), 1),
    ]
    for changed, looked_at in changes:
        calls.clear()
        detect(changed, before, tmp_path / "2", base=tmp_path, on_progress=lambda: calls.append(1))
        assert len(calls) == looked_at
    detector_file(tmp_path / "cats.onnx", [])
    (entry,) = detect(changes[-1][0], before, tmp_path / "2", base=tmp_path)
    assert entry.reason == "no cat found"


def test_paths_start_from_the_base(tmp_path: Path) -> None:
    red_square_found(tmp_path)
    (tmp_path / "names.txt").write_text("cat\ndog\n\nperson\n")
    settings = DetectSettings.model_validate({"detector": "cats.onnx", "classes": "names.txt", "subject": "cat"})
    (entry,) = detect(settings, collected(tmp_path, scene()), tmp_path / "2", base=tmp_path)
    assert entry.is_kept


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"subject": "horse"}, "knows no class 'horse'; choose from its classes: cat, dog, person"),
        ({"subject": "cat", "forbidden": "couch"}, "knows no class 'couch'"),
        ({"subject": "cat", "classes": "none.txt"}, r"classes '.*none\.txt' cannot be read .*; give a text file"),
        ({"subject": "cat", "detector": "none.onnx"}, r"none\.onnx' is no file"),
    ],
)
def test_settings_that_do_not_fit_the_detector_are_told(tmp_path: Path, values: dict[str, Any], message: str) -> None:
    red_square_found(tmp_path)
    settings = DetectSettings.model_validate({"detector": "cats.onnx", "classes": CLASSES, **values})
    with pytest.raises(BuildError, match=message):
        detect(settings, collected(tmp_path, scene()), tmp_path / "2", base=tmp_path)

"""What shows a model: every input has its picture, and where none may be shipped something stands in for it."""

from pathlib import Path

import numpy as np

from tests.training.synthetic import FREE, SIDE, make_dataset, make_several
from training.datasets import PairedDataset, displayable
from training.gallery import gallery, in_strips, stand_in
from training.recipes.recipe import Drawing

KEPT = FREE.model_copy(update={"free_samples": False})


def test_held_out_examples_have_every_input(tmp_path: Path) -> None:
    info = make_several(tmp_path)
    held_out = PairedDataset.open(tmp_path, "val")
    names = [spec.name for spec in info.inputs]
    drawings = gallery(held_out, names)
    assert [drawing.title["en"] for drawing in drawings] == [f"Held-out example {k}" for k in (1, 3, 5)]
    for drawing, k in zip(drawings, (0, 2, 4), strict=True):
        assert list(drawing.inputs) == names
        for name, images in held_out.inputs(slice(k, k + 1)).items():
            np.testing.assert_array_equal(drawing.inputs[name], images[0])


def test_pictures_that_may_not_be_shipped_are_not_shown(tmp_path: Path) -> None:
    make_several(tmp_path, origin=KEPT)
    assert gallery(PairedDataset.open(tmp_path, "val"), ["geology", "relief", "bands"]) == []


def test_empty_canvases_and_test_cards_stand_in_for_inputs(tmp_path: Path) -> None:
    info = make_several(tmp_path)
    drawing = stand_in(info, ["geology", "relief", "bands", "hints"])
    assert {name: pixels.shape for name, pixels in drawing.inputs.items()} == {
        "geology": (SIDE, SIDE, 1),
        "relief": (SIDE, SIDE, 1),
        "bands": (SIDE, SIDE, 5),
        "hints": (SIDE, SIDE, 4),
    }
    assert drawing.title["en"] == "Test card"
    assert (drawing.inputs["geology"] == info.main.background).all()
    assert not drawing.inputs["hints"].any()
    planes = [drawing.inputs["relief"][..., 0], *np.moveaxis(drawing.inputs["bands"], -1, 0)]
    assert all(plane.std() > 40 for plane in planes)
    assert len({plane.tobytes() for plane in planes[1:]}) == 5


def test_drawings_stand_in_empty(tmp_path: Path) -> None:
    drawing = stand_in(make_dataset(tmp_path, "line"), ["image"])
    assert drawing.title["en"] == "Empty canvas"
    assert (drawing.inputs["image"] == 255).all()


def test_strips_show_every_input_and_hints_over_the_first(tmp_path: Path) -> None:
    info = make_several(tmp_path)
    inputs = {name: images[0] for name, images in PairedDataset.open(tmp_path, "val").inputs().items()}
    hints = np.zeros((SIDE, SIDE, 4), np.uint8)
    hints[:4, :4] = (9, 99, 199, 255)
    strips = in_strips(Drawing({"en": "x"}, {**inputs, "hints": hints}), info)
    assert strips.shape == (SIDE, SIDE, 3)
    assert (strips[:4, :4] == (9, 99, 199)).all()
    for spec, columns in zip(info.inputs, (slice(5, 11), slice(11, 21), slice(21, 32)), strict=True):
        np.testing.assert_array_equal(strips[:, columns], displayable(inputs[spec.name], spec)[:, columns])

"""What shows a model: finished examples of its inputs, from the recipe, from held-out pairs, or made to stand in for them.

It runs no model and writes no file.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from training.datasets import DatasetInfo, ImagesU8, PairedDataset, displayable
from training.evaluate import with_dabs
from training.recipes import RECIPES, SUBJECTS
from training.recipes.recipe import Drawing
from training.serving import without_hints

HELD_OUT_SAMPLES = 3


def gallery(held_out: PairedDataset, image_names: Sequence[str]) -> list[Drawing]:
    """Drawings to show: the recipe's own, and held-out pairs where their licence lets them be shipped."""
    info = held_out.info
    recipe = RECIPES.get(info.recipe) or SUBJECTS.get(info.recipe)
    drawn = recipe.drawings(info.size, info.main.line_width_px) if recipe else ()
    if info.origin.free_samples:
        chosen = np.linspace(0, len(held_out) - 1, min(HELD_OUT_SAMPLES, len(held_out))).round().astype(int)
        drawn = (*drawn, *(_held_out_drawing(held_out, int(k)) for k in chosen))
    kept: dict[tuple[int | None, bytes], Drawing] = {}
    for drawing in drawn:
        inputs = {name: drawing.inputs[name] for name in image_names if name in drawing.inputs}
        # Without a hints input, a drawing with and without hints is the same drawing, whatever seed was chosen for its hints.
        seed = drawing.seed if inputs.keys() == drawing.inputs.keys() else None
        key = seed, b"".join(pixels.tobytes() for pixels in inputs.values())
        kept.setdefault(key, dataclasses.replace(drawing, inputs=inputs))
    return list(kept.values())


def stand_in(info: DatasetInfo, image_names: Sequence[str]) -> Drawing:
    """What the self-test is given when no picture may be shipped: empty canvases, and for photos test cards.

    A photo of one value leaves norms nothing but rounding errors to magnify, and no two machines round alike.
    """
    inputs = {name: np.zeros((info.size, info.size, 4), np.uint8) for name in image_names if name == "hints"}
    for spec in info.inputs:
        is_picture = spec.kind in ("photo", "gray")
        blank = np.full((info.size, info.size, spec.channels), spec.background, np.uint8)
        inputs[spec.name] = _test_card(info.size, spec.channels) if is_picture else blank
    is_empty = all(spec.kind in ("line", "labels") for spec in info.inputs)
    title = {"en": "Empty canvas", "ja": "白紙"} if is_empty else {"en": "Test card", "ja": "テストカード"}
    return Drawing(title, inputs)


def in_strips(drawing: Drawing, info: DatasetInfo) -> ImagesU8:
    """All inputs in one picture, (H, W, 3): from left to right a strip of each, colour hints laid over the first."""
    shown = [displayable(drawing.inputs[spec.name], spec) for spec in info.inputs]
    if "hints" in drawing.inputs:
        shown[0] = with_dabs(shown[0], drawing.inputs["hints"])
    borders = np.linspace(0, info.size, len(shown) + 1).round().astype(int)
    strips = [picture[:, borders[k] : borders[k + 1]] for k, picture in enumerate(shown)]
    return np.concatenate(strips, axis=1)


def _held_out_drawing(held_out: PairedDataset, k: int) -> Drawing:
    number = k + 1
    title = {"en": f"Held-out example {number}", "ja": f"学習に使っていない例 {number}"}
    return Drawing(title, {name: images[0] for name, images in without_hints(held_out.inputs(slice(k, k + 1))).items()})


def _test_card(side: int, channels: int) -> ImagesU8:
    """Planes that change in as many directions and steps, (side, side, channels)."""
    y, x = np.mgrid[0:side, 0:side] / side
    planes = [x, y, *((x + y) * steps % 1 for steps in range(2, channels))]
    return np.stack([np.round(plane * 255).astype(np.uint8) for plane in planes[:channels]], axis=-1)

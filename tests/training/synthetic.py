"""Tiny prepared data sets and source folders, made on the spot: shapes whose colour their place decides."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from training.datasets import DatasetInfo, InputInfo, Origin, Pairs, PaletteEntry, digest, write_dataset
from training.photos import to_luma
from training.unpaired import Domains, Pictures, UnpairedInfo, digest_domains, write_unpaired

SIDE = 32

FREE = Origin(
    name="Squares",
    home_page="https://example.org/squares",
    license="CC0-1.0",
    weights_license="CC0-1.0",
    free_samples=True,
    notice="Squares, made by the tests. CC0-1.0.",
)

PALETTE = tuple(
    PaletteEntry(index=k, name={"en": name, "ja": name}, color=color)
    for k, (name, color) in enumerate((("Ground", "#000080"), ("Box", "#ff0000"), ("Lid", "#00ff00")))
)


def make_pairs(kind: str, count: int, seed: int = 0) -> Pairs:
    """Squares at random places: outlined (line), labelled or gray, and painted; of kind photo, painted and then outlined."""
    generator = np.random.default_rng(seed)
    source = np.full((count, SIDE, SIDE, 1), 255 if kind == "line" else 0, np.uint8)
    target = np.full((count, SIDE, SIDE, 3), 255, np.uint8)
    outline = np.full((count, SIDE, SIDE, 1), 255, np.uint8)
    for k, (top, left) in enumerate(generator.integers(1, 14, (count, 2))):
        source[k, top : top + 16, left : left + 16] = 0 if kind == "line" else 1
        source[k, top + 3 : top + 13, left + 3 : left + 13] = 255 if kind == "line" else 2
        target[k, top : top + 16, left : left + 16] = (200, 40 + 8 * top, 40 + 8 * left)
        outline[k, top : top + 16, left : left + 16] = 0
        outline[k, top + 1 : top + 15, left + 1 : left + 15] = 255
    if kind == "photo":
        return Pairs([f"square-{k}" for k in range(count)], target, outline)
    return Pairs([f"square-{k}" for k in range(count)], to_luma(target) if kind == "gray" else source, target)


def describe(kind: Literal["line", "labels", "gray", "photo"], name: str = "image", channels: int = 1) -> InputInfo:
    """An input of these pairs."""
    is_line = kind == "line"
    return InputInfo(
        name=name,
        kind=kind,
        channels=channels,
        palette=PALETTE if kind == "labels" else (),
        background=255 if is_line else 0,
        ink="dark" if is_line else None,
        line_width_px=3.0 if is_line else None,
    )


def make_dataset(root: Path, kind: Literal["line", "labels", "gray", "photo"] = "line", origin: Origin = FREE) -> DatasetInfo:
    """Writes a prepared set of 8 + 5 pairs."""
    splits = {"train": make_pairs(kind, 8), "val": make_pairs(kind, 5, seed=1)}
    info = DatasetInfo(
        recipe="squares",
        title={"en": "Squares", "ja": "四角"},
        inputs=(describe(kind, channels=splits["train"].source.shape[-1]),),
        size=SIDE,
        target_channels=splits["train"].target.shape[-1],
        counts={split: len(pairs.names) for split, pairs in splits.items()},
        rejects={},
        origin=origin,
        sha256=digest(splits),
    )
    write_dataset(root, info, splits)
    return info


def make_several(root: Path, origin: Origin = FREE) -> DatasetInfo:
    """Writes a prepared set of three inputs: labels, a gray relief and five bands, none of which tells all of the picture."""
    splits = {}
    for split, count, seed in (("train", 8, 0), ("val", 5, 1)):
        labels = make_pairs("labels", count, seed)
        generator = np.random.default_rng(seed + 100)
        relief = np.linspace(0, 255, SIDE)[None, None, :, None] * generator.random((count, 1, 1, 1))
        bands = generator.integers(0, 256, (count, SIDE, SIDE, 5), dtype=np.uint8)
        others = {"relief": np.repeat(relief, SIDE, axis=1).astype(np.uint8), "bands": bands}
        target = (labels.target // 2 + others["relief"] // 4 + bands[..., :3] // 4).astype(np.uint8)
        splits[split] = Pairs(labels.names, labels.source, target, others)
    inputs = (describe("labels", "geology"), describe("gray", "relief"), describe("photo", "bands", channels=5))
    info = DatasetInfo(
        recipe="squares",
        title={"en": "Maps", "ja": "地図"},
        inputs=inputs,
        size=SIDE,
        counts={split: len(pairs.names) for split, pairs in splits.items()},
        rejects={},
        origin=origin,
        sha256=digest(splits),
    )
    write_dataset(root, info, splits)
    return info


def make_discs(count: int, color: tuple[int, int, int], ground: int, seed: int = 0) -> Pictures:
    """Discs of one colour at random places on gray ground that is not quite even, as no photo's is."""
    generator, axis = np.random.default_rng(seed), np.arange(SIDE)
    images = (ground + generator.integers(0, 24, (count, SIDE, SIDE, 3))).astype(np.uint8)
    for k, (y, x) in enumerate(generator.integers(8, SIDE - 8, (count, 2))):
        images[k, (axis[:, None] - y) ** 2 + (axis[None] - x) ** 2 < 64] = color
    return Pictures([f"disc-{k}.png" for k in range(count)], images)


def make_unpaired(root: Path, origin: Origin = FREE) -> UnpairedInfo:
    """Writes a prepared set of two domains with different counts: 7 and 4 to train on, 3 and 2 held out."""
    splits = {
        split: Domains(make_discs(a, (230, 150, 20), 60, seed), make_discs(b, (90, 20, 200), 190, seed + 10))
        for seed, (split, a, b) in enumerate((("train", 7, 4), ("val", 3, 2)))
    }
    info = UnpairedInfo(
        recipe="unpaired",
        title={"en": "Discs", "ja": "円"},
        names={"a": "golden discs", "b": "violet discs"},
        size=SIDE,
        counts={split: {"a": len(domains.a), "b": len(domains.b)} for split, domains in splits.items()},
        rejects={"a": {}, "b": {"cannot be read": 1}},
        origin=origin,
        sha256=digest_domains(splits),
    )
    write_unpaired(root, info, splits)
    return info


def facade_file(path: Path, quality: int = 80) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Writes a photo|label JPEG of 256 px halves with a window and a door on a wall; returns its true classes."""
    from training.recipes.facades import PALETTE as CLASSES

    labels = np.zeros((256, 256), np.uint8)
    labels[40:250, 20:236] = 1
    labels[80:130, 60:100], labels[80:130, 150:190], labels[180:250, 110:140] = 2, 7, 3
    colors = np.array([entry.rgb for entry in CLASSES], np.uint8)[labels]
    photo = np.full((256, 256, 3), (180, 160, 140), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate([photo, colors], axis=1)).save(path, quality=quality)
    return labels

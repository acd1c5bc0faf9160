"""Small build folders as the stages leave them: discs that are collected, found, cut out, outlined and paired."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from tests.training.synthetic import FREE
from training.builder.journal import Entry, Journal
from training.datasets import DatasetInfo, InputInfo, Pairs, digest, write_dataset

SIDE = 32
PHOTO_SIZE = (96, 64)
BOX = [8, 8, 56, 56]
"""Of the disc in a crop, whose side is 64."""
STAGES = ("1-collect", "2-detect", "3-cutout", "4-draw", "dataset")
REJECTS = {
    "1-collect": {"cannot be read": 1, "looks like another": 2},
    "2-detect": {"no disc found": 3, "more than one disc": 1},
    "3-cutout": {"outline frays": 2},
    "4-draw": {},
}
"""How many pictures each stage of a build rejects, by reason."""


def disc(k: int, size: tuple[int, int] = PHOTO_SIZE) -> Image.Image:
    """A disc whose colour tells its number, on a ground that does too."""
    picture = Image.new("RGB", size, (30, (5 * k) % 256, 90))
    left, top = (side // 2 - 24 for side in size)
    ImageDraw.Draw(picture).ellipse((left, top, left + 48, top + 48), fill=((40 * k) % 256, 200, (7 * k) % 256))
    return picture


def make_build(root: Path, pairs: int = 8, until: str = "dataset", struck: tuple[str, ...] = ()) -> Path:
    """Writes a build that keeps `pairs` pictures and rejects those of `REJECTS`; stages after `until` are missing."""
    reasons = [(stage, reason) for stage, rejects in REJECTS.items() for reason, n in rejects.items() for _ in range(n)]
    plan: list[tuple[str, str] | None] = [*reasons, *[None] * pairs]
    journals = {stage: Journal.open(root / stage, {}) for stage in STAGES[: STAGES.index(until) + 1] if stage != "dataset"}
    kept, rows = [], []
    for k, fate in enumerate(plan):
        data = encoded(disc(k))
        sha256 = hashlib.sha256(data).hexdigest()
        rows.append(
            [sha256[:16], f"discs/{k}.jpg", "", "CC0-1.0" if k % 2 else "CC-BY-4.0", f"Ada {k % 3}", sha256, *PHOTO_SIZE]
        )
        _through(journals, sha256[:16], data, fate)
        if fate is None:
            kept.append((sha256[:16], k))
    _write_sources(root, rows)
    (root / "plan.json").write_text(json.dumps({"name": "discs", "detect": {"subject": ["disc"]}}), "utf-8")
    if until == "dataset":
        write_set(root, kept)
    if struck:
        (root / "struck.txt").write_text("".join(f"{one}\n" for one in struck), "utf-8")
    return root


def make_pairs_only(root: Path, pairs: int) -> Path:
    """Writes a build's prepared set and sources without the stages before, which take time."""
    ids = [hashlib.sha256(str(k).encode()).hexdigest()[:16] for k in range(pairs)]
    write_set(root, [(one, k) for k, one in enumerate(ids)])
    _write_sources(root, [[one, f"discs/{k}.jpg", "", "CC0-1.0", "Ada", one * 4, *PHOTO_SIZE] for k, one in enumerate(ids)])
    return root


def write_set(root: Path, kept: list[tuple[str, int]]) -> DatasetInfo:
    """The prepared set of a build: outlines and discs, every fourth held out."""
    parts = {"train": [one for n, one in enumerate(kept) if n % 4 != 3], "val": kept[3::4]}
    splits = {split: _pairs(part) for split, part in parts.items()}
    info = DatasetInfo(
        recipe="discs",
        title={"en": "Discs"},
        inputs=(InputInfo(kind="line", channels=1, background=255, ink="dark", line_width_px=1.0),),
        size=SIDE,
        counts={split: len(pairs.names) for split, pairs in splits.items()},
        rejects={reason: count for rejects in REJECTS.values() for reason, count in rejects.items()},
        origin=FREE,
        sha256=digest(splits),
    )
    write_dataset(root / "dataset", info, splits)
    return info


def encoded(picture: Image.Image) -> bytes:
    """A picture as JPEG."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG")
    return buffer.getvalue()


def outline() -> Image.Image:
    """The disc of a crop as a line."""
    lines = Image.new("L", (64, 64), 255)
    ImageDraw.Draw(lines).ellipse((8, 8, 56, 56), outline=0, width=2)
    return lines


def _through(journals: dict[str, Journal], entry_id: str, data: bytes, fate: tuple[str, str] | None) -> None:
    """A picture through the stages, until one rejects it."""
    crop = Image.open(io.BytesIO(data)).convert("RGB").crop((16, 0, 80, 64))
    clear = crop.copy()
    mask = Image.new("L", (64, 64))
    ImageDraw.Draw(mask).ellipse((8, 8, 56, 56), fill=255)
    clear.putalpha(mask)
    for stage, journal in journals.items():
        reason = fate[1] if fate and fate[0] == stage else None
        if stage == "1-collect":
            unreadable = reason == "cannot be read"
            file = None if unreadable else journal.save_bytes(data, f"{entry_id}.jpg")
            journal.add(Entry(entry_id, file, reason))
        else:
            picture = {"2-detect": crop, "3-cutout": clear, "4-draw": outline()}[stage]
            facts = {"box": BOX, "score": 0.9} if stage == "2-detect" else {}
            # A stage may also leave no picture of what it rejects.
            file = None if reason == "no disc found" else journal.save_image(picture, f"{entry_id}.png")
            journal.add(Entry(entry_id, file, reason, facts))
        if reason is not None:
            return


def _pairs(part: list[tuple[str, int]]) -> Pairs:
    small = outline().resize((SIDE, SIDE), Image.Resampling.BOX)
    source = np.repeat(np.asarray(small)[None, ..., None], len(part), axis=0)
    target = np.stack([np.asarray(disc(k, (64, 64)).resize((SIDE, SIDE))) for _, k in part])
    return Pairs([entry_id for entry_id, _ in part], source, target)


def _write_sources(root: Path, rows: list[list[object]]) -> None:
    with (root / "sources.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("id", "pointer", "page", "license", "author", "sha256", "width", "height"))
        writer.writerows(rows)

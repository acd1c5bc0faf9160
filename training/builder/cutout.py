"""The third stage: takes the background away and keeps cut-outs that look whole. What is put behind them is not its business."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from pydantic import BaseModel, ConfigDict, Field

from training.builder.box import Box, square_around
from training.builder.grabcut import grabcut
from training.builder.journal import JOURNAL, BuildError, Entry, Journal
from training.builder.mask import Mask, Shape, bounds, measured, sticker, tidied, to_alpha

SHOWN_PX = 320
Share = Annotated[float, Field(ge=0, le=1)]


class CutoutSettings(BaseModel):
    """How the background is taken away, and which cut-outs are kept."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: Literal["none", "grabcut", "rembg"] = Field(
        default="grabcut", description="`none` leaves pictures as they are; `rembg` needs that package and its models."
    )
    model: str = Field(default="isnet-general-use", description="Which of rembg's models; it is the user's to fetch.")
    work_side: int = Field(default=256, ge=64, description="Masks are found at this longer side of the picture, pixels.")
    rounds: int = Field(default=4, ge=1, description="How often GrabCut estimates colours and mask in turn.")
    min_cover: Share = Field(default=0.3, description="Least share of the subject's box that is in the mask.")
    max_cover: Share = Field(default=0.95, description="Largest share of the subject's box that is in the mask.")
    min_main: Share = Field(default=0.85, description="Least share of the mask that hangs together.")
    max_raggedness: float = Field(
        default=4.5,
        ge=1,
        description="Squared length of the outline by that of a disc as large: 1 is a disc, an animal 2 to 4.",
    )
    max_borders: int = Field(default=2, ge=0, le=4, description="How many of the photo's borders the mask may touch.")
    margin: float = Field(default=0.05, ge=0, le=1, description="Room around the cut-out, as a share of its longer side.")


def cut_out(
    settings: CutoutSettings, before: Journal, folder: Path, *, on_progress: Callable[[], None] = lambda: None
) -> Journal:
    """Cuts out every picture that `before` kept and that the stage's own journal does not know yet.

    Raises:
        BuildError: rembg or its model is missing, or the folder cannot be written.
    """
    find_mask = METHODS[settings.method](settings) if settings.method != "none" else None
    journal = Journal.open(folder, _decisive(settings, before))
    for entry in before:
        if entry.is_kept and entry.file is not None and entry.id not in journal:
            journal.add(_made(entry, before.folder / entry.file, journal, find_mask, settings))
            on_progress()
    return journal


def find_fault(shape: Shape, settings: CutoutSettings) -> str | None:
    """Why a cut-out of that shape is not taken; None if it is."""
    if shape.cover < settings.min_cover:
        return "mask covers too little of the box"
    if shape.cover > settings.max_cover:
        return "mask fills the box"
    if shape.main < settings.min_main:
        return "mask in several pieces"
    if shape.raggedness > settings.max_raggedness:
        return "outline too ragged"
    if shape.borders > settings.max_borders:
        return "mask cut off by the border"
    return None


FindMask = Callable[[Image.Image, Box, Box], Mask]
"""From a picture, the subject's box and what is not padding to a mask of the picture's size."""


def _by_grabcut(settings: CutoutSettings) -> FindMask:
    return lambda picture, box, photo: grabcut(np.asarray(picture), box, photo, settings.rounds)


def _by_rembg(settings: CutoutSettings) -> FindMask:
    try:
        import rembg  # type: ignore[import-not-found, unused-ignore]  # an extra of the user's
    except ImportError as error:
        raise BuildError(
            "method 'rembg' needs the package rembg; run `pip install rembg`, or take method 'grabcut'."
        ) from error
    try:
        session = rembg.new_session(settings.model)
    except Exception as error:  # whatever its download or onnxruntime raises
        raise BuildError(
            f"rembg cannot open its model '{settings.model}' ({error}); fetch it once with `rembg d {settings.model}`."
        ) from error

    def find_mask(picture: Image.Image, _box: Box, _photo: Box) -> Mask:
        mask: Mask = np.asarray(rembg.remove(picture, session=session, only_mask=True)) > 127
        return mask

    return find_mask


METHODS: dict[str, Callable[[CutoutSettings], FindMask]] = {"grabcut": _by_grabcut, "rembg": _by_rembg}


def _decisive(settings: CutoutSettings, before: Journal) -> dict[str, Any]:
    """What decides the stage's pictures: its own settings and those that made the pictures it is given."""
    header = (before.folder / JOURNAL).read_text("utf-8").splitlines()[:1]
    return {"settings": settings.model_dump(mode="json"), "before": header}


def _made(entry: Entry, path: Path, journal: Journal, find_mask: FindMask | None, settings: CutoutSettings) -> Entry:
    picture = _read(path)
    if picture is None:
        return Entry(entry.id, reason="cannot be read")
    if find_mask is None:
        return Entry(entry.id, journal.save_image(picture, f"{entry.id}.png"), facts={"box": entry.facts["box"]})
    scale = min(settings.work_side / max(picture.size), 1.0)
    small = picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.BOX)
    frame = Box.whole(picture.size)
    box, photo = (Box(*entry.facts[name]).seen_from(frame, scale) for name in ("box", "photo"))
    raw = find_mask(small, box, photo)
    tidy = tidied(raw, settings.work_side // 40)
    shape = measured(raw, tidy, box, photo)
    alpha = to_alpha(tidy, picture.size)
    fault = find_fault(shape, settings)
    facts = {"shape": {name: round(float(value), 3) for name, value in asdict(shape).items()}}
    if fault is not None:
        return Entry(entry.id, journal.save_image(_shown(picture, alpha), f"rejected/{entry.id}.jpg", quality=85), fault, facts)
    return _kept(entry.id, picture, alpha, facts, journal, settings.margin)


def _kept(
    entry_id: str, picture: Image.Image, alpha: NDArray[np.float32], facts: dict[str, Any], journal: Journal, margin: float
) -> Entry:
    """In a square of its own; facts: `box` of what is visible, in pixels of the picture, and the mask's shape."""
    subject = bounds(alpha > 0.5)
    frame = square_around(subject, picture.size, margin, padding=True)
    assert frame is not None  # with padding there always is one
    canvas = Image.new("RGBA", (int(frame.width), int(frame.height)))
    canvas.paste(sticker(picture, alpha), (-int(frame.left), -int(frame.top)))
    name = journal.save_image(canvas, f"{entry_id}.png")
    return Entry(entry_id, name, facts={"box": subject.seen_from(frame).numbers(), **facts})


def _read(path: Path) -> Image.Image | None:
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except (OSError, ValueError, SyntaxError):
        return None


def _shown(picture: Image.Image, alpha: NDArray[np.float32]) -> Image.Image:
    """The cut-out in colour on what it leaves away, pale."""
    weight = (0.25 + 0.75 * alpha)[..., None]
    pixels = np.asarray(picture) * weight + 255 * (1 - weight)
    return ImageOps.contain(Image.fromarray(pixels.round().astype(np.uint8)), (SHOWN_PX, SHOWN_PX))

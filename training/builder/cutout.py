"""The third stage: takes the background away and keeps cut-outs that look whole. It puts nothing in its place."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from training.builder.box import Box, square_around
from training.builder.detector import Detector
from training.builder.journal import BuildError, Entry, Journal
from training.builder.learning import learn
from training.builder.likelihood import LikelihoodModel
from training.builder.mask import Mask, Shape, bounds, measured, sticker, tidied, to_alpha
from training.builder.picture import SHOWN_PX, cut, read_picture, reduced
from training.builder.sight import Found, Sight, View, found_by_box, found_by_sight

VERSION = 1
"""Of how masks are made and judged; another one makes everything anew."""

LEARNING_PX = 416
"""Pictures are learned from at this longer side: the detectors at hand see no more."""

OF_THE_CROP = ("box", "photo")
"""Facts of the stage before that tell places in its picture; the cut-out is another picture."""

Share = Annotated[float, Field(ge=0, le=1)]


class CutoutSettings(BaseModel):
    """How the background is taken away, and which cut-outs are kept."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: Literal["none", "grabcut", "rembg"] = Field(
        default="grabcut", description="`none` leaves pictures as they are; `rembg` needs that package and its models."
    )
    model: str = Field(default="isnet-general-use", description="Which of rembg's models; each has a licence of its own.")
    work_side: int = Field(default=256, ge=64, description="GrabCut works at this longer side of the picture, pixels.")
    rounds: int = Field(default=3, ge=1, description="How often GrabCut estimates colours and mask in turn.")
    learn_from: int = Field(
        default=300,
        ge=0,
        description="From how many pictures GrabCut first learns what the subject looks like to the detector; more is better "
        "and takes longer, 0 lets it go by boxes alone.",
    )
    min_cover: float = Field(default=0.3, ge=0.05, description="Least share of the subject's box that is in the mask.")
    max_cover: Share = Field(default=0.95, description="Largest share of the subject's box that is in the mask.")
    min_main: Share = Field(default=0.85, description="Least share of the mask that hangs together.")
    max_raggedness: float = Field(
        default=3.0,
        ge=1,
        description="Squared length of the outline by that of a disc as large: 1 is a disc, an animal 1.5 to 2.5.",
    )
    max_cut: Share = Field(default=0.33, description="Largest share of the outline that runs along the photo's borders.")
    max_borders: int = Field(default=2, ge=0, le=4, description="How many of the photo's borders the mask may touch.")
    min_contrast: float = Field(
        default=0.21,
        ge=-1,
        le=1,
        description="By how much the learned likelihood must fall across the outline; higher is stricter.",
    )
    margin: float = Field(default=0.05, ge=0, le=1, description="Room around the cut-out, as a share of its longer side.")


def cut_out(
    settings: CutoutSettings,
    before: Journal,
    folder: Path,
    *,
    detector: Detector | None = None,
    on_progress: Callable[[], None] = lambda: None,
) -> Journal:
    """Cuts out every picture that `before` kept and that the stage's own journal does not know yet.

    Args:
        detector: That of the stage before; with it GrabCut learns from the pictures what their subject looks like.
        on_progress: Called after each picture that is cut out.

    Raises:
        BuildError: rembg or its model is missing, or the folder cannot be written.
    """
    learns = detector is not None and settings.method == "grabcut" and settings.learn_from > 0
    decisive = {
        "version": VERSION,
        "settings": settings.model_dump(mode="json"),
        "learns": learns,
        "before": before.read_header(),
    }
    journal = Journal.open(folder, decisive)
    waiting = [entry for entry in before if entry.is_kept and entry.id not in journal]
    if not waiting:
        return journal
    find = _finder(settings, before, journal, detector if learns else None)
    for entry in waiting:
        journal.add(_made(entry, before.folder, journal, find, settings))
        on_progress()
    return journal


def find_fault(shape: Shape, contrast: float | None, settings: CutoutSettings) -> str | None:
    """Why a cut-out of that shape is not taken; None if it is."""
    if shape.cover < settings.min_cover:
        return "mask covers too little of the box"
    if shape.cover > settings.max_cover:
        return "mask fills the box"
    if shape.main < settings.min_main:
        return "mask in several pieces"
    if shape.raggedness > settings.max_raggedness:
        return "outline too ragged"
    if shape.cut > settings.max_cut or shape.borders > settings.max_borders:
        return "mask cut off by the border"
    if contrast is not None and contrast < settings.min_contrast:
        return "outline in doubt"
    return None


Find = Callable[[View], Found]


def _finder(settings: CutoutSettings, before: Journal, journal: Journal, detector: Detector | None) -> Find | None:
    if settings.method == "none":
        return None
    if settings.method == "rembg":
        return _by_rembg(settings.model)
    sight = None if detector is None else _learned(settings.learn_from, before, journal, detector)
    if sight is None:
        return lambda view: found_by_box(view.at(settings.work_side), settings.rounds)
    return lambda view: found_by_sight(view, settings.work_side, sight, settings.rounds)


def _learned(count: int, before: Journal, journal: Journal, detector: Detector) -> Sight | None:
    """What was learned when the stage began, or is learned now. Gates do not matter to it."""
    key = hashlib.sha256(f"{count} {before.read_header()}".encode()).hexdigest()[:12]
    path = journal.folder / f"learned-{key}.npz"
    if path.is_file():
        return Sight(detector, LikelihoodModel.load(path))
    kept = sorted((entry for entry in before if entry.is_kept), key=lambda entry: entry.id)  # an id is a digest: a fair sample
    views = (_view(entry, before.folder) for entry in kept[:count])
    model = learn(detector, [view.at(LEARNING_PX) for view in views if view is not None])
    if model is None:
        return None
    journal.save_bytes(model.to_bytes(), path.name)
    return Sight(detector, model)


def _by_rembg(model: str) -> Find:
    try:
        import rembg  # type: ignore[import-not-found, unused-ignore]  # an extra of the user's
    except ImportError as error:
        raise BuildError(
            "method 'rembg' needs the package rembg; run `pip install rembg`, or take method 'grabcut'."
        ) from error
    try:
        session = rembg.new_session(model)
    except Exception as error:  # whatever its download or onnxruntime raises
        raise BuildError(
            f"rembg cannot open its model '{model}' ({error}); choose one that it knows and let it fetch that once."
        ) from error

    def find(view: View) -> Found:
        mask: Mask = np.asarray(rembg.remove(view.picture, session=session, only_mask=True)) > 127
        return Found(mask, tidied(mask))

    return find


def _view(entry: Entry, folder: Path) -> View | None:
    """The picture without its padding; None where it cannot be read."""
    picture = read_picture(folder / str(entry.file))
    if picture is None:
        return None
    photo = Box(*(round(side) for side in entry.facts["photo"]))
    return View(cut(picture, photo), Box(*entry.facts["box"]).seen_from(photo))


def _made(entry: Entry, folder: Path, journal: Journal, find: Find | None, settings: CutoutSettings) -> Entry:
    if find is None:
        return _copied(entry, folder, journal)
    view = _view(entry, folder)
    if view is None:
        return Entry(entry.id, reason="cannot be read", facts=entry.facts)
    found = find(view)
    box = view.box.seen_from(Box.whole(view.picture.size), found.tidy.shape[1] / view.picture.width)
    shape = measured(found.raw, found.tidy, box)
    figures: dict[str, Any] = {name: round(float(value), 3) for name, value in asdict(shape).items()}
    if found.contrast is not None:
        figures["contrast"] = round(found.contrast, 3)
    facts = {**{name: value for name, value in entry.facts.items() if name not in OF_THE_CROP}, **figures}
    alpha = to_alpha(found.tidy, view.picture.size)
    fault = find_fault(shape, found.contrast, settings)
    if fault is not None:
        return Entry(
            entry.id, journal.save_image(_shown(view.picture, alpha), f"rejected/{entry.id}.jpg", quality=85), fault, facts
        )
    return _kept(entry.id, sticker(view.picture, alpha), facts, journal, settings.margin)


def _copied(entry: Entry, folder: Path, journal: Journal) -> Entry:
    picture = read_picture(folder / str(entry.file))
    if picture is None:
        return Entry(entry.id, reason="cannot be read", facts=entry.facts)
    return Entry(entry.id, journal.save_image(picture, f"{entry.id}.png"), facts=entry.facts)


def _kept(entry_id: str, whole: Image.Image, facts: dict[str, Any], journal: Journal, margin: float) -> Entry:
    """In a square of its own; adds to the facts `box` of what is visible, in pixels of the picture."""
    subject = bounds(np.asarray(whole)[..., 3] > 127)
    frame = square_around(subject, whole.size, margin, padding=True)
    assert frame is not None  # with padding there always is one
    name = journal.save_image(cut(whole, frame), f"{entry_id}.png")
    return Entry(entry_id, name, facts={**facts, "box": subject.seen_from(frame).numbers()})


def _shown(picture: Image.Image, alpha: NDArray[np.float32]) -> Image.Image:
    """The cut-out in colour on what it leaves away, pale."""
    weight = (0.25 + 0.75 * alpha)[..., None]
    pixels = np.asarray(picture) * weight + 255 * (1 - weight)
    return reduced(Image.fromarray(pixels.round().astype(np.uint8)), SHOWN_PX)

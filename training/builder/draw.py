"""The fourth stage: from a cut-out to its lines, as a pen would draw them. Pairs are made of both later."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from pydantic import BaseModel, ConfigDict, Field
from scipy import ndimage
from skimage.morphology import remove_small_objects, skeletonize

from training.builder.extractors import EXTRACTORS, Extractor, Preprocessing, Thin, model_file, open_model
from training.builder.journal import Entry, Journal
from training.datasets import ImagesU8
from training.linework import MAX_LINE_WIDTH, stroke

BoolImage = NDArray[np.bool_]

Share = Annotated[float, Field(ge=0, le=1)]

VERSION = 1
"""Of what is drawn under the same settings; another one draws everything anew."""
_OPAQUE = 127
_LINE = 0.5
"""From here on a line counts that is sure of itself in [0, 1]."""
_EIGHT_NEIGHBOURS = np.ones((3, 3), bool)


class DrawSettings(BaseModel):
    """How lines are found, and which drawings are kept."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: Literal["model", "canny", "xdog"] = Field(
        default="model", description="`model` runs an edge detector, the bundled `sketch` unless `model` names another."
    )
    model: Path | None = Field(default=None, description="Folder of a tracer, or any edge model in ONNX.")
    preprocessing: Preprocessing = Field(
        default=Preprocessing(), description="What an edge model that is not this project's wants to be given."
    )
    size: int = Field(default=256, ge=64, le=1024, description="Side of picture and drawing, pixels.")
    scale: float = Field(
        default=1.5,
        ge=1,
        le=4,
        description="Lines are looked for in a picture so much larger: more finds smaller things, such as eyes, and more fur.",
    )
    sigma: float = Field(default=2.0, gt=0, description="Smoothing of `canny` and `xdog`, pixels.")
    detail: tuple[Share, Share] = Field(
        default=(0.35, 0.7), description="How much is drawn, [0, 1]: each picture has its own place between these two."
    )
    outline: bool = Field(default=True, description="Draw the outline of the cut-out too, which people draw first.")
    line_width: float = Field(default=3.0, ge=1, le=MAX_LINE_WIDTH, description="Of the pen, pixels.")
    min_line_px: int = Field(default=12, ge=0, description="Shorter pieces of line are specks and are dropped.")
    min_ink: float = Field(default=0.01, ge=0, le=1, description="Least share of the drawing that is ink.")
    max_ink: float = Field(default=0.25, ge=0, le=1, description="Largest share of the drawing that is ink.")


def draw(
    settings: DrawSettings, before: Journal, folder: Path, *, base: Path, on_progress: Callable[[], None] = lambda: None
) -> Journal:
    """Draws every picture that `before` kept and that the stage's own journal does not know yet.

    Raises:
        BuildError: The edge model is missing or none, or the folder cannot be written.
    """
    extractor = open_extractor(settings, base)
    decisive = {"version": VERSION, "settings": settings.model_dump(mode="json"), "model": _fingerprint(settings, base)}
    journal = Journal.open(folder, {**decisive, "before": before.read_header()})
    for entry in before:
        if entry.is_kept and entry.file is not None and entry.id not in journal:
            journal.add(_drawn(entry, before.folder / entry.file, journal, extractor, settings))
            on_progress()
    return journal


def open_extractor(settings: DrawSettings, base: Path) -> Extractor:
    """What finds the lines.

    Raises:
        BuildError: The edge model is missing or none.
    """
    if settings.method == "model":
        return open_model(model_file(settings.model, base), settings.preprocessing)
    return EXTRACTORS[settings.method](settings.sigma)


def lines_of(picture: Image.Image, extractor: Extractor, detail: float, settings: DrawSettings) -> tuple[ImagesU8, ImagesU8]:
    """A square picture on white and its drawing: RGB (size, size, 3), and dark lines on white (size, size, 1).

    Args:
        picture: RGB, or RGBA with the subject opaque.
    """
    fitted = ImageOps.pad(picture.convert("RGBA"), (settings.size, settings.size), Image.Resampling.LANCZOS, (255, 255, 255, 0))
    opaque = np.asarray(fitted.getchannel("A")) > _OPAQUE
    ground = Image.new("RGBA", fitted.size, "white")
    photo: ImagesU8 = np.asarray(Image.alpha_composite(ground, fitted).convert("RGB"))
    found = _enlarged(photo, settings.scale, extractor, detail)
    if extractor.is_finished:
        ink = np.where(remove_small_objects(found > _LINE, max_size=settings.min_line_px), found, 0)
        return photo, _paper(ink)
    thinned: BoolImage = skeletonize(found > _LINE)  # type: ignore[no-untyped-call]
    kept = _without_specks(thinned, settings.min_line_px)
    if settings.outline and "A" in picture.getbands() and not opaque.all():
        kept = _with_outline(kept, opaque)
    return photo, _paper(_penned(kept, settings.line_width))


def _enlarged(photo: ImagesU8, scale: float, extractor: Extractor, detail: float) -> Thin:
    """Lines of an enlarged photo at the photo's own size: the surest of all that fall on one pixel."""
    side = round(photo.shape[0] * scale)
    if extractor.is_finished or side == photo.shape[0]:
        return extractor(photo, detail)
    found = extractor(np.asarray(Image.fromarray(photo).resize((side, side), Image.Resampling.LANCZOS)), detail)
    rows, columns = np.nonzero(found)
    lines: Thin = np.zeros(photo.shape[:2], np.float32)
    places = tuple(((axis + 0.5) * photo.shape[0] / side).astype(int) for axis in (rows, columns))
    np.maximum.at(lines, places, found[rows, columns])
    return lines


def _drawn(entry: Entry, path: Path, journal: Journal, extractor: Extractor, settings: DrawSettings) -> Entry:
    try:
        with Image.open(path) as picture:
            picture.load()
    except (UnidentifiedImageError, OSError, ValueError):
        return Entry(entry.id, reason="cannot be read")
    detail = _own_place(entry.id, settings.detail)
    photo, drawing = lines_of(picture, extractor, detail, settings)
    ink = float((drawing < 128).mean())
    facts = {**entry.facts, "ink": round(ink, 4), "detail": round(detail, 3)}
    lines = journal.save_image(Image.fromarray(drawing[..., 0]), f"{entry.id}.png")
    if (fault := _fault(ink, settings)) is not None:
        return Entry(entry.id, file=lines, reason=fault, facts=facts)
    facts["picture"] = journal.save_image(Image.fromarray(photo), f"{entry.id}-picture.png")
    return Entry(entry.id, file=lines, facts=facts)


def _fault(ink: float, settings: DrawSettings) -> str | None:
    if ink < settings.min_ink:
        return "hardly any lines found"
    return "more ink than lines" if ink > settings.max_ink else None


def _own_place(entry_id: str, between: tuple[float, float]) -> float:
    """A place between two numbers that the id alone decides: another order or more pictures change no drawing."""
    share = int.from_bytes(hashlib.sha256(f"detail {entry_id}".encode()).digest()[:4], "big") / 2**32
    return between[0] + (between[1] - between[0]) * share


def _without_specks(line: BoolImage, least: int) -> BoolImage:
    labels, count = ndimage.label(line, _EIGHT_NEIGHBOURS)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    kept: BoolImage = (sizes >= least)[labels]
    return kept


def _with_outline(line: BoolImage, opaque: BoolImage) -> BoolImage:
    """Adds the border of the cut-out, in place of the lines found along it: two lines side by side look like a mistake."""
    border = opaque & ~ndimage.binary_erosion(opaque, _EIGHT_NEIGHBOURS, border_value=1)
    near = ndimage.binary_dilation(border, _EIGHT_NEIGHBOURS, iterations=3)
    drawn: BoolImage = (line & ~near & opaque) | border
    return drawn


def _penned(line: BoolImage, width_px: float) -> NDArray[np.float32]:
    thin_line = torch.from_numpy(line.astype(np.float32))[None, None]
    inked: NDArray[np.float32] = stroke(thin_line, torch.full((1, 1, 1, 1), width_px))[0, 0].numpy()
    return inked


def _paper(ink: NDArray[np.float32]) -> ImagesU8:
    drawing: ImagesU8 = np.round(255 * (1 - ink)).astype(np.uint8)[..., None]
    return drawing


def _fingerprint(settings: DrawSettings, base: Path) -> str | None:
    """Of the edge model's file: another one draws everything anew."""
    if settings.method != "model":
        return None
    return hashlib.sha256(model_file(settings.model, base).read_bytes()).hexdigest()

"""The second stage: keeps photos that show exactly the wanted subject and cuts a square around it. It removes no background."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from PIL import Image, ImageDraw
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from training.builder.box import Box, square_around
from training.builder.detector import COCO, Detection, Detector
from training.builder.journal import BuildError, Entry, Journal
from training.builder.picture import SHOWN_PX, cut, read_picture, reduced

VERSION = 1
"""Of the stage's rules; another one makes everything anew."""
SAME_THING = 0.6
"""Two boxes of different classes that overlap more, as intersection over union, are two readings of one thing."""
TOUCHING = 0.01
"""A box closer to a border than this share of the photo's side touches it."""
LIVING = ("person", "bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe")

Share = Annotated[float, Field(ge=0, le=1)]
Names = Annotated[tuple[str, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)]


class DetectSettings(BaseModel):
    """Which photos are kept and what is cut from them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    detector: Path | None = Field(
        default=None, description="ONNX file in YOLOX's layout. Without it every photo is taken whole, whatever it shows."
    )
    classes: Path | tuple[str, ...] | None = Field(
        default=None,
        description="What the detector's classes are called, in their order: a list, or a text file, a name a line.",
    )
    subject: Names = Field(default=(), description="Classes that are wanted, such as `cat`: exactly one of them in a photo.")
    min_score: Share = Field(default=0.5, description="How sure the detector must be of the subject.")
    second_score: Share = Field(default=0.2, description="From here on another subject in the photo counts.")
    forbidden: Names = Field(default=LIVING, description="Classes that must not be beside the subject.")
    forbidden_score: Share = Field(
        default=0.12, description="From here on something forbidden counts: low, since often all of a person is a hand."
    )
    min_share: Share = Field(default=0.15, description="Least share of the photo that the subject's box covers.")
    max_share: Share = Field(default=0.85, description="Largest share of the photo that the subject's box covers.")
    max_borders: int = Field(default=2, ge=0, le=4, description="How many of the photo's borders the subject's box may touch.")
    min_side: int = Field(default=128, ge=1, description="Least length of the longer side of the subject's box, pixels.")
    margin: float = Field(default=0.15, ge=0, le=2, description="Room on each side of the box, as a share of its longer side.")
    padding: bool = Field(
        default=True,
        description="Fill what of the square is outside of the photo with white: right where backgrounds are cut away. "
        "Without, the margin gives way, and a subject that no square within the photo holds is rejected.",
    )
    max_side: int = Field(default=1024, ge=64, description="Larger pictures are reduced to this longer side, pixels.")
    threads: int = Field(default=1, ge=1, description="How many of the processor's cores the detector may use.")

    @model_validator(mode="after")
    def _check(self) -> DetectSettings:
        if self.detector is not None and not self.subject:
            raise ValueError('subject is missing; name the class that photos must show, such as "cat"')
        if self.min_share >= self.max_share:
            raise ValueError(f"min_share {self.min_share} must be below max_share {self.max_share}")
        if self.second_score > self.min_score:
            raise ValueError(f"second_score {self.second_score} must not be above min_score {self.min_score}")
        return self


def open_detector(settings: DetectSettings, base: Path) -> Detector | None:
    """The detector that the settings name, if any; relative paths start from `base`.

    Raises:
        BuildError: It cannot be used, or a class is none of its own.
    """
    if settings.detector is None:
        return None
    names = _class_names(settings.classes, base)
    demanded = settings.subject + (settings.forbidden if "forbidden" in settings.model_fields_set else ())
    for name in demanded:
        if name not in names:
            raise BuildError(f"The detector knows no class '{name}'; choose from its classes: {', '.join(names)}.")
    return Detector(base / settings.detector, names, settings.threads)


def detect(
    settings: DetectSettings, before: Journal, folder: Path, *, base: Path, on_progress: Callable[[], None] = lambda: None
) -> Journal:
    """Looks at every picture that `before` kept and that the stage's own journal does not know yet.

    Args:
        base: What relative paths of the settings start from.
        on_progress: Called after each picture that is looked at.

    Raises:
        BuildError: The detector cannot be used, a class is none of its own, or the folder cannot be written.
    """
    detector = open_detector(settings, base)
    journal = Journal.open(folder, _decisive(settings, base))
    for entry in before:
        if entry.is_kept and entry.file is not None and entry.id not in journal:
            journal.add(_examined(entry, before.folder / entry.file, journal, detector, settings))
            on_progress()
    return journal


def find_fault(found: Sequence[Detection], size: tuple[int, int], settings: DetectSettings) -> str | None:
    """Why a photo (width, height) with these detections, the surest first, is not wanted; None if it is."""
    label = " or ".join(settings.subject)
    subjects = [d for d in found if d.name in settings.subject and d.score >= settings.second_score]
    if not subjects:
        return f"no {label} found"
    subject = subjects[0]
    if any(d.box.overlap(subject.box) < SAME_THING for d in subjects[1:]):
        return f"more than one {label}"
    if subject.score < settings.min_score:
        return f"not sure enough of the {label}"
    return _company_fault(subject, found, settings) or _place_fault(subject.box, size, settings)


def _company_fault(subject: Detection, found: Sequence[Detection], settings: DetectSettings) -> str | None:
    """What is beside the subject, or more likely than it in the same place."""
    for d in found:
        is_other = d.score > subject.score or d.box.overlap(subject.box) < SAME_THING
        if d.name in _unwanted(settings) and d.score >= settings.forbidden_score and is_other:
            return f"{d.name} in the picture"
    return None


def _unwanted(settings: DetectSettings) -> frozenset[str]:
    return frozenset(settings.forbidden) - frozenset(settings.subject)


def _place_fault(box: Box, size: tuple[int, int], settings: DetectSettings) -> str | None:
    share = box.area / (size[0] * size[1])
    if share < settings.min_share:
        return "subject too small"
    if share > settings.max_share:
        return "subject too large"
    if box.longer < settings.min_side:
        return "subject has too few pixels"
    if box.borders_touched(Box.whole(size), TOUCHING) > settings.max_borders:
        return "subject cut off by the border"
    return None


def _class_names(classes: Path | tuple[str, ...] | None, base: Path) -> tuple[str, ...]:
    if classes is None:
        return COCO
    if isinstance(classes, tuple):
        return classes
    try:
        lines = (base / classes).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BuildError(f"classes '{base / classes}' cannot be read ({error}); give a text file, a name a line.") from error
    return tuple(line.strip() for line in lines if line.strip())


def _decisive(settings: DetectSettings, base: Path) -> dict[str, Any]:
    """What decides the stage's pictures: of files what is in them, not where they lie."""
    if settings.detector is None:
        return {"version": VERSION, **settings.model_dump(mode="json", include={"detector", "max_side"})}
    values = settings.model_dump(mode="json", exclude={"threads", "detector", "classes"})
    values["version"] = VERSION
    values["detector"] = hashlib.sha256((base / settings.detector).read_bytes()).hexdigest()
    values["classes"] = list(_class_names(settings.classes, base))
    return values


def _examined(entry: Entry, path: Path, journal: Journal, detector: Detector | None, settings: DetectSettings) -> Entry:
    photo = read_picture(path)
    if photo is None:
        return Entry(entry.id, reason="cannot be read", facts=entry.facts)
    if detector is None:
        whole = Box.whole(photo.size)
        return _kept(entry, photo, whole, Detection("", 1.0, whole), journal, settings.max_side)
    found = detector(np.asarray(photo), min(settings.second_score, settings.forbidden_score))
    fault = find_fault(found, photo.size, settings)
    if fault is not None:
        return _rejected(entry, photo, fault, found, journal)
    subject = next(d for d in found if d.name in settings.subject)
    frame = square_around(subject.box, photo.size, settings.margin, settings.padding)
    if frame is None:
        return _rejected(entry, photo, "does not fit into a square of the photo", found, journal)
    fault = _fault_seen_closer(photo, subject.box, Box.whole(photo.size).meet(frame), detector, settings)
    if fault is not None:
        return _rejected(entry, photo, fault, found, journal)
    return _kept(entry, photo, frame, subject, journal, settings.max_side)


def _fault_seen_closer(photo: Image.Image, subject: Box, part: Box, detector: Detector, settings: DetectSettings) -> str | None:
    """What is beside the subject in the part of the photo that is kept: larger there, and mirrored, hands are missed less."""
    pixels = np.asarray(photo)[part.within()]
    box = subject.seen_from(part)
    looks = ((pixels, box), (np.ascontiguousarray(pixels[:, ::-1]), box.mirrored(pixels.shape[1])))
    for seen, place in looks:
        for d in detector(seen, settings.forbidden_score):
            if d.name in _unwanted(settings) and d.box.overlap(place) < SAME_THING:
                return f"{d.name} in the picture"
    return None


def _kept(before: Entry, photo: Image.Image, frame: Box, subject: Detection, journal: Journal, max_side: int) -> Entry:
    """Adds class and score to its facts, and `box` of the subject and `photo`, what is no padding, in pixels of the picture."""
    picture = reduced(cut(photo, frame), max_side)
    scale = picture.width / frame.width
    name = journal.save_image(picture, f"{before.id}.png")
    facts = {
        **before.facts,
        "class": subject.name,
        "score": round(subject.score, 4),
        "box": subject.box.seen_from(frame, scale).numbers(),
        "photo": Box.whole(photo.size).meet(frame).seen_from(frame, scale).numbers(),
    }
    return Entry(before.id, name, facts=facts)


def _rejected(before: Entry, photo: Image.Image, reason: str, found: Sequence[Detection], journal: Journal) -> Entry:
    """With the photo in small and what was found in it."""
    shown = reduced(photo, SHOWN_PX).copy()
    scale = shown.width / photo.width
    draw = ImageDraw.Draw(shown)
    for d in found:
        left, top, right, bottom = d.box.seen_from(Box.whole(photo.size), scale).numbers()
        draw.rectangle((left, top, max(right - 1, left), max(bottom - 1, top)), outline="red", width=2)
        draw.text((left + 4, top + 2), f"{d.name} {d.score:.2f}", "red", stroke_width=2, stroke_fill="white")
    name = journal.save_image(shown, f"rejected/{before.id}.jpg", quality=85)
    surest = [{"class": d.name, "score": round(d.score, 4)} for d in found[:5]]
    return Entry(before.id, name, reason, {**before.facts, "found": surest})

"""The last stage: drawings and pictures become a prepared set of pairs. It looks at no pixel beyond reading it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError
from pydantic import BaseModel, ConfigDict, Field

from training.builder.journal import BuildError, Entry, Journal, disk_errors
from training.builder.strikes import STRUCK_REASON, read_struck
from training.datasets import DatasetInfo, ImagesU8, InputInfo, Origin, Pairs, digest, write_dataset
from training.photos import is_held_out

TERMS = ("license", "author", "page")
"""Facts of a collected picture that may change without a picture being made anew."""


class PairSettings(BaseModel):
    """What the set is called, and what is held out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    val_share: float = Field(default=0.06, gt=0, lt=0.5, description="Share of the pairs that no training sees.")
    weights_license: str = Field(
        default="not stated; whoever made the pictures decides",
        description="Licence of weights learned from the set, in words.",
    )
    free_samples: bool = Field(default=False, description="Pictures of the set may be shipped with a model.")
    home_page: str = Field(default="", description="Of the pictures, where they have one.")


def pair(
    settings: PairSettings, title: dict[str, str], recipe: str, stages: Sequence[Journal], build: Path, *, line_width_px: float
) -> DatasetInfo:
    """Writes the set below `build`; an earlier one is replaced at the very end.

    Args:
        stages: From the collected pictures to the drawings.

    Raises:
        BuildError: Too few pairs are left for both splits.
        DatasetError: The set's folder holds something else.
    """
    struck = read_struck(build)
    collected, drawn = stages[0], stages[-1]
    current = list(_current(drawn, collected))
    kept = [entry for entry in current if entry.is_kept and entry.id not in struck]
    split_key = _split_key(kept, settings.val_share)
    splits: dict[str, list[Entry]] = {"train": [], "val": []}
    for entry in kept:
        splits["val" if is_held_out(split_key(entry), settings.val_share) else "train"].append(entry)
    for split, entries in splits.items():
        if not entries:
            raise BuildError(
                f"No pair is left for split '{split}' of {len(kept)} kept pictures; collect more, loosen the stages that "
                "reject most (see report.html), or raise pair.val_share."
            )
    pairs = {split: _read(drawn.folder, entries) for split, entries in splits.items()}
    size = pairs["train"].source.shape[1]
    rejects = Counter(e.reason for e in collected if e.reason is not None)
    rejects += Counter(e.reason for stage in stages[1:] for e in _current(stage, collected) if e.reason is not None)
    if taken := sum(entry.is_kept and entry.id in struck for entry in current):
        rejects[STRUCK_REASON] = taken
    info = DatasetInfo(
        recipe=recipe,
        title=title,
        inputs=(InputInfo(kind="line", channels=1, background=255, ink="dark", line_width_px=line_width_px),),
        size=size,
        counts={split: len(made.names) for split, made in pairs.items()},
        rejects=dict(sorted(rejects.items())),
        origin=_origin(settings, title, [entry for entries in splits.values() for entry in entries]),
        prepare=f"inkwash-train dataset build {recipe}.toml",
        sha256=digest(pairs),
    )
    with disk_errors(build):
        write_dataset(build / "dataset", info, pairs)
    return info


def _current(stage: Journal, collected: Journal) -> Iterator[Entry]:
    """What a stage made of pictures that are still collected, with the terms that hold for them now."""
    for entry in stage:
        now = entry if stage is collected else collected.get(entry.id)
        if now is not None and (now.is_kept or stage is collected):
            yield replace(entry, facts={**entry.facts, **{name: now.facts.get(name) for name in TERMS}})


def _split_key(entries: Sequence[Entry], val_share: float) -> Callable[[Entry], str]:
    """By what an entry is held out: its author, so that no two pictures of one sitting lie on both sides.

    By itself where no author is known, or where one made more of the pictures than are to be held out.
    """
    owned = Counter(entry.facts.get("author") for entry in entries)

    def key(entry: Entry) -> str:
        author = entry.facts.get("author")
        return str(author) if author and owned[author] <= val_share * len(entries) else entry.id

    return key


def _read(folder: Path, entries: Iterable[Entry]) -> Pairs:
    ordered = sorted(entries, key=lambda entry: entry.id)
    drawings = np.stack([_pixels(folder / str(entry.file), "L")[..., None] for entry in ordered])
    pictures = np.stack([_pixels(folder / str(entry.facts["picture"]), "RGB") for entry in ordered])
    return Pairs([entry.id for entry in ordered], drawings, pictures)


def _pixels(path: Path, mode: str) -> ImagesU8:
    try:
        with Image.open(path) as image:
            pixels: ImagesU8 = np.asarray(image.convert(mode))
    except (UnidentifiedImageError, OSError) as error:
        raise BuildError(f"'{path}' cannot be read ({error}); delete its folder and build again.") from error
    return pixels


def _origin(settings: PairSettings, title: dict[str, str], entries: Sequence[Entry]) -> Origin:
    """What the pictures' own notes say, gathered: licences by count, authors by name."""
    licences = Counter(str(entry.facts.get("license") or "not stated") for entry in entries)
    return Origin(
        name=f"{title['en']}: {len(entries):,} pictures, see sources.csv",
        home_page=settings.home_page,
        license="; ".join(licence for licence, _ in licences.most_common()),
        weights_license=settings.weights_license,
        free_samples=settings.free_samples,
        notice="\n".join(_notice(licences, entries)),
    )


def _notice(licences: Counter[str], entries: Sequence[Entry]) -> Iterator[str]:
    yield "Pairs built by `inkwash-train dataset build`. Every picture's origin is in sources.csv of the build."
    yield ""
    for licence, count in licences.most_common():
        yield f"{count:,} pictures: {licence}"
    authors = sorted({str(author) for entry in entries if (author := entry.facts.get("author"))})
    if authors:
        yield ""
        yield f"By {', '.join(authors)}."

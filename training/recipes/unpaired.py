"""Recipe `unpaired`: two folders of photos, in no pairs -> two domains for translation both ways.

Any number, size and format of photos; folders of any depth. It makes no picture of its own and knows nothing of who owns them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from training.datasets import ImagesU8
from training.photos import PhotoFolder, is_held_out
from training.recipes.recipe import SourceError, UnpairedDraft
from training.unpaired import DOMAINS, Domain, Domains, Pictures

NAME = "unpaired"
NEEDS = "two folders of photos (JPEG, PNG, WebP, TIFF, BMP), --a DIR and --b DIR"
VAL_SHARE = 0.1
FEWEST = 2
"""Photos of a domain: one to train on and one to hold out."""

WEAKNESSES = """\
- It changes colour and texture, hardly ever shape: no picture showed it how one thing becomes the other.
- What the two domains' pictures have around the subject is translated too: backgrounds may change with it.
- Two domains that differ in pose, framing or light teach it that difference as well.
"""


def build(a: Path, b: Path, size: int) -> UnpairedDraft:
    """Every usable photo of both folders, cut square and held out by a hash of its name.

    Raises:
        SourceError: A folder is missing or has too few photos.
    """
    return build_from({"a": a, "b": b}, size)


def build_from(
    roots: Mapping[Domain, Path], size: int, *, within: Mapping[Domain, frozenset[str]] | None = None
) -> UnpairedDraft:
    """As `build`, of the folders directly below each root that `within` names, or of all.

    Raises:
        SourceError: A folder is missing or has too few photos.
    """
    photos, rejects = {}, {}
    for domain in DOMAINS:
        chosen = within[domain] if within else frozenset[str]()
        photos[domain], rejects[domain] = _read(domain, PhotoFolder(roots[domain], size, within=chosen))
    splits = {split: Domains(_chosen(photos["a"], split), _chosen(photos["b"], split)) for split in ("train", "val")}
    return UnpairedDraft(splits, rejects)


def _read(domain: Domain, folder: PhotoFolder) -> tuple[dict[str, ImagesU8], dict[str, str]]:
    if not folder.root.is_dir():
        raise SourceError(f"--{domain} '{folder.root}' is not a folder; recipe '{NAME}' needs {NEEDS}.")
    photos = dict(folder)
    if len(photos) < FEWEST:
        raise SourceError(
            f"--{domain} '{folder.root}' has {len(photos)} usable photos ({len(folder.rejects)} were left out); at least "
            f"{FEWEST} are needed, and some hundred make a good model."
        )
    return photos, folder.rejects


def _chosen(photos: Mapping[str, ImagesU8], split: str) -> Pictures:
    """The split's photos. Where hashes hold out none or all of a few, the last name alone is held out."""
    held_out = {name for name in photos if is_held_out(name, VAL_SHARE)}
    if len(held_out) in (0, len(photos)):
        held_out = {max(photos)}
    names = [name for name in photos if (name in held_out) == (split == "val")]
    return Pictures(names, np.stack([photos[name] for name in names]))

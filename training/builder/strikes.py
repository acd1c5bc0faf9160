"""Pairs that a person struck: `struck.txt` of a build, and the prepared set without them. It shows nothing."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from training.builder.journal import BuildError, disk_errors, write_whole
from training.builder.prepared import DATASET_FOLDER, open_mapped, read_build_info
from training.datasets import DatasetInfo, Pairs, digest, staged_folder, write_dataset

STRUCK_FILE = "struck.txt"
STRUCK_REASON = "struck by hand"
"""Under which `dataset.json` counts them among its rejects."""


def read_struck(build: Path) -> frozenset[str]:
    """Ids of the pairs that were struck, also of those that the set no longer holds.

    Raises:
        BuildError: The file is no text.
    """
    return frozenset(_listed(build))


def strike(build: Path, pair_id: str, is_struck: bool) -> None:
    """Strikes a pair, or takes that back; on the disk when this returns.

    Raises:
        BuildError: The disk is full or the folder cannot be written.
    """
    ids = _listed(build)
    if is_struck:
        ids[pair_id] = None
    else:
        ids.pop(pair_id, None)
    with disk_errors(build):
        write_whole(build / STRUCK_FILE, "".join(f"{one}\n" for one in ids).encode())


def remove_struck(build: Path) -> DatasetInfo:
    """Takes the struck pairs out of the prepared set, which is replaced only when the new one has been written.

    Returns:
        What is in the set now.

    Raises:
        BuildError: A split would be left empty, or the disk is full.
        DatasetError: The set is damaged.
    """
    info, struck = read_build_info(build), read_struck(build)
    splits = {split: _without(build, info, split, struck) for split in info.counts}
    emptied = [split for split, pairs in splits.items() if not pairs.names]
    if emptied:
        raise BuildError(f"Every pair of split '{emptied[0]}' is struck; leave at least one, or build from more pictures.")
    smaller = _info_of(info, splits)
    if smaller.counts != info.counts:
        _replace(build / DATASET_FOLDER, smaller, splits)
    return smaller


def _listed(build: Path) -> dict[str, None]:
    """Ids in the order in which they were struck."""
    path = build / STRUCK_FILE
    try:
        lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    except UnicodeDecodeError as error:
        raise BuildError(f"'{path}' is no text; it should hold one id a line. Mend it or remove it.") from error
    return dict.fromkeys(line.strip() for line in lines if line.strip())


def _without(build: Path, info: DatasetInfo, split: str, struck: frozenset[str]) -> Pairs:
    """Copies of what stays, so that no file is open any more when the folder is replaced."""
    opened = open_mapped(build, info, split)
    rows = np.flatnonzero([name not in struck for name in opened.names])
    others = {name: np.array(images[rows]) for name, images in opened.others.items()}
    names = [opened.names[row] for row in rows]
    return Pairs(names, np.array(opened.source[rows]), np.array(opened.target[rows]), others)


def _info_of(info: DatasetInfo, splits: Mapping[str, Pairs]) -> DatasetInfo:
    counts = {split: len(pairs.names) for split, pairs in splits.items()}
    gone = sum(info.counts.values()) - sum(counts.values())
    rejects = {**info.rejects, STRUCK_REASON: info.rejects.get(STRUCK_REASON, 0) + gone}
    return info.model_copy(update={"counts": counts, "rejects": dict(sorted(rejects.items())), "sha256": digest(splits)})


def _replace(root: Path, info: DatasetInfo, splits: Mapping[str, Pairs]) -> None:
    """Writes the smaller set; what lies beside a set's own files stays there."""
    with disk_errors(root), staged_folder(root) as staging:
        write_dataset(staging, info, splits)
        for path in root.iterdir():
            place = staging / path.name
            if not place.exists():
                (shutil.copytree if path.is_dir() else shutil.copy2)(path, place)

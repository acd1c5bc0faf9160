"""The prepared set of a build, its arrays left on the disk: a picture is read when it is looked at. It changes nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from training.builder.journal import BuildError
from training.datasets import DatasetError, DatasetInfo, ImagesU8, PairedDataset, other_file, read_info, read_names

DATASET_FOLDER = "dataset"


def read_build_info(build: Path) -> DatasetInfo:
    """`dataset.json` of a build.

    Raises:
        BuildError: There is no set yet, or it is damaged.
    """
    root = build / DATASET_FOLDER
    if not (root / "dataset.json").is_file():
        raise BuildError(
            f"'{build}' holds no pairs yet (there is no {DATASET_FOLDER}/dataset.json); "
            "run `inkwash-train dataset build` with its plan first: it goes on where it was."
        )
    try:
        return read_info(root)
    except DatasetError as error:
        raise BuildError(f"'{root / 'dataset.json'}' is damaged or of another version. {_anew(root)}") from error


def open_mapped(build: Path, info: DatasetInfo, split: str) -> PairedDataset:
    """One split, mapped into memory.

    Raises:
        DatasetError: An array is missing, damaged or not what `info` says.
    """
    root = build / DATASET_FOLDER
    shape = (info.counts[split], info.size, info.size)
    source = _mapped(root, split, "source.npy", (*shape, info.main.channels))
    target = _mapped(root, split, "target.npy", (*shape, info.target_channels))
    others = {spec.name: _mapped(root, split, other_file(spec.name), (*shape, spec.channels)) for spec in info.inputs[1:]}
    names = read_names(root / split / "names.txt", len(source), _anew(root))
    return PairedDataset(info=info, split=split, names=names, source=source, target=target, others=others)


def _mapped(root: Path, split: str, name: str, shape: tuple[int, ...]) -> ImagesU8:
    path = root / split / name
    try:
        array: ImagesU8 = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DatasetError(f"'{path}' is missing or damaged ({error}). {_anew(root)}") from error
    if array.shape != shape or array.dtype != np.uint8:
        raise DatasetError(f"'{path}' is {array.dtype} {array.shape}; dataset.json promises uint8 {shape}. {_anew(root)}")
    return array


def _anew(root: Path) -> str:
    return f"Remove '{root}' and run `inkwash-train dataset build` again: it makes the set anew from the stages before."

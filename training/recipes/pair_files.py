"""Which files belong together: folders paired by name, A|B files, or the rows of a table. It opens no picture."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from training.rasters import RASTER_SUFFIXES
from training.recipes.recipe import SourceError

NEEDS = "--input [NAME=]DIR and --target DIR, or --side-by-side DIR, or --csv FILE"
Direction = Literal["a-to-b", "b-to-a"]
MAIN_NAME = "image"
TARGET_COLUMN, SPLIT_COLUMN = "target", "split"
INPUT_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
RESERVED_NAMES = frozenset({"hints", "latent", "result", "file", "seed", "n", "params", TARGET_COLUMN, SPLIT_COLUMN})
"""Names that mean something else in a graph, in the API or in a table."""

SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
"""What folders and cells call a split, and what it is called here."""


@dataclass(frozen=True)
class Part:
    """A file, or one half of it."""

    path: Path
    side: Literal["whole", "left", "right"] = "whole"


@dataclass(frozen=True)
class PairFiles:
    """The files of one pair. `split` is None where nobody has said to which it belongs."""

    name: str
    inputs: Mapping[str, Part]
    target: Part
    split: str | None = None


@dataclass(frozen=True)
class Listing:
    """All pairs of a source, in the order of their names or rows.

    Attributes:
        input_names: The main input first.
        roots: Folders in which an `origin.toml` may lie.
        rejects: File or row -> why it was left out.
        words: What the pictures show, by the names of their folders.
        command: The options that say all this, without anyone's folders.
    """

    input_names: tuple[str, ...]
    pairs: Sequence[PairFiles]
    rejects: Mapping[str, str]
    roots: tuple[Path, ...]
    words: str
    command: str


@dataclass(frozen=True)
class Sources:
    """Where pairs are, as given on the command line: exactly one of `inputs` with `target`, `side_by_side` and `table`.

    Attributes:
        inputs: Folders as NAME=DIR; one alone may be DIR.
    """

    inputs: Sequence[str] = ()
    target: Path | None = None
    side_by_side: Path | None = None
    direction: Direction | None = None
    table: Path | None = None


def list_pairs(sources: Sources) -> Listing:
    """The files of all pairs.

    Raises:
        SourceError: The sources are none, more than one, or not there.
    """
    given = [bool(sources.inputs or sources.target), bool(sources.side_by_side), bool(sources.table)]
    if sum(given) != 1 or bool(sources.inputs) != bool(sources.target):
        raise SourceError(f"Recipe 'pairs' needs {NEEDS}, and only one of these.")
    if sources.direction and not sources.side_by_side:
        raise SourceError("--direction says which half of --side-by-side files is the input; leave it out.")
    if sources.side_by_side:
        return from_side_by_side(sources.side_by_side, sources.direction or "a-to-b")
    if sources.table:
        return from_table(sources.table)
    assert sources.target is not None
    return from_folders({name: Path(folder) for name, folder in by_name(sources.inputs, "--input").items()}, sources.target)


def by_name(given: Sequence[str], option: str, default: str = MAIN_NAME) -> dict[str, str]:
    """NAME=VALUE by name; what has no name is meant for `default`.

    Raises:
        SourceError: A name is given twice.
    """
    named: dict[str, str] = {}
    for text in given:
        name, separator, value = text.partition("=")
        if not separator or not re.fullmatch(r"\w+", name):  # a path may hold = too
            name, value = default, text
        if name in named:
            raise SourceError(f"{option} is given twice for input '{name}'; give each input a name of its own, as NAME=...")
        named[name] = value
    return named


def from_folders(inputs: Mapping[str, Path], target: Path) -> Listing:
    """Files of the same name (without its ending) in each folder; folders of any depth.

    Raises:
        SourceError: A folder is missing or an input's name cannot be used.
    """
    _check_names(inputs)
    rejects: dict[str, str] = {}
    found = {
        name: _by_stem(folder, option, rejects)
        for name, folder, option in [*((name, folder, "--input") for name, folder in inputs.items()), ("", target, "--target")]
    }
    targets = found.pop("")
    for stem in sorted(set(targets).union(*found.values())):
        lacking = [name for name, files in found.items() if stem not in files]
        if stem not in targets:
            rejects[stem] = "no target of this name"
        elif lacking:
            rejects[stem] = f"no input '{lacking[0]}' of this name"
    whole = [stem for stem in sorted(targets) if all(stem in files for files in found.values())]
    splits = _given_splits(whole)
    pairs = [
        PairFiles(stem, {name: Part(files[stem]) for name, files in found.items()}, Part(targets[stem]), splits.get(stem))
        for stem in whole
    ]
    shown = [name for name in inputs if name != MAIN_NAME] or [_words(folder) for folder in inputs.values()]
    options = " ".join(f"--input {name}=DIR" if name != MAIN_NAME else "--input DIR" for name in inputs)
    return Listing(
        input_names=tuple(inputs),
        pairs=pairs,
        rejects=rejects,
        roots=(*inputs.values(), target),
        words=f"{' and '.join(shown)} to {_words(target)}",
        command=f"{options} --target DIR",
    )


def from_side_by_side(folder: Path, direction: Direction) -> Listing:
    """Files that hold A on the left and B on the right, each half as wide as the file.

    Raises:
        SourceError: The folder is missing.
    """
    rejects: dict[str, str] = {}
    files = _by_stem(folder, "--side-by-side", rejects)
    splits = _given_splits(list(files))
    source, target = ("left", "right") if direction == "a-to-b" else ("right", "left")
    pairs = [
        PairFiles(stem, {MAIN_NAME: Part(path, source)}, Part(path, target), splits.get(stem))  # type: ignore[arg-type]
        for stem, path in files.items()
    ]
    command = f"--side-by-side DIR --direction {direction}"
    return Listing((MAIN_NAME,), pairs, rejects, (folder,), _words(folder), command)


def from_table(table: Path) -> Listing:
    """Rows of a CSV file whose header names `target` and one column for each input; paths are relative to the file.

    A column `split` may say train, val or test.

    Raises:
        SourceError: The file cannot be read or its header cannot be used.
    """
    header, rows = _read_table(table)
    names = [name for name in header if name not in (TARGET_COLUMN, SPLIT_COLUMN)]
    if TARGET_COLUMN not in header or not names:
        raise SourceError(
            f"--csv '{table}' has the columns {', '.join(header) or '(none)'}; its first line must name '{TARGET_COLUMN}' and "
            "a column for each input, for example: target,image"
        )
    _check_names(names)
    pairs, rejects = [], {}
    for number, row in rows:
        reason = _row_fault(row, [*names, TARGET_COLUMN], table.parent)
        if reason is not None:
            rejects[f"line {number}"] = reason
            continue
        parts = {name: Part(table.parent / row[name]) for name in (*names, TARGET_COLUMN)}
        name = Path(row[names[0]]).with_suffix("").as_posix()
        pairs.append(PairFiles(name, parts, parts.pop(TARGET_COLUMN), SPLITS.get(row.get(SPLIT_COLUMN, "").lower())))
    shown = [name for name in names if name != MAIN_NAME]
    words = f"{' and '.join(shown)} to {_words(table.parent)}" if shown else _words(table.with_suffix(""))
    return Listing(tuple(names), pairs, rejects, (table.parent,), words, "--csv FILE")


def _read_table(table: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Column names, and each row's line number and cells."""
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            header = [name.strip() for name in reader.fieldnames or ()]
            reader.fieldnames = header
            rows = [(reader.line_num, {key: (row[key] or "").strip() for key in header}) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"--csv '{table}' cannot be read ({error}); give a CSV file in UTF-8.") from error
    if len(set(header)) != len(header):
        raise SourceError(f"--csv '{table}' names a column twice ({', '.join(header)}); each needs a name of its own.")
    return header, rows


def _row_fault(row: Mapping[str, str], columns: Sequence[str], root: Path) -> str | None:
    empty = [name for name in columns if not row[name]]
    if empty:
        return f"no file in column '{empty[0]}'"
    missing = [name for name in columns if not (root / row[name]).is_file()]
    if missing:
        return f"the file in column '{missing[0]}' is missing"
    split = row.get(SPLIT_COLUMN, "")
    return f"unknown split '{split}'" if split and split.lower() not in SPLITS else None


def _by_stem(folder: Path, option: str, rejects: dict[str, str]) -> dict[str, Path]:
    """Picture files below a folder by their path without its ending; two that share one are rejected."""
    if not folder.is_dir():
        raise SourceError(f"{option} '{folder}' is not a folder; give one with pictures.")
    found: dict[str, Path] = {}
    for path in _pictures(folder):
        stem = path.relative_to(folder).with_suffix("").as_posix()
        if stem in found:
            rejects[f"{folder.name}/{path.relative_to(folder).as_posix()}"] = "another file has the same name"
        else:
            found[stem] = path
    return found


def _pictures(folder: Path) -> Iterator[Path]:
    yield from sorted(path for path in folder.rglob("*") if path.suffix.lower() in RASTER_SUFFIXES and path.is_file())


def _given_splits(names: Sequence[str]) -> dict[str, str]:
    """By name, where every file lies in a folder called train, val or test; empty where one does not."""
    tops = {name: SPLITS.get(name.partition("/")[0]) for name in names}
    given = {name: split for name, split in tops.items() if split is not None and "/" in name}
    is_split = len(given) == len(names) and {"train"} < set(given.values())
    return given if is_split else {}


def _check_names(names: Mapping[str, Path] | Sequence[str]) -> None:
    for name in names:
        if not INPUT_NAME.fullmatch(name):
            raise SourceError(
                f"Input '{name}' cannot be called so: a name is up to 32 small letters, digits and _, and starts with a letter."
            )
        if name in RESERVED_NAMES:
            raise SourceError(f"Input '{name}' cannot be called so, because that name means something else; choose another.")
        if name == MAIN_NAME and next(iter(names)) != MAIN_NAME:
            raise SourceError(f"Only the first input may be called '{MAIN_NAME}', which means the main one in a request.")


def _words(folder: Path) -> str:
    """What a folder's name says: "relief-map" is "relief map"."""
    return folder.resolve().name.replace("-", " ").replace("_", " ").strip()

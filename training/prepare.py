"""From a recipe and its images to a prepared data set on disk. It makes no pair itself: recipes do."""

from __future__ import annotations

import functools
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage
from skimage.morphology import skeletonize

from training.datasets import DatasetInfo, ImagesU8, InputInfo, Origin, digest, write_dataset
from training.download import fetch
from training.recipes import RECIPES, UNPAIRED_RECIPES, pairs, unpaired
from training.recipes.pair_files import Sources, by_name, list_pairs
from training.recipes.photos import ORIGIN_FILE, read_origin
from training.recipes.recipe import Draft, Recipe, SourceError, UnpairedDraft
from training.unpaired import Domain, UnpairedInfo, digest_domains, write_unpaired

STROKE_DRAWINGS, MAGNIFICATION = 150, 4


def prepare(recipe_name: str, source: Path | None, out: Path, size: int = 256) -> DatasetInfo:
    """Makes the pairs of a recipe at `size` pixels and writes them to `out`.

    Args:
        recipe_name: A key of `RECIPES`.
        source: Folder with the original files; None downloads them (to the user's cache) first.
        out: Folder to make; an earlier data set there is replaced.
        size: Height and width of every image, pixels.

    Raises:
        SourceError: `source` lacks what the recipe reads.
        DownloadError: The public original could not be fetched.
        DatasetError: `out` holds something else.
    """
    recipe = _recipe(recipe_name)
    folder = _source_folder(recipe, source)
    draft = recipe.build(folder, size)
    for split, made in draft.splits.items():
        if not made.names:
            raise SourceError(f"Recipe '{recipe.name}' found no pair for '{split}' in '{folder}'; it needs {recipe.needs}.")
    info = _describe(recipe, draft, size)
    write_dataset(out, info, draft.splits)
    return info


def prepare_unpaired(a: Path, b: Path, out: Path, size: int = 256) -> UnpairedInfo:
    """Makes a set of two domains from two folders of photos at `size` pixels and writes it to `out`.

    The folders' names say what the photos show; an `origin.toml` in one says whose they are.

    Raises:
        SourceError: A folder is missing, has too few photos or states no proper origin.
        DatasetError: `out` holds something else.
    """
    draft = unpaired.build(a, b, size)
    names: dict[Domain, str] = {"a": _words(a), "b": _words(b)}
    title = f"{names['a']} and {names['b']}"
    described = {"en": title[:1].upper() + title[1:]}
    return _write_domains(draft, unpaired.NAME, described, names, _joint_origin(read_origin(a), read_origin(b)), out, size)


def prepare_domains(recipe_name: str, source: Path | None, out: Path, size: int = 256) -> UnpairedInfo:
    """Makes a named set of two domains (a key of `UNPAIRED_RECIPES`) at `size` pixels and writes it to `out`.

    Raises:
        SourceError: `source` is not given, is no folder, or lacks what the recipe reads.
        DatasetError: `out` holds something else.
    """
    recipe = UNPAIRED_RECIPES[recipe_name]
    if source is None:
        raise SourceError(f"Recipe '{recipe.name}' reads a folder of yours: give --source DIR with {recipe.needs}.")
    if not source.is_dir():
        raise SourceError(f"Source '{source}' is not a folder; recipe '{recipe.name}' needs one with {recipe.needs}.")
    draft = recipe.build(source, size)
    return _write_domains(draft, recipe.name, recipe.title, recipe.names, recipe.origin, out, size)


def _write_domains(
    draft: UnpairedDraft,
    recipe_name: str,
    title: Mapping[str, str],
    names: Mapping[Domain, str],
    origin: Origin,
    out: Path,
    size: int,
) -> UnpairedInfo:
    info = UnpairedInfo(
        recipe=recipe_name,
        title=dict(title),
        names=dict(names),
        size=size,
        counts={split: {"a": len(domains.a), "b": len(domains.b)} for split, domains in draft.splits.items()},
        rejects={domain: dict(sorted(Counter(reasons.values()).items())) for domain, reasons in draft.rejects.items()},
        origin=origin,
        sha256=digest_domains(draft.splits),
    )
    write_unpaired(out, info, draft.splits)
    return info


def prepare_pairs(sources: Sources, told: pairs.Told, out: Path, size: int = 256) -> DatasetInfo:
    """Makes a set of one or several named inputs and a target from pairs of anyone's own, and writes it to `out`.

    Raises:
        SourceError: The sources are not there, hold too few pairs, or cannot be understood.
        DatasetError: `out` holds something else.
    """
    listing = list_pairs(sources)
    draft = pairs.build(listing, size, told)
    training = draft.splits["train"]
    arrays = {draft.inputs[0].name: training.source, **training.others}
    info = DatasetInfo(
        recipe=pairs.NAME,
        title={"en": listing.words[:1].upper() + listing.words[1:]},
        inputs=tuple(_with_line_width(spec, arrays[spec.name]) for spec in draft.inputs),
        size=size,
        counts={split: len(made.names) for split, made in draft.splits.items()},
        rejects=dict(sorted(Counter(draft.rejects.values()).items())),
        origin=_origin_of(listing.roots),
        prepare=" ".join(["inkwash-train prepare", pairs.NAME, listing.command, *_kind_options(draft.inputs, told)]),
        sha256=digest(draft.splits),
    )
    write_dataset(out, info, draft.splits)
    return info


def _with_line_width(spec: InputInfo, images: ImagesU8) -> InputInfo:
    return spec.model_copy(update={"line_width_px": median_stroke_width(images)}) if spec.kind == "line" else spec


def _kind_options(inputs: Sequence[InputInfo], told: pairs.Told) -> Iterator[str]:
    """What makes the same of the same files, without anyone's places."""
    yield from (f"--kind {spec.name}={spec.kind}" for spec in inputs)
    yield from (f"--palette {name}=FILE" for name in by_name(told.palettes, "--palette", default=inputs[0].name))


def _origin_of(roots: Sequence[Path]) -> Origin:
    """What holds for all folders; where one says nothing, what the folder above it says."""
    stating = [root if (root / ORIGIN_FILE).is_file() else root.resolve().parent for root in roots]
    return functools.reduce(_joint_origin, (read_origin(root) for root in stating))


def _words(folder: Path) -> str:
    """What a folder's name says: "passion-flower" is "passion flower"."""
    return folder.resolve().name.replace("-", " ").replace("_", " ").strip()


def _joint_origin(a: Origin, b: Origin) -> Origin:
    """What holds for pictures of both origins."""
    if a == b:
        return a
    joined = {key: "; ".join(dict.fromkeys(filter(None, (getattr(a, key), getattr(b, key))))) for key in ("name", "license")}
    return Origin(
        **joined,
        home_page=a.home_page if a.home_page == b.home_page else "",
        weights_license="; ".join(dict.fromkeys((a.weights_license, b.weights_license))),
        free_samples=a.free_samples and b.free_samples,
        notice=f"{a.notice.rstrip()}\n\n{b.notice}",
    )


def median_stroke_width(lines: ImagesU8) -> float:
    """Median over drawings of the width of their strokes, pixels. Lines are dark on white paper, (N, H, W, 1).

    On the middle line of a stroke the distance to the paper is half its width; with distances between pixel centres that is
    (width + 1) / 2. Drawings are magnified first, since a whole pixel is a large part of a stroke.
    """
    chosen = np.linspace(0, len(lines) - 1, min(STROKE_DRAWINGS, len(lines))).round().astype(int)
    widths = [width for drawing in lines[chosen, ..., 0] if (width := _stroke_width(drawing)) is not None]
    if not widths:
        raise SourceError("The drawings hold no ink, so their stroke width cannot be measured.")
    return round(float(np.median(widths)), 1)


def _stroke_width(drawing: ImagesU8) -> float | None:
    sheet = Image.fromarray(drawing)
    magnified = sheet.resize((sheet.width * MAGNIFICATION, sheet.height * MAGNIFICATION), Image.Resampling.BICUBIC)
    ink = np.asarray(magnified) < 128
    middle = skeletonize(ink)  # type: ignore[no-untyped-call]
    if not middle.any():
        return None
    return (2 * float(np.median(ndimage.distance_transform_edt(ink)[middle])) - 1) / MAGNIFICATION


def _describe(recipe: Recipe, draft: Draft, size: int) -> DatasetInfo:
    is_line = recipe.kind == "line"
    main = InputInfo(
        kind=recipe.kind,
        channels=draft.splits["train"].source.shape[-1],
        palette=recipe.palette,
        background=recipe.background,
        ink="dark" if is_line else None,
        line_width_px=median_stroke_width(draft.splits["train"].source) if is_line else None,
    )
    return DatasetInfo(
        recipe=recipe.name,
        title=dict(recipe.title),
        inputs=(main,),
        size=size,
        target_channels=draft.splits["train"].target.shape[-1],
        counts={split: len(made.names) for split, made in draft.splits.items()},
        rejects=dict(sorted(Counter(draft.rejects.values()).items())),
        origin=draft.origin or recipe.origin,
        sha256=digest(draft.splits),
    )


def _recipe(name: str) -> Recipe:
    if name not in RECIPES:
        raise SourceError(f"There is no recipe '{name}'; choose one of {', '.join((*RECIPES, *UNPAIRED_RECIPES))}.")
    return RECIPES[name]


def _source_folder(recipe: Recipe, source: Path | None) -> Path:
    """The given folder, or that of the downloaded original; any, where the recipe reads none."""
    if not recipe.needs_source:
        return source or Path()
    if source is None and not recipe.downloads:
        raise SourceError(f"Recipe '{recipe.name}' reads a folder of yours: give --source DIR with {recipe.needs}.")
    folder = source if source is not None else _download(recipe)
    if not folder.is_dir():
        raise SourceError(f"Source '{folder}' is not a folder; recipe '{recipe.name}' needs one with {recipe.needs}.")
    return folder


def _download(recipe: Recipe) -> Path:
    """Fetches the public original into the user's cache, where an interrupted download is taken up again."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "inkwash" / recipe.name
    fetch(recipe.downloads, folder)
    return folder

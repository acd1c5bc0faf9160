"""Translates files on disk one after another, without a server."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from server.catalog import Entry, bundled_folder, read_catalog
from server.errors import ApiError, ConfigurationError, ModelError
from server.imaging import ImageLimits, encode
from server.processors import usable_cores
from server.providers import check_distributions, choose
from server.requests import FORMATS, JSON_TYPE
from server.session import Session, SessionOptions, installed_distributions, why_unusable
from server.settings import Settings
from server.translator import checked_parameters, default_size, feeds, finish, load_session, prepare


def translate_files(
    settings: Settings, files: Iterable[Path], model_id: str, out: Path, seed: int, image_format: str, console: Console
) -> int:
    """Writes the translation of each file to `out` and returns how many could not be translated.

    Raises:
        ConfigurationError: the model, the format, the device or the folder cannot be used at all.
    """
    media_type = FORMATS.get(image_format, JSON_TYPE)
    if media_type == JSON_TYPE:
        raise ConfigurationError(f"--format is '{image_format}'; it must be png, jpeg or webp.")
    limits = ImageLimits(settings.max_pixels, settings.max_side)
    entry, session = _load(settings, model_id, limits)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"The folder '{out}' cannot be made: {error.strerror}.") from None
    paths = list(files)
    failed = 0
    with _progress(console) as progress:
        task = progress.add_task(model_id, total=len(paths))
        for path in paths:
            try:
                content = _translate(entry, session, path.read_bytes(), seed, media_type, limits)
                (out / f"{path.stem}.{image_format}").write_bytes(content)
            except (ApiError, OSError) as error:
                failed += 1
                reason = error.detail if isinstance(error, ApiError) else error.strerror or str(error)
                progress.console.print(f"{path}: {reason}", style="red", markup=False, highlight=False, soft_wrap=True)
            progress.advance(task)
    return failed


def _load(settings: Settings, model_id: str, limits: ImageLimits) -> tuple[Entry, Session]:
    catalog = read_catalog(settings.models_dir, bundled_folder() if settings.bundled_models else None)
    check_distributions(installed_distributions())
    options = SessionOptions(
        choose(settings.device, why_unusable).provider, settings.threads or usable_cores(), settings.cache_dir
    )
    try:
        entry = catalog[model_id]
        return entry, load_session(entry, options, limits)
    except ApiError as error:
        raise ConfigurationError(error.detail) from None
    except ModelError as error:
        raise ConfigurationError(f"'{model_id}' cannot be used: {error}") from None


def _translate(entry: Entry, session: Session, content: bytes, seed: int, media_type: str, limits: ImageLimits) -> bytes:
    manifest = entry.manifest
    prepared = prepare(manifest, {manifest.inputs[0].name: content}, checked_parameters(manifest, {}), limits)
    image = session.run(feeds(manifest, prepared, seed))[0]
    return encode(finish(prepared, image, default_size(manifest)), media_type)


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console)

"""Translates files on disk one after another, without a server."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from server.catalog import Catalog, Entry, bundled_folder, read_catalog
from server.errors import ApiError, ConfigurationError, ModelError
from server.imaging import ImageLimits, Picture, encode
from server.latents import Mix, checked_mix, joined_with_style, seed_latent
from server.manifest import STYLE_NAME, Manifest
from server.processors import usable_cores
from server.providers import check_distributions, choose
from server.requests import FORMATS, JSON_TYPE
from server.session import Array, Session, SessionOptions, installed_distributions, why_unusable
from server.settings import Settings
from server.styles import LatentSource, Styles, picture_name
from server.tracing import Trace, checked_trace, choose_tracer, prepare_trace, traced_lines
from server.translator import (
    SizeMode,
    check_tiles,
    checked_parameters,
    default_size,
    finish,
    input_name,
    load_session,
    prepare,
    run,
)


@dataclass(frozen=True)
class BatchOptions:
    """What is asked of each file; `size` is the model's own choice when absent, `inputs` are files by name.

    `source` is what the files are, where that is not what the model draws from: `photo`, to be traced by the way. `mix` and
    `style` take the place of the seed's latent, as in a request.
    """

    seed: int = 0
    image_format: str = "png"
    size: SizeMode | None = None
    inputs: Mapping[str, Path] = field(default_factory=dict)
    source: str | None = None
    mix: str | None = None
    style: Path | None = None


def translate_files(
    settings: Settings, files: Iterable[Path], model_id: str, out: Path, options: BatchOptions, console: Console
) -> int:
    """Writes the translation of each file to `out` and returns how many could not be translated.

    A result is named after its file and the model. It never replaces one of `files` nor another result of this call.

    Raises:
        ConfigurationError: the model, the format, the device or the folder cannot be used at all.
    """
    translator = _Translator.open(settings, model_id, options)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"The folder '{out}' cannot be made: {error.strerror}.") from None
    paths = list(files)
    own = _identities(paths)
    written: set[tuple[int, int]] = set()
    failed = 0
    with _progress(console) as progress:
        task = progress.add_task(model_id, total=len(paths))
        for path in paths:
            target = out / f"{path.stem}-{model_id}.{options.image_format}"
            try:
                _check_free(target, own, written)
                target.write_bytes(translator.translate(path.read_bytes()))
                written |= _identities([target])
            except (ApiError, OSError) as error:
                failed += 1
                reason = error.detail if isinstance(error, ApiError) else error.strerror or str(error)
                progress.console.print(f"{path}: {reason}", style="red", markup=False, highlight=False, soft_wrap=True)
            progress.advance(task)
    return failed


def _identities(paths: Iterable[Path]) -> set[tuple[int, int]]:
    """Device and inode of those that exist: what makes two names one file, be it by a link or where capitals do not count."""
    found: set[tuple[int, int]] = set()
    for path in paths:
        with contextlib.suppress(OSError):
            status = path.stat()
            found.add((status.st_dev, status.st_ino))
    return found


def _check_free(target: Path, own: set[tuple[int, int]], written: set[tuple[int, int]]) -> None:
    identity = _identities([target])
    if identity & own:
        raise FileExistsError(f"its result would replace '{target}', one of the given files; name another folder with --out.")
    if identity & written:
        raise FileExistsError(
            f"its result would replace '{target}', made of another file just before; rename it or translate it by itself."
        )


@dataclass(frozen=True)
class _Tracer:
    """A loaded tracer and what is asked of it."""

    trace: Trace
    session: Session

    def lines(self, model: Manifest, photo: bytes, seed: int, limits: ImageLimits) -> Picture:
        tracer = self.trace.tracer
        given = prepare_trace(self.trace, model, photo, limits)
        return traced_lines(self.trace, given, run(tracer, given.prepared, seed_latent(tracer, seed), self.session))


@dataclass(frozen=True)
class _Translator:
    """A loaded model, the tracer before it where there is to be one, and what is asked of them."""

    entry: Entry
    session: Session
    tracer: _Tracer | None
    limits: ImageLimits
    most_tiled_pixels: int
    options: BatchOptions
    media_type: str
    further: Mapping[str, bytes]
    latent: Array | None

    @classmethod
    def open(cls, settings: Settings, model_id: str, options: BatchOptions) -> Self:
        media_type = FORMATS.get(options.image_format, JSON_TYPE)
        if media_type == JSON_TYPE:
            raise ConfigurationError(f"--format is '{options.image_format}'; it must be png, jpeg or webp.")
        limits = ImageLimits(settings.max_pixels, settings.max_side)
        loader = _Loader.of(settings, limits)
        entry = loader.find(model_id)
        tracer = loader.tracer(entry.manifest, settings.tracer, options.source)
        further = _read_inputs(entry.manifest, options.inputs)
        mix = _checked_mix(entry.manifest, options)
        session = loader.load(entry)
        latent = _latent(entry.manifest, options, mix, session, limits)
        return cls(entry, session, tracer, limits, settings.max_tiled_pixels, options, media_type, further, latent)

    def translate(self, content: bytes) -> bytes:
        manifest = self.entry.manifest
        size = self.options.size or default_size(manifest)
        pictures = {manifest.inputs[0].name: self._main(content), **self.further}
        prepared = prepare(manifest, pictures, checked_parameters(manifest, {}), self.limits, size)
        check_tiles(prepared, 1, self.most_tiled_pixels)
        return encode(finish(prepared, run(manifest, prepared, self.latent, self.session), size), self.media_type)

    def _main(self, content: bytes) -> bytes | Picture:
        if self.tracer is None:
            return content
        return self.tracer.lines(self.entry.manifest, content, self.options.seed, self.limits)


def _checked_mix(manifest: Manifest, options: BatchOptions) -> Mix | None:
    try:
        if options.style is not None:
            picture_name(manifest, STYLE_NAME)
    except ApiError as error:
        raise ConfigurationError(f"--style {options.style}: {error.detail}") from None
    try:
        mix = None if options.mix is None else checked_mix(manifest, options.mix)
        return joined_with_style(mix, options.style is not None)
    except ApiError as error:
        raise ConfigurationError(f"--mix {options.mix}: {error.detail}") from None


def _latent(manifest: Manifest, options: BatchOptions, mix: Mix | None, session: Session, limits: ImageLimits) -> Array | None:
    """The latent of every file, as all have one seed, or one mix."""
    styles = Styles()
    try:
        content = options.style.read_bytes() if options.style else None
        style = styles.open_wanted(manifest, content, mix, limits)
        return LatentSource(manifest, options.seed, mix, style, styles).latent(session)
    except ApiError as error:
        raise ConfigurationError(f"--style {options.style}: {error.detail}") from None
    except OSError as error:
        raise ConfigurationError(f"--style {options.style}: {error.strerror}.") from None


def _read_inputs(manifest: Manifest, files: Mapping[str, Path]) -> dict[str, bytes]:
    contents: dict[str, bytes] = {}
    for name, path in files.items():
        try:
            resolved = input_name(manifest, name)
            if resolved == manifest.inputs[0].name:
                raise ConfigurationError(f"--input {name}={path}: '{resolved}' is the main input; give it as a file by itself.")
            contents[resolved] = path.read_bytes()
        except ApiError as error:
            raise ConfigurationError(f"--input {name}={path}: {error.detail}") from None
        except OSError as error:
            raise ConfigurationError(f"--input {name}={path}: {error.strerror}.") from None
    return contents


@dataclass(frozen=True)
class _Loader:
    """The models there are, and how they are loaded."""

    catalog: Catalog
    options: SessionOptions
    limits: ImageLimits

    @classmethod
    def of(cls, settings: Settings, limits: ImageLimits) -> Self:
        catalog = read_catalog(settings.models_dir, bundled_folder() if settings.bundled_models else None)
        check_distributions(installed_distributions())
        provider = choose(settings.device, why_unusable).provider
        return cls(catalog, SessionOptions(provider, settings.threads or usable_cores(), settings.cache_dir), limits)

    def find(self, model_id: str) -> Entry:
        try:
            return self.catalog[model_id]
        except ApiError as error:
            raise ConfigurationError(error.detail) from None

    def load(self, entry: Entry) -> Session:
        try:
            return load_session(entry, self.options, self.limits)
        except ModelError as error:
            raise ConfigurationError(f"'{entry.id}' cannot be used: {error}") from None

    def tracer(self, model: Manifest, wanted: str | None, source: str | None) -> _Tracer | None:
        if source is None:
            return None
        entry = choose_tracer(self.catalog, wanted)
        try:
            trace = checked_trace(model, entry.manifest if entry else None, source, {})
        except ApiError as error:
            raise ConfigurationError(f"--from {source}: {error.detail}") from None
        assert entry is not None
        return _Tracer(trace, self.load(entry))


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console)

"""One translation, synchronously: pictures, seed and parameters in, a picture out.

It knows the manifest's words and no model family. Threads, queues and the network are other modules' business.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from server.catalog import Entry
from server.drawings import hint_pixels, label_pixels, line_pixels
from server.errors import (
    ApiError,
    BadImageError,
    BadParameterError,
    ImageTooLargeError,
    MissingInputError,
    ModelError,
    UnknownInputError,
)
from server.imaging import (
    Fit,
    ImageLimits,
    Picture,
    Pixels,
    cleared_around,
    continued,
    cut_out,
    fit_into,
    fit_onto,
    on_canvas,
    open_image,
    open_photo,
    resize,
    restore_size,
    to_gray,
    to_rgb,
    to_rgba,
    with_channels,
)
from server.latents import seed_latent
from server.luma import recompose
from server.manifest import Compose, ImageInput, InputKind, Manifest, Parameter, Size
from server.session import Array, Feeds, OrtSession, Session, SessionOptions
from server.tiles import Mosaic, TileGrid, tile_grid

MAX_VARIATIONS = 16
MAIN_INPUT_ALIASES = ("image", "file")

SizeMode = Literal["model", "original"]


@dataclass(frozen=True)
class Prepared:
    """A request's pictures as the graph wants them, and what is needed to give the result its place and size back.

    With a `grid` the pictures are as large as all its tiles together, and the graph is run on one tile at a time.
    """

    images: Mapping[str, Pixels]
    parameters: Mapping[str, float]
    fit: Fit
    palette_snapped: float | None
    luma: Pixels | None
    grid: TileGrid | None = None
    paper: int | None = None
    """Of lines that are found in a photo: what lies outside of the photo's box, [0, 255]."""

    @property
    def mode(self) -> Literal["contain", "tiles"]:
        """How the main picture was given to the graph."""
        return "tiles" if self.grid else "contain"


def input_name(manifest: Manifest, name: str) -> str:
    """The input that `name` means: itself, or the main input for `image` and `file`.

    Raises:
        UnknownInputError: names the inputs there are.
    """
    if manifest.input(name):
        return name
    if name in MAIN_INPUT_ALIASES:
        return manifest.inputs[0].name
    known = [spec.name for spec in manifest.inputs]
    raise UnknownInputError(
        f"'{name[:64]}' is not an input of '{manifest.id}'; its inputs are: {', '.join(known)}.", inputs=known
    )


def checked_parameters(manifest: Manifest, given: Mapping[str, object]) -> dict[str, float]:
    """Every parameter of the model: the given value, checked, or the default.

    Raises:
        BadParameterError: names the parameter, the value and its range.
    """
    known = {parameter.name: parameter for parameter in manifest.parameters}
    for name in given:
        if name not in known:
            listed = f"its parameters are: {', '.join(known)}" if known else "it has none"
            raise BadParameterError(f"'{name[:64]}' is not a parameter of '{manifest.id}'; {listed}.", parameter=name[:64])
    return {
        name: _checked_value(parameter, given[name]) if name in given else parameter.default
        for name, parameter in known.items()
    }


_BOOLEANS = {"true": 1.0, "false": 0.0}


def _checked_value(parameter: Parameter, given: object) -> float:
    value = _number(given)
    is_whole = parameter.kind == "float" or value == int(value if math.isfinite(value) else 0)
    if not is_whole or not parameter.min <= value <= parameter.max:
        raise BadParameterError(
            f"Parameter '{parameter.name}' is {str(given)[:64]!r}; it must be a {parameter.kind} "
            f"from {parameter.min:g} to {parameter.max:g}.",
            parameter=parameter.name,
            range=[parameter.min, parameter.max],
        )
    return value


def _number(given: object) -> float:
    """A number out of JSON or a query; not-a-number for anything else, which no range holds."""
    if isinstance(given, str) and given.lower() in _BOOLEANS:
        return _BOOLEANS[given.lower()]
    try:
        return float(given) if isinstance(given, str | int | float) else math.nan
    except (ValueError, OverflowError):
        return math.nan


def checked_whole(name: str, given: object, low: int, high: int) -> int:
    """A whole number such as a seed or a count.

    Raises:
        BadParameterError: names the parameter, the value and its range.
    """
    value = given if isinstance(given, int) and not isinstance(given, bool) else None
    if isinstance(given, str) and given.isascii() and given.isdigit() and len(given) <= 20:
        value = int(given)
    if value is None or not low <= value <= high:
        raise BadParameterError(
            f"'{name}' is {str(given)[:64]!r}; it must be a whole number from {low} to {high}.",
            parameter=name,
            range=[low, high],
        )
    return value


def prepare(
    manifest: Manifest,
    pictures: Mapping[str, bytes | Picture],
    parameters: Mapping[str, float],
    limits: ImageLimits,
    size: SizeMode = "model",
) -> Prepared:
    """Decodes, checks and fits the pictures of one request.

    Args:
        manifest: Of the model.
        pictures: Files by input name, or pictures that are open already; optional inputs may be left out.
        parameters: Every parameter, checked.
        limits: Of a picture's size.
        size: What will be asked of `finish`; a model that may be run on tiles is, where that is the size that was sent.

    Raises:
        ApiError: what is wrong with the pictures.
    """
    main, tiling = manifest.inputs[0], manifest.output.tiling if size == "original" else None
    check_present(manifest, pictures)
    opened = {
        spec.name: open_input(spec, pictures[spec.name], limits, None if tiling else _enough(manifest, spec))
        for spec in manifest.inputs
        if spec.name in pictures
    }
    first = opened[main.name]
    grid = tile_grid(first.width, first.height, main.size, tiling.overlap) if tiling else None
    fit = grid.fit if grid else fit_into(first.width, first.height, main.size)
    images: dict[str, Pixels] = {}
    snapped: float | None = None
    for spec in manifest.inputs:
        picture = opened.get(spec.name)
        if picture is None:
            images[spec.name] = _blank(spec, fit, grid)
            continue
        own_fit = fit if spec is main and grid is None else _own_fit(spec, picture, fit, grid)
        pixels, off_palette = _pixels(picture, own_fit, spec)
        canvas = _canvas(manifest, spec, pixels, own_fit)
        images[spec.name] = grid.pad(canvas) if grid else canvas
        snapped = off_palette if off_palette is not None and snapped is None else snapped
    luma = np.asarray(to_gray(first.image, 255)) if manifest.output.compose is Compose.CHROMA else None
    paper = manifest.output.line.paper if manifest.output.line and main.kind in _PHOTOS else None
    return Prepared(images, parameters, fit, snapped, luma, grid, paper)


def _canvas(manifest: Manifest, spec: ImageInput, pixels: Pixels, fit: Fit) -> Pixels:
    """Fitted pixels on the graph's canvas. A graph that looks for lines would take the border of a photo on paper for one."""
    is_traced = manifest.output.line is not None and spec.kind in _PHOTOS
    return continued(pixels, fit) if is_traced else on_canvas(pixels, fit, spec.background)


def keeps_size(manifest: Manifest, size: SizeMode) -> bool:
    """Whether `prepare` keeps the main picture at its own size, so that many large ones at a time would fill the memory."""
    return manifest.output.compose is Compose.CHROMA or (manifest.output.tiling is not None and size == "original")


def _own_fit(spec: ImageInput, picture: Picture, main_fit: Fit, grid: TileGrid | None) -> Fit:
    """Where a picture lies that shares the main one's canvas or, before it is continued to fill all tiles, its size."""
    if grid:
        return fit_onto(picture.width, picture.height, main_fit.width, main_fit.height)
    if isinstance(spec.size, Size):
        return fit_into(picture.width, picture.height, spec.size)
    return fit_onto(picture.width, picture.height, main_fit.canvas_width, main_fit.canvas_height)


def check_present(manifest: Manifest, pictures: Mapping[str, object]) -> None:
    """Sees that every picture is there that the model needs.

    Raises:
        MissingInputError: names the first that is not.
    """
    missing = [spec.name for spec in manifest.inputs if not spec.optional and spec.name not in pictures]
    if missing:
        raise MissingInputError(f"'{manifest.id}' needs the input '{missing[0]}'; send a picture by that name.", inputs=missing)


_PHOTOS = (InputKind.PHOTO, InputKind.GRAY)


def open_input(spec: ImageInput, content: bytes | Picture, limits: ImageLimits, enough: int | None) -> Picture:
    """A picture of one input, of a format and with as many channels as its kind takes; `enough` as of `open_image`.

    Raises:
        ApiError: what is wrong with it.
    """
    if isinstance(content, Picture):
        return content
    if spec.kind not in _PHOTOS:
        return open_image(content, limits)
    picture = open_photo(content, limits, enough)
    wanted = 1 if spec.channels in (1, 3) else spec.channels
    if len(picture.bands) != wanted:
        found = f"an array of {len(picture.bands)} channels" if len(picture.bands) > 1 else "a gray or RGB picture"
        asked = f"a NumPy array (height, width, {wanted})" if wanted > 1 else "a gray or RGB picture"
        raise BadImageError(f"Input '{spec.name}' is {found}; send {asked}.")
    return picture


def _enough(manifest: Manifest, spec: ImageInput) -> int | None:
    """A photo that ends at the graph's size need not be decoded at full size; twice as large leaves the filter its choice."""
    if spec.kind is not InputKind.PHOTO or not isinstance(spec.size, Size):
        return None
    return None if manifest.output.compose is Compose.CHROMA else 2 * max(spec.size.height, spec.size.width)


def _blank(spec: ImageInput, fit: Fit, grid: TileGrid | None) -> Pixels:
    own = spec.size if isinstance(spec.size, Size) and grid is None else None
    height, width = (own.height, own.width) if own else (fit.canvas_height, fit.canvas_width)
    blank = np.empty((height, width, spec.channels), np.uint8)
    blank[:] = np.array(spec.background, np.uint8)
    return blank


def _pixels(picture: Picture, fit: Fit, spec: ImageInput) -> tuple[Pixels, float | None]:
    """The fitted pixels of one input by its kind, and for labels the share that was off the palette."""
    image = picture.image
    if spec.kind is InputKind.LINE:
        return line_pixels(picture, fit, spec), None
    if spec.kind is InputKind.HINTS:
        return hint_pixels(to_rgba(image), fit), None
    if spec.kind is InputKind.LABELS:
        labels = label_pixels(image, fit, spec)
        return labels.pixels, labels.snapped_share
    if spec.channels == 3:
        return with_channels(resize(to_rgb(image, spec.background), fit, Image.Resampling.LANCZOS)), None
    bands = [to_gray(image, spec.background[0])] if spec.channels == 1 else picture.bands
    return np.concatenate([with_channels(resize(band, fit, Image.Resampling.LANCZOS)) for band in bands], axis=2), None


def feeds(manifest: Manifest, prepared: Prepared, latent: Array | None) -> dict[str, Array]:
    """The graph's inputs for one image, batch axis included; `latent` is None for a model without."""
    images: dict[str, Array] = {name: pixels[None] for name, pixels in prepared.images.items()}
    return images | _numbers(manifest, prepared, latent)


def _numbers(manifest: Manifest, prepared: Prepared, latent: Array | None) -> dict[str, Array]:
    """The inputs that are no pictures."""
    numbers: dict[str, Array] = {name: np.full((1, 1), value, np.float32) for name, value in prepared.parameters.items()}
    if manifest.latent:
        assert latent is not None
        numbers[manifest.latent.name] = latent[None]
    return numbers


def tile_feeds(manifest: Manifest, prepared: Prepared) -> Iterator[Callable[[Array | None], Feeds]]:
    """Makers of the graph's inputs for each tile of one image, in the grid's order, which cut when they are called.

    Each is to be given the same latent: what tiles make differently would not fit together.
    """
    assert prepared.grid is not None
    for rows, columns in prepared.grid.windows():
        yield functools.partial(_cut_tile, manifest, prepared, rows, columns)


def _cut_tile(manifest: Manifest, prepared: Prepared, rows: slice, columns: slice, latent: Array | None) -> Feeds:
    images: dict[str, Array] = {
        name: np.ascontiguousarray(pixels[None, rows, columns]) for name, pixels in prepared.images.items()
    }
    return images | _numbers(manifest, prepared, latent)


def run(manifest: Manifest, prepared: Prepared, latent: Array | None, session: Session) -> Pixels:
    """The graph's picture, here and now: of the whole, or laid together from tiles."""
    if prepared.grid is None:
        picture: Pixels = session.run(feeds(manifest, prepared, latent))[0]
        return picture
    mosaic = Mosaic(prepared.grid)
    for tile in tile_feeds(manifest, prepared):
        mosaic.lay(session.run(tile(latent))[0])
    return mosaic.picture


def check_tiles(prepared: Prepared, variations: int, most_pixels: int) -> None:
    """Bounds the work that one request may ask for, before it is begun.

    Raises:
        ImageTooLargeError: names the setting.
    """
    if prepared.grid is None or variations * prepared.grid.pixels <= most_pixels:
        return
    tiles, pixels = variations * len(prepared.grid), variations * prepared.grid.pixels
    side = f"{prepared.grid.across.side} x {prepared.grid.down.side}"
    raise ImageTooLargeError(
        f"The picture takes {tiles} tiles of {side} pixels, {pixels} pixels in all, and "
        f"INKWASH_MAX_TILED_PIXELS allows {most_pixels}; send a smaller picture, fewer variations, or ask for size=model.",
        tiles=tiles,
        limit=most_pixels,
    )


def finish(prepared: Prepared, image: Pixels, size: SizeMode) -> Pixels:
    """What the caller gets of the graph's picture: as it is, or cut and scaled to the size that was sent.

    Where only colour is taken from the graph, it is laid under the photo's own luma at the photo's own size.
    """
    if prepared.luma is not None:
        luma, colors = prepared.luma, cut_out(image, prepared.fit)
        if size == "model":
            luma = with_channels(Image.fromarray(luma).resize(colors.shape[1::-1], Image.Resampling.LANCZOS))[:, :, 0]
        return recompose(luma, colors)
    if prepared.grid is not None:
        return cut_out(image, prepared.fit)
    if size == "original":
        return restore_size(image, prepared.fit)
    return image if prepared.paper is None else cleared_around(image, prepared.fit, prepared.paper)


def default_size(manifest: Manifest) -> SizeMode:
    """A colouriser gives a photo back as large as it came; other models give what the graph makes."""
    return "original" if manifest.output.compose is Compose.CHROMA else "model"


def self_test(entry: Entry, session: Session, limits: ImageLimits) -> None:
    """Runs the manifest's golden pair.

    Raises:
        ModelError: a file of the pair is unusable, or the result differs by more than the manifest allows.
    """
    golden = entry.manifest.golden
    if golden is None:
        return
    try:
        pictures = {name: _read(entry, path) for name, path in golden.inputs.items()}
        defaults = {parameter.name: parameter.default for parameter in entry.manifest.parameters}
        prepared = prepare(entry.manifest, pictures, defaults, limits)
        expected = open_image(_read(entry, golden.output), limits).image
    except ApiError as error:
        raise ModelError(f"the golden pair cannot be used: {error.detail}") from None
    image = session.run(feeds(entry.manifest, prepared, seed_latent(entry.manifest, golden.seed)))[0]
    wanted = with_channels(expected.convert("L" if image.shape[2] == 1 else "RGB"))
    if wanted.shape != image.shape:
        raise ModelError(f"the golden output is {wanted.shape}, but the graph gives {image.shape}.")
    difference = float(np.abs(wanted.astype(np.float32) - image).mean())
    if difference > golden.tolerance:
        raise ModelError(
            f"the self-test failed: the golden output differs by {difference:.2f} steps of uint8 on average and "
            f"{golden.tolerance:g} are allowed; the graph or the runtime does not do what it did at export."
        )


def _read(entry: Entry, relative: str) -> bytes:
    path = entry.file(relative)
    if path is None:
        raise ModelError(f"'{relative}' is missing from the model's folder.")
    return path.read_bytes()


def load_session(entry: Entry, options: SessionOptions, limits: ImageLimits) -> OrtSession:
    """Opens, checks, warms up and self-tests a model.

    Raises:
        ModelError: says what is wrong with it.
    """
    main, output = entry.manifest.inputs[0], entry.manifest.output
    if output.compose is Compose.CHROMA and main.channels not in (1, 3):
        raise ModelError(f"input '{main.name}' has {main.channels} channels; output.compose chroma needs the luma of 1 or 3.")
    session = OrtSession(entry, options)
    session.warm_up()
    self_test(entry, session, limits)
    return session

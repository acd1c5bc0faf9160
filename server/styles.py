"""Pictures whose style is wanted: read, fitted, and turned into the latent that stands for them.

A style is sent again with each live frame, so that the latents of the last ones are kept.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from server.errors import BadImageError, ImageTooLargeError, ModelFailedError, UnknownInputError
from server.imaging import ImageLimits, Pixels, cover, fit_into, to_rgb, with_channels
from server.latents import Mix, made_latent
from server.manifest import STYLE_NAME, ImageInput, Manifest, Size
from server.session import Array, Session
from server.translator import input_name, open_input

log = logging.getLogger(__name__)

CACHE_BYTES = 4 * 2**20
"""Of latents that are kept: more than a hundred of eight thousand numbers."""

RETRY_SECONDS = 5

Key = tuple[str, str]
"""Digests of the encoder and of the picture's file."""


@dataclass(frozen=True)
class Style:
    """A picture as its encoder wants it, or, where that is known already, its latent."""

    key: Key
    known: Array | None = None
    pixels: Pixels | None = None


class Styles:
    """The latents of styles, the last ones kept. For use by several threads."""

    def __init__(self, most_bytes: int = CACHE_BYTES) -> None:
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._latents: OrderedDict[Key, Array] = OrderedDict()
        self._bytes = 0

    def open(self, manifest: Manifest, content: bytes, limits: ImageLimits) -> Style:
        """Decodes and fits a style, unless its latent is known.

        Raises:
            ApiError: what is wrong with the picture.
        """
        assert manifest.encode is not None
        key = (manifest.encode.sha256, hashlib.sha256(content).hexdigest())
        with self._lock:
            known = self._latents.get(key)
            if known is not None:
                self._latents.move_to_end(key)
        return Style(key, known) if known is not None else Style(key, pixels=fitted(manifest.encode.input, content, limits))

    def open_wanted(self, manifest: Manifest, content: bytes | None, mix: Mix | None, limits: ImageLimits) -> Style | None:
        """The style of a request; None where it has none, and where its weight is 0.

        Raises:
            ApiError: what is wrong with the picture.
        """
        return self.open(manifest, content, limits) if content is not None and mix and mix.has_style else None

    def latent(self, style: Style, session: Session) -> Array:
        """The latent of a style, of its model's own session; to be called in the thread that owns it.

        Raises:
            ModelFailedError: the encoder failed on this picture. BadImageError: what it made of the picture is no latent.
        """
        if style.known is not None:
            return style.known
        assert style.pixels is not None
        latent = _encoded(style.pixels, session)
        self._keep(style.key, latent)
        return latent

    def _keep(self, key: Key, latent: Array) -> None:
        with self._lock:
            if key in self._latents:
                return
            self._latents[key] = latent
            self._bytes += latent.nbytes
            while self._bytes > self._most_bytes:
                self._bytes -= self._latents.popitem(last=False)[1].nbytes


def _encoded(pixels: Pixels, session: Session) -> Array:
    try:
        latent: Array = session.encode(pixels[None])[0]
    except Exception as fault:  # whatever a runtime or driver raises
        log.exception("encoding a style failed")
        text = "The style could not be encoded; the server's log says why."
        raise ModelFailedError(text, retry_after=RETRY_SECONDS) from fault
    if not np.isfinite(latent).all():
        # The same picture gives the same latent: a 503 would have a live client send it for ever.
        raise BadImageError(f"'{STYLE_NAME}' cannot be used: its latent is not finite; send another picture.")
    return latent


def fitted(spec: ImageInput, content: bytes, limits: ImageLimits) -> Pixels:
    """A style `(H, W, 3)` that fills its input: background would be taken for a part of the style, so what is over is cut off.

    Raises:
        ApiError: what is wrong with the picture, which is named, as it is not the only one of its request.
    """
    longest = max(spec.size.height, spec.size.width) if isinstance(spec.size, Size) else spec.size.largest
    try:
        picture = open_input(spec, content, limits, 2 * longest)
    except (BadImageError, ImageTooLargeError) as error:
        told = type(error)(f"'{STYLE_NAME}' cannot be used. {error.detail}")
        told.members.update(error.members)
        raise told from None
    fit = fit_into(picture.width, picture.height, spec.size)
    return with_channels(cover(to_rgb(picture.image, spec.background), fit.canvas_width, fit.canvas_height))


class LatentSource:
    """What the latent of one picture is made of. It is made at the picture's turn, once, also where several runs need it."""

    def __init__(self, manifest: Manifest, seed: int, mix: Mix | None, style: Style | None, styles: Styles) -> None:
        self._manifest = manifest
        self._seed = seed
        self._mix = mix
        self._style = style
        self._styles = styles
        self._made: tuple[Array | None] | None = None
        self.style_ms = 0.0

    def latent(self, session: Session) -> Array | None:
        """In the thread that owns the session; None for a model without latent.

        Raises:
            ApiError: the style could not be encoded.
        """
        if self._made is None:
            started = time.perf_counter()
            style = self._styles.latent(self._style, session) if self._style else None
            self.style_ms = (time.perf_counter() - started) * 1000 if self._style else 0.0
            self._made = (made_latent(self._manifest, self._seed, self._mix, style),)
        return self._made[0]


def picture_name(manifest: Manifest, name: str) -> str:
    """The input that `name` means, or the style.

    Raises:
        UnknownInputError: names the inputs there are, or says that the model takes no style.
    """
    if name != STYLE_NAME:
        return input_name(manifest, name)
    if manifest.encode is None:
        raise UnknownInputError(
            f"'{manifest.id}' takes no styles, as its manifest declares no encode; leave the picture '{STYLE_NAME}' out.",
            inputs=[spec.name for spec in manifest.inputs],
        )
    return STYLE_NAME

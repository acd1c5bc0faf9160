"""From a photo to lines that a model draws from: which model of the catalogue traces, and what it is given and gives.

It runs no graph: those who call it have queues, or none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from PIL import Image

from server.catalog import Catalog, Entry
from server.errors import BadParameterError, ConfigurationError, NoTracerError
from server.imaging import ImageLimits, Picture, Pixels, fit_into, resize, to_gray, to_rgb
from server.manifest import InputKind, Manifest, Size
from server.translator import Prepared, checked_parameters, finish, open_input, prepare

PHOTO = "photo"
"""The one thing besides lines that a drawing may be made from."""

PREFIX = "trace."
"""What names of the tracer's parameters begin with in a request; no parameter of a model can have a dot."""


@dataclass(frozen=True)
class Trace:
    """What a photo is traced with before a model gets its lines.

    `parameters` are all of the tracer's, checked. `line_width_px` is the width that lines are to have in the model's pixels;
    None where the tracer has no parameter for it, or the caller has set it.
    """

    tracer: Manifest
    parameters: Mapping[str, float]
    line_width_px: float | None


@dataclass(frozen=True)
class TraceInput:
    """A photo as the tracer wants it, and its own size, pixels."""

    prepared: Prepared
    width: int
    height: int


def is_tracer(manifest: Manifest) -> bool:
    """Whether a model turns one photo, and nothing else, into lines."""
    main = manifest.inputs[0]
    is_of_photo = main.kind is InputKind.PHOTO and main.channels in (1, 3)
    return manifest.output.line is not None and is_of_photo and len(manifest.inputs) == 1


def choose_tracer(catalog: Catalog, wanted: str | None) -> Entry | None:
    """The tracer that is wanted by its id, else the first by id; None where there is none.

    Raises:
        ConfigurationError: the model that is wanted does not trace, or is not there; one whose folder is broken is missing.
    """
    tracers = {entry.id: entry for entry in catalog if is_tracer(entry.manifest)}
    if not wanted:
        return tracers[min(tracers)] if tracers else None
    if wanted not in tracers and wanted not in {broken.id for broken in catalog.broken}:
        listed = ", ".join(sorted(tracers)) or "none"
        raise ConfigurationError(
            f"INKWASH_TRACER is '{wanted}', which is no model that turns a photo into lines; there are: {listed}."
        )
    return tracers.get(wanted)


def checked_trace(model: Manifest, tracer: Manifest | None, source: object, given: Mapping[str, object]) -> Trace:
    """What is asked of the tracer, by the value of `from` and the tracer's parameters without their prefix.

    Raises:
        BadParameterError: the source is unknown, the model draws from something else than lines, or a parameter is not valid.
        NoTracerError: as named.
    """
    main = model.inputs[0]
    if source != PHOTO:
        raise BadParameterError(f"'from' is '{str(source)[:64]}'; it must be {PHOTO}.", parameter="from", range=[PHOTO])
    if main.kind is not InputKind.LINE:
        raise BadParameterError(
            f"'from' is for models that draw from lines, and the main input '{main.name}' of '{model.id}' is of kind "
            f"{main.kind}; leave 'from' out.",
            parameter="from",
        )
    if tracer is None:
        raise NoTracerError(
            f"No model here turns a photo into lines for '{model.id}'; send line art without 'from', or serve a model whose "
            "manifest declares output.line."
        )
    return Trace(tracer, _checked(tracer, given), None if _width_name(tracer) in (None, *given) else main.line_width_px)


def _checked(tracer: Manifest, given: Mapping[str, object]) -> dict[str, float]:
    try:
        return checked_parameters(tracer, given)
    except BadParameterError as error:
        name = f"{PREFIX}{error.members['parameter']}"
        told = BadParameterError(f"'{name}' cannot be used. {error.detail}")
        told.members.update(error.members, parameter=name)
        raise told from None


def _width_name(tracer: Manifest) -> str | None:
    return tracer.output.line.width_parameter if tracer.output.line else None


def prepare_trace(trace: Trace, model: Manifest, photo: bytes, limits: ImageLimits) -> TraceInput:
    """Decodes a photo and fits it for the tracer, as large as the model will have it.

    Lines are found at the model's own scale, because there the model learned what is worth a line.

    Raises:
        ApiError: what is wrong with the photo.
    """
    spec = trace.tracer.inputs[0]
    size = model.inputs[0].size
    longest = max(size.height, size.width) if isinstance(size, Size) else size.largest
    picture = open_input(spec, photo, limits, 2 * longest)
    fit = fit_into(picture.width, picture.height, size)
    image = to_rgb(picture.image, spec.background) if spec.channels == 3 else to_gray(picture.image, spec.background[0])
    small = Picture((resize(image, fit, Image.Resampling.LANCZOS),), fit.width, fit.height)
    scale = fit_into(fit.width, fit.height, spec.size).scale
    parameters = _with_width(trace, scale)
    return TraceInput(prepare(trace.tracer, {spec.name: small}, parameters, limits), picture.width, picture.height)


def _with_width(trace: Trace, scale: float) -> Mapping[str, float]:
    """The tracer's parameters with the width in its own pixels, `scale` of which are one of the model's."""
    name = _width_name(trace.tracer)
    found = trace.tracer.parameter(name) if name else None
    if found is None or trace.line_width_px is None:
        return trace.parameters
    width = min(found.max, max(found.min, trace.line_width_px * scale))
    return {**trace.parameters, found.name: float(round(width)) if found.kind == "int" else width}


def traced_lines(trace: Trace, given: TraceInput, image: Pixels) -> Picture:
    """The tracer's picture as the model's main input: fitted already, and of a photo of the photo's own size."""
    assert trace.tracer.output.line is not None
    lines = finish(given.prepared, image, "original")
    return Picture((Image.fromarray(lines[:, :, 0]),), given.width, given.height, trace.tracer.output.line.ink)

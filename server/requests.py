"""Reads a translation request in any of its three forms into one shape. It decodes no picture."""

from __future__ import annotations

import asyncio
import base64
import binascii
import dataclasses
import json
import re
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from pydantic import ValidationError
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from server.errors import (
    BadParameterError,
    BadRequestError,
    BodyTooLargeError,
    NotAcceptableError,
    UnknownInputError,
    UnsupportedMediaTypeError,
)
from server.imaging import MEDIA_TYPES, PHOTO_TYPES
from server.latents import SEED_LIMIT, Mix, checked_mix, joined_with_style
from server.manifest import STYLE_NAME, Manifest
from server.negotiation import choose_media_type
from server.schemas import TranslateBody
from server.styles import picture_name
from server.tracing import PHOTO, PREFIX, Trace, checked_trace
from server.translator import (
    MAX_VARIATIONS,
    SizeMode,
    checked_parameters,
    checked_whole,
    default_size,
)

JSON_TYPE = "application/json"
MULTIPART_TYPE = "multipart/form-data"
RAW_TYPES = (*MEDIA_TYPES, *PHOTO_TYPES, "image/jpg", "application/octet-stream", "")
"""Bodies that are the main input itself; `curl -T` sends no type, and the bytes tell the format anyway."""

OFFERED = (*MEDIA_TYPES, JSON_TYPE)
FORMATS = {"png": "image/png", "jpeg": "image/jpeg", "jpg": "image/jpeg", "webp": "image/webp", "json": JSON_TYPE}
MAX_FIELD_BYTES = 4096
_DATA_URL = re.compile(r"data:[\w.+-]*/?[\w.+-]*(;[\w=.+-]+)*;base64,", re.ASCII)


@dataclass(frozen=True)
class BodyLimits:
    """Of a request's body: bytes in all, seconds until its next part must come, and seconds for the whole."""

    max_bytes: int
    timeout_seconds: float
    deadline_seconds: float


Offload = Callable[..., Awaitable[Any]]
"""Runs a function with its arguments in a pool and gives its result: `Engine.offload`."""


@dataclass
class _Given:
    """What a request says, before it is checked."""

    pictures: dict[str, bytes] = field(default_factory=dict)
    values: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class TranslateCall:
    """A translation request, checked but for its pictures."""

    pictures: Mapping[str, bytes]
    parameters: Mapping[str, float]
    seeds: tuple[int, ...]
    media_type: str
    size: SizeMode
    trace: Trace | None = None
    mix: Mix | None = None
    style: bytes | None = None


@dataclass(frozen=True)
class Models:
    """Whom a request is for: a model, and the one that makes lines of photos for it, if there is one."""

    model: Manifest
    tracer: Manifest | None


async def read_call(request: Request, models: Models, limits: BodyLimits, offload: Offload) -> TranslateCall:
    """Reads query and body. Bodies that have to be taken apart are so in the pool: megabytes would hold up every other caller.

    Raises:
        ApiError: what is wrong with them. What the headers and the query already tell is refused before the body is read.
    """
    content_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    query = dict(request.query_params)
    media_type = _wanted_type(request.headers.get("accept"), query.pop("format", None))
    size = _size_mode(query.pop("size", None), models.model)
    if content_type not in (*RAW_TYPES, JSON_TYPE, MULTIPART_TYPE):
        accepted = ", ".join((*MEDIA_TYPES, *PHOTO_TYPES, MULTIPART_TYPE))
        raise UnsupportedMediaTypeError(f"The content type is '{content_type[:80]}'; send {accepted} or {JSON_TYPE}.")
    _finish_call({}, query if "from" in query else _without_trace(query), models, media_type, size)
    given = await _read_given(request, content_type, models, limits, offload)
    return _with_style(_finish_call(given.pictures, {**query, **given.values}, models, media_type, size))


def _with_style(call: TranslateCall) -> TranslateCall:
    """Sees that mix and style go together, which only a whole request tells."""
    pictures = dict(call.pictures)
    style = pictures.pop(STYLE_NAME, None)
    mix = joined_with_style(call.mix, style is not None)
    count = len(call.seeds)
    if style is not None and count > 1:
        raise BadParameterError(
            f"'{STYLE_NAME}' makes one latent, and 'n' is {count}; leave one of them out.", parameter=STYLE_NAME
        )
    return dataclasses.replace(call, pictures=pictures, mix=mix, style=style)


def _finish_call(
    pictures: Mapping[str, bytes], values: Mapping[str, object], models: Models, media_type: str, size: SizeMode
) -> TranslateCall:
    parameters = _without_trace(values)
    _refuse_style_value(parameters)
    trace = _trace(parameters.pop("from", None), values, models)
    count = checked_whole("n", parameters.pop("n", 1), 1, MAX_VARIATIONS)
    given_seed = parameters.pop("seed", None)
    seed = secrets.randbelow(SEED_LIMIT) if given_seed is None else checked_whole("seed", given_seed, 0, SEED_LIMIT - 1)
    seeds = tuple((seed + offset) % SEED_LIMIT for offset in range(count))
    mix = _mix(parameters.pop("mix", None), models.model, count)
    return TranslateCall(pictures, checked_parameters(models.model, parameters), seeds, media_type, size, trace, mix)


def _refuse_style_value(values: Mapping[str, object]) -> None:
    if STYLE_NAME in values:
        raise BadParameterError(
            f"'{STYLE_NAME}' is a picture and no text; send it as a file of a form, or in JSON as base64.", parameter=STYLE_NAME
        )


def _mix(given: object, manifest: Manifest, count: int) -> Mix | None:
    if given is None:
        return None
    mix = checked_mix(manifest, given)
    if count > 1:
        raise BadParameterError(f"'mix' is {mix}, one latent, and 'n' is {count}; leave one of them out.", parameter="mix")
    return mix


def _without_trace(values: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in values.items() if not name.startswith(PREFIX)}


def _trace(source: object, values: Mapping[str, object], models: Models) -> Trace | None:
    given = {name.removeprefix(PREFIX): value for name, value in values.items() if name.startswith(PREFIX)}
    if source is not None:
        return checked_trace(models.model, models.tracer, source, given)
    if given:
        name = f"{PREFIX}{next(iter(given))[:64]}"
        raise BadParameterError(f"'{name}' is for photos that are traced; ask for from={PHOTO} too.", parameter=name)
    return None


def _wanted_type(accept: str | None, format_name: str | None) -> str:
    if format_name is not None:
        if format_name not in FORMATS:
            raise BadParameterError(
                f"'format' is '{format_name[:64]}'; it must be png, jpeg, webp or json.",
                parameter="format",
                range=list(FORMATS),
            )
        return FORMATS[format_name]
    chosen = choose_media_type(accept, OFFERED)
    if chosen is None:
        raise NotAcceptableError(
            f"Accept is '{str(accept)[:200]}'; the server makes {', '.join(OFFERED)}.", offered=list(OFFERED)
        )
    return chosen


def _size_mode(given: str | None, manifest: Manifest) -> SizeMode:
    if given is None:
        return default_size(manifest)
    if given not in ("model", "original"):
        raise BadParameterError(
            f"'size' is '{given[:64]}'; it must be model or original.", parameter="size", range=["model", "original"]
        )
    return cast(SizeMode, given)


async def _read_given(request: Request, content_type: str, models: Models, limits: BodyLimits, offload: Offload) -> _Given:
    body = await read_body(request, limits)
    given = _Given({models.model.inputs[0].name: body})
    if content_type == JSON_TYPE:
        given = await offload(_from_json, body, models.model)
    elif content_type == MULTIPART_TYPE:
        given = await offload(_from_multipart, request.headers, body, models)
    return given


async def read_body(request: Request, limits: BodyLimits) -> bytes:
    """The whole body, refused as soon as it is known to be too large, and when it stops coming or comes too slowly."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limits.max_bytes:
        raise BodyTooLargeError(_too_large(limits), limit=limits.max_bytes)
    parts: list[bytes] = []
    length = 0
    stream, clock = request.stream(), asyncio.get_running_loop().time
    deadline = clock() + limits.deadline_seconds
    while True:
        try:
            async with asyncio.timeout_at(min(deadline, clock() + limits.timeout_seconds)):
                part = await anext(stream, None)
        except TimeoutError:
            raise BadRequestError(_too_slow(limits, clock() >= deadline)) from None
        except ClientDisconnect:
            raise BadRequestError("The connection was closed before the body was complete.") from None
        if part is None:
            return b"".join(parts)
        length += len(part)
        if length > limits.max_bytes:
            raise BodyTooLargeError(_too_large(limits), limit=limits.max_bytes)
        parts.append(part)


def _too_slow(limits: BodyLimits, is_past_deadline: bool) -> str:
    if is_past_deadline:
        return (
            f"The body did not arrive within {limits.deadline_seconds:g} seconds; send a smaller or better compressed picture."
        )
    return f"The body stopped coming for {limits.timeout_seconds:g} seconds; send it again."


def _too_large(limits: BodyLimits) -> str:
    return f"The body is larger than {limits.max_bytes} bytes; send a smaller or better compressed picture."


def _from_json(body: bytes, manifest: Manifest) -> _Given:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequestError(f"The body is not JSON: {str(error)[:120]}.") from None
    try:
        call = TranslateBody.model_validate(document)
    except ValidationError as error:
        raise _json_error(error) from None
    values: dict[str, object] = dict(call.params)
    values |= {f"{PREFIX}{name}": value for name, value in call.trace.items()}
    values |= {name: getattr(call, name) for name in ("seed", "n", "mix") if name in call.model_fields_set}
    values |= {"from": call.from_}
    given = _Given(values={name: value for name, value in values.items() if value is not None})
    texts = [(name, text) for name, text in (("image", call.image), (STYLE_NAME, call.style)) if text is not None]
    for name, text in [*texts, *call.inputs.items()]:
        _add_picture(given, manifest, name, _decoded(name, text))
    return given


def _json_error(error: ValidationError) -> BadRequestError | BadParameterError:
    first = error.errors()[0]
    path = ".".join(str(part) for part in first["loc"])[:80]
    if first["loc"] and first["loc"][0] in ("seed", "n", "params", "from", "trace"):
        name = str(first["loc"][1] if first["loc"][0] == "params" and len(first["loc"]) > 1 else first["loc"][0])[:64]
        return BadParameterError(f"'{path}' in the body: {first['msg']}.", parameter=name)
    return BadRequestError(f"'{path or 'body'}' in the body: {first['msg']}; docs/protocol.md shows the form.")


def _decoded(name: str, text: str) -> bytes:
    """Base64, with or without a data URL's head. Other URLs are never fetched."""
    head = _DATA_URL.match(text[:200])
    try:
        return base64.b64decode(text[head.end() :] if head else text, validate=True)
    except (binascii.Error, ValueError):
        raise BadRequestError(f"'{name[:64]}' is not base64 or a base64 data URL; addresses are not fetched.") from None


def _from_multipart(headers: Headers, body: bytes, models: Models) -> _Given:
    """The parser is asynchronous in form only, as the body is at hand: a loop of the thread's own drives it to its end."""
    return asyncio.run(_parse_multipart(headers, body, models))


async def _parse_multipart(headers: Headers, body: bytes, models: Models) -> _Given:
    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    manifest, tracer = models.model, models.tracer
    expected = len(manifest.inputs) + len(manifest.parameters) + (len(tracer.parameters) if tracer else 0) + 4
    parser = MultiPartParser(
        headers, stream(), max_files=len(manifest.inputs) + 1, max_fields=expected, max_part_size=MAX_FIELD_BYTES
    )
    parser.spool_max_size = len(body) + 1  # pictures stay in memory: nothing that people draw is written to a disk
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError) as error:
        raise BadRequestError(f"The body is not multipart/form-data as declared: {str(error)[:120]}.") from None
    given = _Given()
    try:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                _add_picture(given, manifest, name, await value.read())
            else:
                given.values[name] = value
    finally:
        await form.close()
    return given


def _add_picture(given: _Given, manifest: Manifest, name: str, content: bytes) -> None:
    resolved = picture_name(manifest, name)
    if resolved in given.pictures:
        raise UnknownInputError(f"The input '{resolved}' was sent twice; send each input once.", inputs=[resolved])
    given.pictures[resolved] = content

"""The HTTP API and the handshake of the live socket. Each route checks, asks a part of the service, and shapes its answer."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response, WebSocket

from server.catalog import CARD_FILE, ENCODE_FILE, PREVIEW_FILE, Entry
from server.errors import ERRORS, ApiError, NotFoundError, UnknownSampleError
from server.files import FileStore, matches
from server.imaging import contact_sheet, encode
from server.manifest import Manifest
from server.metrics import CONTENT_TYPE
from server.problems import problem_response
from server.requests import JSON_TYPE, BodyLimits, Models, TranslateCall, read_call
from server.schemas import FitBody, ModelList, Problem, Readiness, TranslateAnswer, TranslateBody, TranslatedImage
from server.schemas import problem_response as problem_schema
from server.service import Service, address_of, request_service, service_of, socket_service
from server.settings import Settings
from server.tracing import PHOTO
from server.translation import Translation, run_call

ServiceOf = Annotated[Service, Depends(request_service)]

EXPOSED_HEADERS = (
    "X-Model", "X-Seed", "X-Mix", "X-Request-ID", "X-Fit", "X-Palette-Snapped", "X-Traced-By", "Server-Timing",
    "Retry-After",
)  # fmt: skip
CLIENT_CLOSED_REQUEST = 499
"""Nobody reads it; it is what the log and the metrics show for a caller who went away."""

IMMUTABLE = "public, max-age=31536000, immutable"

router = APIRouter()


Responses = dict[int | str, dict[str, Any]]


def _errors(*codes: str) -> Responses:
    """OpenAPI's entries for errors, by their codes."""
    rows = [row for row in ERRORS.values() if row.code in codes]
    statuses = sorted({row.status for row in rows})
    return {status: problem_schema(", ".join(f"`{row.code}`" for row in rows if row.status == status)) for status in statuses}


_TRANSLATE_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "image/png": {"schema": {"type": "string", "format": "binary"}},
            "image/jpeg": {"schema": {"type": "string", "format": "binary"}},
            "image/webp": {"schema": {"type": "string", "format": "binary"}},
            "image/tiff": {"schema": {"type": "string", "format": "binary"}},
            "application/x-npy": {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "image": {"type": "string", "format": "binary", "description": "The main input."},
                        "style": {"type": "string", "format": "binary", "description": "For models with `encode`: a style."},
                    },
                    "additionalProperties": True,
                }
            },
            "application/json": {"schema": {"$ref": "#/components/schemas/TranslateBody"}},
        },
    },
    "parameters": [
        {"name": "seed", "in": "query", "schema": {"type": "integer", "minimum": 0, "maximum": 2**32 - 1}},
        {
            "name": "mix",
            "in": "query",
            "description": "In place of the seed's latent several mixed: up to 16 terms, seeds or `style`: 7:0.6,style:0.4.",
            "schema": {"type": "string"},
        },
        {"name": "n", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 16, "default": 1}},
        {"name": "format", "in": "query", "schema": {"type": "string", "enum": ["png", "jpeg", "webp", "json"]}},
        {"name": "size", "in": "query", "schema": {"type": "string", "enum": ["model", "original"]}},
        {
            "name": "from",
            "in": "query",
            "description": "The main input is a photo, and its lines are what the model draws from.",
            "schema": {"type": "string", "enum": [PHOTO]},
        },
    ],
}
_PICTURE: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}


@router.post(
    "/translate/{model}",
    tags=["translate"],
    summary="Translate a picture",
    response_class=Response,
    responses={
        200: {
            "description": "The picture, or a contact sheet for n > 1; JSON has them one by one.",
            "content": {
                "image/png": _PICTURE,
                "image/jpeg": _PICTURE,
                "image/webp": _PICTURE,
                "application/json": {"schema": {"$ref": "#/components/schemas/TranslateAnswer"}},
            },
        },
        **_errors(
            "bad_request", "bad_image", "origin_refused", "unknown_model", "not_acceptable", "body_too_large",
            "image_too_large", "unsupported_media_type", "bad_parameter", "missing_input", "unknown_input", "off_palette",
            "no_tracer", "queue_full", "model_failed", "shutting_down", "timeout", "internal",
        ),
    },
    openapi_extra=_TRANSLATE_BODY,
)  # fmt: skip
async def translate(model: str, request: Request) -> Response:
    """Sends a picture through a model. Each parameter of the model is a query parameter or form field of its name as well.

    With `from=photo` a model that draws from lines takes a photo, which another model traces first; that one's parameters are
    `trace.` and their name.
    """
    service = service_of(request)  # here, as a dependency costs a tenth of a millisecond
    service.check_origin(request)
    entry, client = service.catalog[model], f"http:{address_of(request)}"
    models = Models(entry.manifest, service.tracer.manifest if service.tracer else None)
    with service.engine.admit(entry.id, client):  # from before its body is read: bodies in memory are bounded as well
        call = await read_call(request, models, _body_limits(service.settings), service.engine.offload)
        return await _unless_gone(request, _answer(service, entry.manifest, call, client))


def _body_limits(settings: Settings) -> BodyLimits:
    return BodyLimits(settings.max_upload_bytes, settings.body_timeout_seconds, settings.body_deadline_seconds)


async def _unless_gone(request: Request, work: Coroutine[Any, Any, Response]) -> Response:
    """Does the work while the caller is there; when it leaves, what still waits is taken out of the queue."""
    task, watcher = asyncio.create_task(work), asyncio.create_task(_disconnected(request))
    try:
        await asyncio.wait({task, watcher}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else Response(status_code=CLIENT_CLOSED_REQUEST)
    finally:
        watcher.cancel()
        if not task.done():
            task.cancel()
            await asyncio.wait({task})


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _answer(service: Service, manifest: Manifest, call: TranslateCall, client: str) -> Response:
    async with contextlib.AsyncExitStack() as held:  # until the answer is encoded: its parts are in memory as well
        translation = await run_call(service, manifest, call, client, held)
        build = _json_answer if call.media_type == JSON_TYPE else _picture_answer
        response, timings = await service.engine.offload(build, manifest, translation)
    service.metrics.observe_stages(manifest.id, timings)
    return response


def _picture_answer(manifest: Manifest, translation: Translation) -> tuple[Response, dict[str, float]]:
    started = time.perf_counter()
    pictures = translation.pictures()
    content = encode(pictures[0] if len(pictures) == 1 else contact_sheet(pictures), translation.call.media_type)
    timings = translation.timings((time.perf_counter() - started) * 1000)
    return Response(content, 200, _headers(manifest, translation, timings), translation.call.media_type), timings


def _json_answer(manifest: Manifest, translation: Translation) -> tuple[Response, dict[str, float]]:
    started = time.perf_counter()
    pictures = translation.pictures()
    encoded = [base64.b64encode(encode(picture, "image/png")).decode() for picture in pictures]
    timings = translation.timings((time.perf_counter() - started) * 1000)
    answer = TranslateAnswer(
        model=manifest.id,
        images=[
            TranslatedImage(image=f"data:image/png;base64,{text}", seed=seed)
            for text, seed in zip(encoded, translation.seeds, strict=True)
        ],
        width=pictures[0].shape[1],
        height=pictures[0].shape[0],
        fit=FitBody(
            mode=translation.prepared.mode, scale=round(translation.prepared.fit.scale, 6), box=translation.prepared.fit.box
        ),
        palette_snapped=translation.prepared.palette_snapped,
        mix=translation.mix,
        traced_by=translation.traced_by,
        timings=timings,
    )
    return Response(answer.model_dump_json(), 200, _headers(manifest, translation, timings), JSON_TYPE), timings


def _headers(manifest: Manifest, translation: Translation, timings: dict[str, float]) -> dict[str, str]:
    fit, snapped = translation.prepared.fit, translation.prepared.palette_snapped
    headers = {
        "X-Model": manifest.id,
        "X-Seed": str(translation.seeds[0]),
        "X-Fit": f"{translation.prepared.mode}; scale={fit.scale:.6g}; box={','.join(str(edge) for edge in fit.box)}",
        "Server-Timing": ", ".join(f"{stage};dur={value:g}" for stage, value in timings.items()),
        "Cache-Control": "no-store",
        "Vary": "Accept",
    }
    if translation.mix:
        headers["X-Mix"] = translation.mix
    if snapped is not None:
        headers["X-Palette-Snapped"] = f"{snapped:g}"
    if translation.traced_by:
        headers["X-Traced-By"] = translation.traced_by
    return headers


@router.get("/models", tags=["models"], summary="List the models")
async def list_models(service: ServiceOf) -> ModelList:
    """Every model with its state, the device in use, and the folders that cannot be served with the reason."""
    return service.model_list()


@router.get("/models/{model}", tags=["models"], summary="Read a manifest", responses=_errors("unknown_model"))
async def read_manifest(model: str, service: ServiceOf) -> Manifest:
    """What the model takes and gives, how it was trained, and how good it is."""
    return service.catalog[model].manifest


_IMAGE_ANSWER: Responses = {200: {"description": "A picture.", "content": {"image/png": _PICTURE}}}
_CARD_ANSWER: Responses = {200: {"description": "Markdown.", "content": {"text/markdown": {"schema": {"type": "string"}}}}}
_GRAPH_ANSWER: Responses = {200: {"description": "ONNX.", "content": {"application/octet-stream": _PICTURE}}}


@router.get(
    "/models/{model}/preview",
    tags=["models"],
    summary="See what a model makes",
    response_class=Response,
    responses=_IMAGE_ANSWER | _errors("unknown_model", "unknown_sample"),
)
async def read_preview(model: str, request: Request, service: ServiceOf) -> Response:
    """`preview.png`, or the first sample's result where there is none."""
    entry = service.catalog[model]
    if entry.file(PREVIEW_FILE):
        return _file(request, entry, PREVIEW_FILE)
    return _file(request, entry, entry.manifest.samples[0].output if entry.manifest.samples else PREVIEW_FILE)


@router.get(
    "/models/{model}/samples/{number}",
    tags=["models"],
    summary="See an example",
    response_class=Response,
    responses=_IMAGE_ANSWER | _errors("unknown_model", "unknown_sample", "bad_parameter"),
)
async def read_sample(
    model: str,
    number: int,
    request: Request,
    service: ServiceOf,
    part: Annotated[str | None, Query(description="An input's name; the result when absent.")] = None,
) -> Response:
    """The result of example `number` (from 0), or one of its inputs."""
    entry = service.catalog[model]
    samples = entry.manifest.samples
    if not 0 <= number < len(samples):
        raise UnknownSampleError(f"'{entry.id}' has {len(samples)} samples, counted from 0; there is no {number}.")
    sample = samples[number]
    path = sample.output if part is None else sample.inputs.get(part)
    if path is None:
        parts = ", ".join(sample.inputs)
        raise UnknownSampleError(f"Sample {number} of '{entry.id}' has no part '{str(part)[:64]}'; its parts are: {parts}.")
    return _file(request, entry, path)


@router.get(
    "/models/{model}/card",
    tags=["models"],
    summary="Read the model card",
    response_class=Response,
    responses=_CARD_ANSWER | _errors("unknown_model", "unknown_sample"),
)
async def read_card(model: str, request: Request, service: ServiceOf) -> Response:
    """What the model learned from, and what it does badly."""
    return _file(request, service.catalog[model], CARD_FILE)


@router.get(
    "/models/{model}/model.onnx",
    tags=["models"],
    summary="Download the graph",
    response_class=Response,
    responses=_GRAPH_ANSWER | _errors("unknown_model"),
)
async def read_graph(
    model: str,
    request: Request,
    service: ServiceOf,
    sha256: Annotated[str | None, Query(description="The manifest's; makes the answer immutable to caches.")] = None,
) -> Response:
    """The file itself; its ETag is its sha256."""
    entry = service.catalog[model]
    return await _graph(service, request, entry.graph, entry.manifest.sha256, sha256)


@router.get(
    "/models/{model}/encode.onnx",
    tags=["models"],
    summary="Download the graph that encodes styles",
    response_class=Response,
    responses=_GRAPH_ANSWER | _errors("unknown_model", "not_found"),
)
async def read_encoder(
    model: str,
    request: Request,
    service: ServiceOf,
    sha256: Annotated[str | None, Query(description="That of `encode` in the manifest; as of model.onnx.")] = None,
) -> Response:
    """For models whose manifest has `encode`: the graph from a picture to a latent."""
    entry = service.catalog[model]
    if entry.encoder is None or entry.manifest.encode is None:
        raise NotFoundError(f"'{entry.id}' takes no styles, so that there is no {ENCODE_FILE}; its graph is model.onnx.")
    return await _graph(service, request, entry.encoder, entry.manifest.encode.sha256, sha256)


async def _graph(service: Service, request: Request, path: Path, sha256: str, asked: str | None) -> Response:
    etag = f'"{sha256}"'
    headers = {"ETag": etag, "Cache-Control": IMMUTABLE if asked == sha256 else "no-cache"}
    if matches(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    content = await service.engine.offload(path.read_bytes)
    return Response(content, headers=headers, media_type="application/octet-stream")


def _file(request: Request, entry: Entry, relative: str) -> Response:
    if entry.file(relative) is None:
        raise UnknownSampleError(f"'{entry.id}' has no file '{relative}'.")
    store: FileStore = request.app.state.model_files[entry.id]
    return store.answer(request, relative)


@router.get("/v2/health/live", tags=["health"], summary="Is the process alive?")
async def read_live() -> dict[str, str]:
    """200 while the event loop answers."""
    return {"status": "live"}


@router.get(
    "/v2/health/ready",
    tags=["health"],
    summary="May work be sent here?",
    response_model=Readiness,
    responses={503: {"model": Readiness, "description": "Starting, stopping, or without a usable model."}},
)
async def read_ready(service: ServiceOf) -> Response:
    """200 once the models that are loaded at start have passed their self-tests."""
    readiness = service.readiness()
    status = 200 if readiness.status == "ready" else 503
    headers = {} if status == 200 else {"Retry-After": "2"}
    return Response(readiness.model_dump_json(), status, headers, JSON_TYPE)


@router.get("/metrics", tags=["health"], summary="Prometheus metrics", response_class=Response)
async def read_metrics(service: ServiceOf) -> Response:
    """Prometheus text."""
    return Response(service.metrics.render(), media_type=CONTENT_TYPE)


@router.websocket("/live/{model}")
async def live(socket: WebSocket, model: str, service: Annotated[Service, Depends(socket_service)]) -> None:
    """Everything that can refuse a client is asked before the socket is accepted."""
    try:
        service.check_origin(socket)
        entry = service.catalog[model]
        with service.live.place(address_of(socket)):
            await socket.accept()
            await service.live.serve(socket, entry.manifest)
    except ApiError as error:
        service.metrics.rejected.labels(ERRORS[type(error)].code).inc()
        await socket.send_denial_response(problem_response(error))


def component_schemas() -> dict[str, Any]:
    """Bodies that OpenAPI refers to and no signature names."""
    bodies = (TranslateBody, TranslateAnswer, Problem)
    found: dict[str, Any] = {}
    for body in bodies:
        schema = body.model_json_schema(ref_template="#/components/schemas/{model}")
        found |= schema.pop("$defs", {})
        found[body.__name__] = schema
    return json.loads(json.dumps(found))  # type: ignore[no-any-return]

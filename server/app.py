"""The only place where the parts are put together. It holds no behaviour of its own."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib.metadata
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from server.catalog import Catalog, Entry, bundled_folder, read_catalog
from server.engine import Engine, EngineLimits
from server.envelope import Envelope
from server.files import FileStore
from server.imaging import ImageLimits
from server.live import LiveHub, LiveLimits
from server.metrics import Metrics
from server.page import make_page, static_folder
from server.problems import install_handlers
from server.processors import usable_cores
from server.providers import Choice, check_distributions, choose
from server.routes import EXPOSED_HEADERS, component_schemas, router
from server.service import Service
from server.session import Session, SessionOptions, installed_distributions, runtime_version, why_unusable
from server.settings import Settings
from server.site import site_router
from server.styles import Styles
from server.tracing import choose_tracer
from server.translator import load_session

log = logging.getLogger(__name__)

CODEC_THREADS = 2
"""Decoding and encoding hold the interpreter only in part; two keep a large picture from delaying the small ones."""


def version() -> str:
    """Of the installed package; `dev` in a checkout that was never installed."""
    try:
        return importlib.metadata.version("inkwash")
    except importlib.metadata.PackageNotFoundError:
        return "dev"


def create_app(settings: Settings, load: Callable[[Entry], Session] | None = None) -> FastAPI:
    """Makes the app.

    Args:
        settings: All of them.
        load: Makes a session for a model; onnxruntime on the chosen device when absent.

    Raises:
        ConfigurationError: a folder is missing or the device cannot be used.
    """
    service = _make_service(settings, load)
    app = FastAPI(
        title="Inkwash",
        summary="Draw lines, get pictures.",
        version=service.version,
        docs_url=None,
        redoc_url=None,
        lifespan=functools.partial(_lifespan, service),
    )
    app.state.service = service
    app.state.model_files = {entry.id: FileStore(entry.folder) for entry in service.catalog}
    static = FileStore(static_folder())
    app.include_router(router)
    app.include_router(site_router(static, make_page(static, service.version)))
    install_handlers(app, service.metrics.rejected)
    _describe_bodies(app)
    if settings.allowed_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.allowed_origins,
            allow_methods=("GET", "POST"),
            allow_headers=("Content-Type", "X-Request-ID"),
            expose_headers=EXPOSED_HEADERS,
        )
    app.add_middleware(Envelope, metrics=service.metrics)
    return app


def _make_service(settings: Settings, load: Callable[[Entry], Session] | None) -> Service:
    catalog = read_catalog(settings.models_dir, bundled_folder() if settings.bundled_models else None)
    tracer = choose_tracer(catalog, settings.tracer)
    check_distributions(installed_distributions())
    choice = choose(settings.device, why_unusable)
    threads = settings.threads or usable_cores()
    image_limits = ImageLimits(settings.max_pixels, settings.max_side)
    options = SessionOptions(choice.provider, threads, settings.cache_dir, settings.spin_microseconds)
    metrics = Metrics()
    metrics.info.labels(version(), choice.device, choice.provider.name, runtime_version()).set(1)
    engine = Engine(
        catalog,
        load or functools.partial(load_session, options=options, limits=image_limits),
        _engine_limits(settings),
        metrics,
    )
    styles = Styles()
    live = LiveHub(engine, metrics, styles, _live_limits(settings), choice.device)
    _log_start(catalog, choice, threads)
    return Service(version(), settings, catalog, choice, threads, engine, live, metrics, styles, tracer)


def _engine_limits(settings: Settings) -> EngineLimits:
    return EngineLimits(settings.queue_size, settings.deadline_seconds, settings.max_loaded_models, CODEC_THREADS)


def _live_limits(settings: Settings) -> LiveLimits:
    return LiveLimits(
        settings.max_connections,
        settings.max_connections_per_address,
        settings.max_frame_bytes,
        settings.idle_timeout_seconds,
        settings.send_timeout_seconds,
        ImageLimits(min(settings.max_pixels, settings.max_frame_pixels), settings.max_side),
    )


def _log_start(catalog: Catalog, choice: Choice, threads: int) -> None:
    log.info("device %s with %d threads: %s", choice.device, threads, choice.reason)
    for broken in catalog.broken:
        log.error("model folder '%s' is not served: %s", broken.id, broken.reason)
    for note in catalog.shadowed:
        log.info("%s", note)


@contextlib.asynccontextmanager
async def _lifespan(service: Service, _: FastAPI) -> AsyncIterator[None]:
    """Models load while the server answers already; readiness tells when they have."""
    preload = asyncio.create_task(_preload(service))
    try:
        yield
    finally:
        service.engine.drain()
        preload.cancel()
        await asyncio.gather(preload, return_exceptions=True)
        await service.live.close()
        await service.engine.close(service.settings.shutdown_grace_seconds)


async def _preload(service: Service) -> None:
    try:
        if service.settings.preload:
            await service.engine.preload()
    finally:
        service.preloaded.set()


def _describe_bodies(app: FastAPI) -> None:
    """Adds to OpenAPI the bodies that the translate route reads itself."""
    original = app.openapi

    def openapi() -> dict[str, Any]:
        schema = original()
        schema.setdefault("components", {}).setdefault("schemas", {}).update(component_schemas())
        return schema

    app.openapi = openapi  # type: ignore[method-assign]

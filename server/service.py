"""What the routes work with: the parts that `create_app` put together, and answers about them. It handles no request."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from fastapi import Request, WebSocket
from starlette.requests import HTTPConnection

from server.catalog import Catalog, Entry
from server.engine import Engine
from server.errors import OriginRefusedError
from server.imaging import ImageLimits
from server.live import LiveHub
from server.metrics import Metrics
from server.providers import Choice
from server.schemas import BrokenFolder, ModelList, ModelSummary, Readiness
from server.settings import Settings
from server.styles import Styles


@dataclass(frozen=True)
class Service:
    """One running app."""

    version: str
    settings: Settings
    catalog: Catalog
    choice: Choice
    threads: int
    engine: Engine
    live: LiveHub
    metrics: Metrics
    styles: Styles
    tracer: Entry | None = None
    preloaded: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def image_limits(self) -> ImageLimits:
        return ImageLimits(self.settings.max_pixels, self.settings.max_side)

    def check_origin(self, connection: HTTPConnection) -> None:
        """Any page could use this server through its visitor's browser: CORS covers no sockets and sends simple POSTs unasked.

        Raises:
            OriginRefusedError: a browser's page is from elsewhere. Programs send no Origin and may.
        """
        origin = connection.headers.get("origin")
        if origin is None or origin in self.settings.allowed_origins:
            return
        if _host_of(origin) != connection.headers.get("host", "").lower():
            raise OriginRefusedError(
                f"Pages of '{origin[:200]}' may not use this server; add it to INKWASH_ALLOWED_ORIGINS to let them."
            )

    def summary(self, entry: Entry) -> ModelSummary:
        """What the picker shows of a model."""
        manifest, state = entry.manifest, self.engine.state(entry.id)
        return ModelSummary(
            id=entry.id,
            title=manifest.title,
            description=manifest.description,
            family=manifest.family,
            kind=manifest.inputs[0].kind.value,
            status=state.status,
            reason=state.reason,
            sha256=manifest.sha256,
            manifest=f"/models/{entry.id}",
            preview=f"/models/{entry.id}/preview",
            samples=len(manifest.samples),
        )

    def model_list(self) -> ModelList:
        """Every model with its state, and the folders that cannot be served."""
        return ModelList(
            models=[self.summary(entry) for entry in self.catalog],
            broken=[BrokenFolder(id=broken.id, reason=broken.reason) for broken in self.catalog.broken],
            device=self.choice.device,
            tracer=self.tracer.id if self.tracer else None,
        )

    def readiness(self) -> Readiness:
        """Whether work may be sent here, and what would do it."""
        return Readiness(
            status=self._status(),
            device=self.choice.device,
            device_reason=self.choice.reason,
            provider=self.choice.provider.name,
            threads=self.threads,
            version=self.version,
            models={entry.id: self.engine.state(entry.id).status for entry in self.catalog},
            broken={broken.id: broken.reason for broken in self.catalog.broken},
        )

    def _status(self) -> Literal["ready", "starting", "stopping", "no_models"]:
        if self.engine.is_draining:
            return "stopping"
        if not self.preloaded.is_set():
            return "starting"
        usable = any(self.engine.state(entry.id).status != "failed" for entry in self.catalog)
        return "ready" if usable else "no_models"


def _host_of(origin: str) -> str:
    """With the port, where one is named. Never empty, or an origin that cannot be read would match an absent Host."""
    try:
        return urlsplit(origin).netloc.lower() or "-"
    except ValueError:
        return "-"


def service_of(connection: HTTPConnection) -> Service:
    """The service of the app that a request or socket came to."""
    service: Service = connection.app.state.service
    return service


async def request_service(request: Request) -> Service:
    """Dependency of HTTP routes; `async` keeps it off the thread pool."""
    return service_of(request)


async def socket_service(socket: WebSocket) -> Service:
    """Dependency of socket routes."""
    return service_of(socket)


def address_of(connection: HTTPConnection) -> str:
    """The client's address, by which turns are taken and connections counted."""
    return connection.client.host if connection.client else "unknown"

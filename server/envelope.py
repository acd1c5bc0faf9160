"""What every HTTP request gets around its route: an id, security headers, a log line, metrics, and an answer if all fails.

Plain ASGI: Starlette's BaseHTTPMiddleware costs a task and a queue a request.
"""

from __future__ import annotations

import functools
import logging
import re
import time
import uuid

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.errors import ERRORS
from server.logs import request_id
from server.metrics import Metrics
from server.problems import internal_error, problem_response

log = logging.getLogger("server.access")

_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HOST = re.compile(r"(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+)(:\d{1,5})?")

STATIC_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(self), microphone=(), geolocation=(), payment=(), usb=()"),
)
QUIET_ROUTES = frozenset({"/metrics", "/v2/health/live", "/v2/health/ready", "/static/{path:path}", "/docs/{name}"})
"""Asked by machines every few seconds, or by every page by the dozen; logged at debug level."""


@functools.lru_cache(maxsize=64)
def content_security_policy(host: str) -> bytes:
    """Everything from this origin, and sockets to this host: some browsers do not read 'self' as covering ws and wss."""
    sockets = f" ws://{host} wss://{host}" if _HOST.fullmatch(host) else ""
    return (
        f"default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'{sockets}; "
        "object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
    ).encode()


def sane_request_id(given: str | None) -> str:
    """The caller's id when it is short and plain, else a new one."""
    return given if given and _SANE_ID.fullmatch(given) else uuid.uuid4().hex


class Envelope:
    """Outermost layer of the app."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        token = request_id.set(sane_request_id(headers.get("x-request-id")))
        try:
            if scope["type"] == "http":
                await self._answer(scope, receive, send, headers.get("host", ""))
            else:
                await self._app(scope, receive, _dressing(send, headers.get("host", "")))
        finally:
            request_id.reset(token)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, host: str) -> None:
        started = time.perf_counter()
        status = 0
        if scope["method"] == "HEAD":  # answered like GET everywhere; the web server leaves the body out
            scope = {**scope, "method": "GET"}

        dressed = _dressing(send, host)

        async def send_noting_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await dressed(message)

        try:
            await self._app(scope, receive, send_noting_status)
        except Exception as error:  # the last resort: whatever escaped, the caller is told and the log has it
            told = internal_error(error)
            self._metrics.rejected.labels(ERRORS[type(told)].code).inc()
            response = problem_response(told)
            if status:
                raise
            await response(scope, receive, send_noting_status)
        finally:
            self._record(scope, status, time.perf_counter() - started)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = _route_name(scope)
        self._metrics.requests.labels(route, str(status)).inc()
        self._metrics.request_seconds.labels(route).observe(seconds)
        level = logging.DEBUG if route in QUIET_ROUTES else logging.INFO
        if log.isEnabledFor(level):
            ms = round(seconds * 1000, 1)
            extra = {"method": scope["method"], "path": scope["path"], "status": status, "ms": ms, "client": _address(scope)}
            log.log(level, "%s %s %d %.1f ms", scope["method"], scope["path"], status, ms, extra=extra)


def _dressing(send: Send, host: str) -> Send:
    """Adds the headers that every answer has, a refused handshake's included."""

    async def send_dressed(message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.http.response.start"):
            policy = (b"content-security-policy", content_security_policy(host))
            own_id = (b"x-request-id", request_id.get().encode())
            message["headers"] = [*message["headers"], *STATIC_HEADERS, policy, own_id]
        await send(message)

    return send_dressed


def _route_name(scope: Scope) -> str:
    """The route's pattern, so that labels stay few whatever paths are asked for."""
    route = scope.get("route")
    return str(getattr(route, "path", "")) or "unmatched"


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else "-"

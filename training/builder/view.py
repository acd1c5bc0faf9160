"""The web preview of a build on this machine: a page, its pictures, and strikes that only this page may send.

It uses the standard library's server: one person looks at it, for as long as a command runs. What is shown and struck is
`viewed.py`'s.

Other pages in the same browser may send requests here. A name that an attacker points at this machine (DNS rebinding) is
refused by the Host header, which must be an address or a name given to us; a request of another page is refused by its Origin
header, and by its media type, which no form can send.
"""

from __future__ import annotations

import ipaddress
import json
import re
import socketserver
import sys
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import AF_INET, AF_INET6
from typing import Any
from urllib.parse import urlsplit

from training.builder.journal import BuildError
from training.builder.viewed import StaleError, UnknownPairError, ViewedBuild
from training.datasets import DatasetError

PAGES = Path(__file__).parent / "pages"
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
PICTURE_PATH = re.compile(
    r"/pictures/(?P<version>[0-9a-f]{16})/(?P<split>[a-z]{1,32})/(?P<index>\d{1,9})/(?P<what>[a-z]{1,16})"
)
HOST = re.compile(r"[A-Za-z0-9.:\[\]-]{1,260}")
MAX_BODY_BYTES = 4096
IDLE_SECONDS = 30
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
STATUS: Mapping[type[Exception], HTTPStatus] = {
    StaleError: HTTPStatus.CONFLICT,
    UnknownPairError: HTTPStatus.NOT_FOUND,
    BuildError: HTTPStatus.INTERNAL_SERVER_ERROR,
    DatasetError: HTTPStatus.INTERNAL_SERVER_ERROR,
}


def serve_view(build: Path, host: str, port: int, *, on_ready: Callable[[str], None]) -> None:
    """Serves the preview until Ctrl-C.

    Args:
        host: Address to listen on; 127.0.0.1 lets nobody else look.
        port: 0 takes any free one.
        on_ready: Called once with the page's address.

    Raises:
        BuildError: There is nothing to show, or the address cannot be had.
    """
    with open_view(build, host, port) as server:
        on_ready(server.url)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return


def open_view(build: Path, host: str, port: int) -> ViewServer:
    """A server that listens and does not answer yet.

    Raises:
        BuildError: There is nothing to show, or the address cannot be had.
    """
    viewed = ViewedBuild(build)
    try:
        return ViewServer(viewed, host, port)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BuildError(
            f"The preview cannot listen on port {port} of '{host}' ({reason}); "
            "choose another --port (0 takes any free one) or --host."
        ) from error


class ViewServer(ThreadingHTTPServer):
    """The preview of one build; each connection has a thread."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, viewed: ViewedBuild, host: str, port: int) -> None:
        self.address_family = AF_INET6 if ":" in host else AF_INET
        self.viewed, self.host = viewed, host
        self.assets = {path.name: path.read_bytes() for path in PAGES.iterdir() if path.suffix in MEDIA_TYPES}
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        """Binds without asking a name server who we are, as HTTPServer does: that may take seconds."""
        socketserver.TCPServer.server_bind(self)

    @property
    def url(self) -> str:
        """The page's address, for a browser on this machine."""
        everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}
        name = everywhere.get(self.host, self.host)
        return f"http://{f'[{name}]' if ':' in name else name}:{self.server_address[1]}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Browsers drop connections as they please; only what is our own fault is told."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


def is_own_host(header: str, given: str) -> bool:
    """Whether a Host header is one that nobody else can point here: an address, `localhost`, or the name that was given.

    Any port is right: the page may be looked at through a tunnel.
    """
    if not HOST.fullmatch(header):
        return False
    try:
        name = urlsplit(f"//{header}").hostname or ""
        return name in ("localhost", given.lower()) or bool(ipaddress.ip_address(name))
    except ValueError:
        return False


class RefusedError(Exception):
    """A request that is not answered as asked."""

    def __init__(self, status: HTTPStatus, words: str) -> None:
        super().__init__(words)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    """Answers requests of one connection."""

    server: ViewServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "inkwash", ""
    timeout = IDLE_SECONDS
    disable_nagle_algorithm = True  # headers and body are two writes; Nagle's algorithm would hold the second back

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def log_message(self, *_: object) -> None:
        """Says nothing: the terminal belongs to the command."""

    def _answer(self, respond: Callable[[], None]) -> None:
        try:
            if not is_own_host(self.headers.get("Host", ""), self.server.host):
                words = "The preview answers to its own address only; open the one that the command printed."
                raise RefusedError(HTTPStatus.MISDIRECTED_REQUEST, words)
            respond()
        except RefusedError as refused:
            self._send_problem(refused.status, str(refused))
        except tuple(STATUS) as error:
            status = next(status for kind, status in STATUS.items() if isinstance(error, kind))
            self._send_problem(status, str(error))

    def _get(self) -> None:
        path = urlsplit(self.path).path
        asset = path.removeprefix("/") or "view.html"
        if asset in self.server.assets:
            self._send(HTTPStatus.OK, self.server.assets[asset], MEDIA_TYPES[Path(asset).suffix])
        elif path == "/pairs":
            self._send_json(self.server.viewed.listing())
        elif match := PICTURE_PATH.fullmatch(path):
            data, media_type = self.server.viewed.picture(match["version"], match["split"], int(match["index"]), match["what"])
            self._send(HTTPStatus.OK, data, media_type, "private, max-age=31536000, immutable")
        else:
            raise RefusedError(HTTPStatus.NOT_FOUND, "There is nothing here; open / instead.")

    def _post(self) -> None:
        body = self._body()
        match urlsplit(self.path).path, body:
            case "/strikes", {"id": str(pair_id), "struck": bool(is_struck), **rest} if not rest:
                self.server.viewed.strike(pair_id, is_struck)
                self._send_json({"id": pair_id, "struck": is_struck})
            case "/apply", {"version": str(version), **rest} if not rest:
                self._send_json(self.server.viewed.apply(version))
            case "/strikes" | "/apply", _:
                raise RefusedError(HTTPStatus.UNPROCESSABLE_ENTITY, "Send {id, struck} to /strikes or {version} to /apply.")
            case _:
                raise RefusedError(HTTPStatus.NOT_FOUND, "There is nothing here; send to /strikes or /apply.")

    def _body(self) -> Any:
        """The JSON of a request of our own page."""
        if self.headers.get("Origin") != f"http://{self.headers['Host']}":
            raise RefusedError(HTTPStatus.FORBIDDEN, "Only the preview's own page may change something.")
        if self.headers.get_content_type() != "application/json":
            raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send application/json.")
        length = self.headers.get("Content-Length", "")
        if not re.fullmatch(r"[0-9]{1,9}", length):
            raise RefusedError(HTTPStatus.LENGTH_REQUIRED, "Send a Content-Length.")
        if int(length) > MAX_BODY_BYTES:
            raise RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"Send at most {MAX_BODY_BYTES} bytes.")
        try:
            return json.loads(self.rfile.read(int(length)))
        except ValueError as error:
            raise RefusedError(HTTPStatus.BAD_REQUEST, "The body is no JSON.") from error

    def _send_problem(self, status: HTTPStatus, words: str) -> None:
        self.close_connection = True  # a body that was not read would be taken for the next request
        self._send(status, json.dumps({"error": words}).encode(), "application/json")

    def _send_json(self, content: Any) -> None:
        self._send(HTTPStatus.OK, json.dumps(content, ensure_ascii=False).encode(), "application/json")

    def _send(self, status: HTTPStatus, data: bytes, media_type: str, caching: str = "no-store") -> None:
        self.send_response(status)
        headers = {**HEADERS, "Content-Type": media_type, "Content-Length": str(len(data)), "Cache-Control": caching}
        if self.close_connection:
            headers["Connection"] = "close"
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

"""One real server with the demo models and one real browser for all page tests."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright

from tests.browser.studio import Studio
from tests.server.models import WRITERS

ROOT = Path(__file__).parents[2]
BROWSER_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Two cameras that show a test card, allowed without asking.
    "--use-fake-device-for-media-stream=device-count=2",
    "--use-fake-ui-for-media-stream",
)
START_SECONDS = 60


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the tests of this folder, so that `-m "not browser"` leaves them out."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@dataclass
class Server:
    """A server process that can be killed and started again on the same port."""

    models: Path
    port: int
    settings: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Starts the process and waits until it is ready."""
        command = [sys.executable, "-m", "server", "serve", "--models", str(self.models), "--port", str(self.port)]
        own = {name: value for name, value in os.environ.items() if not name.upper().startswith("INKWASH_")}
        self.process = subprocess.Popen(
            command, cwd=ROOT, env={**own, **self.settings}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + START_SECONDS
        while not self._is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"The server did not start: {' '.join(command)}")
            time.sleep(0.1)

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/v2/health/ready").status_code == 200
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        """Ends the process at once, as a crash would."""
        if self.process:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        self.process = None


@dataclass
class Watch:
    """What a page complained about, less what its test expects at any time, and where it went."""

    complaints: list[str] = field(default_factory=list)
    expected: tuple[str, ...] = ()
    hosts: set[str] = field(default_factory=set)

    def expect(self, *fragments: str) -> None:
        """From now on, what holds one of these texts is no complaint: the browser itself logs each failed request."""
        self.expected += fragments

    def attach(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("console", self._note_message)
        page.on("request", self._note_request)
        page.on("websocket", lambda websocket: self.hosts.add(urlsplit(websocket.url).netloc))

    def _note_message(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not any(fragment in message.text for fragment in self.expected):
            self.complaints.append(message.text)

    def _note_request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob"):
            self.hosts.add(parts.netloc)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model of each kind."""
    folder = tmp_path_factory.mktemp("models")
    for write in WRITERS:
        write(folder)
    return folder


@pytest.fixture(scope="session")
def server(models: Path) -> Iterator[Server]:
    """The server that tests share; none of them stops it."""
    running = Server(models, free_port())
    running.start()
    yield running
    running.kill()


@pytest.fixture
def mortal_server(models: Path) -> Iterator[Server]:
    """A server of its own, to be killed."""
    running = Server(models, free_port())
    running.start()
    yield running
    running.kill()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """An installed Chromium or Chrome, else Playwright's own."""
    found = next(filter(None, map(shutil.which, BROWSER_NAMES)), None)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Fails the test if its page logged an error, broke the security policy or left the server's origin."""
    watched = Watch()
    yield watched
    assert watched.complaints == []
    assert all(host.startswith("127.0.0.1:") for host in watched.hosts), watched.hosts


NOTE_ANNOUNCEMENTS = """
window.announced = [];
new MutationObserver((changes) => {
  for (const { target, addedNodes } of changes) {
    if (target.id === "announcer") window.announced.push(...[...addedNodes].map((node) => node.textContent));
  }
}).observe(document, { subtree: true, childList: true });
"""
"""One announcement soon follows another, and a test that looks now and then would miss it."""

OpenStudio = Callable[..., Studio]
Call = Callable[..., Any]
DESKTOP = {"viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce", "locale": "en-US"}


@pytest.fixture(scope="session")
def desktop(browser: Browser) -> Iterator[BrowserContext]:
    """The profile of all tests that want no other: its cache spares each page some fifty downloads."""
    context = browser.new_context(**DESKTOP)  # type: ignore[arg-type]
    yield context
    context.close()


@pytest.fixture
def open_studio(browser: Browser, desktop: BrowserContext, server: Server, watch: Watch) -> Iterator[OpenStudio]:
    """Opens the page and waits until its first example and its picture are there."""
    contexts: list[BrowserContext] = []
    pages: list[Page] = []

    def start(model: str = "demo-lines", query: str = "", url: str = server.url, **options: object) -> Studio:
        context = desktop
        if options:
            context = browser.new_context(**DESKTOP | options)  # type: ignore[arg-type]
            contexts.append(context)
        page = context.new_page()
        pages.append(page)
        page.set_default_timeout(30_000)
        watch.attach(page)
        page.add_init_script(NOTE_ANNOUNCEMENTS)
        page.goto(f"{url}/?model={model}{query}")
        studio = Studio(page)
        page.wait_for_selector("html[data-ready]")
        studio.settle()
        return studio

    yield start
    for page in pages:
        page.evaluate("localStorage.clear()")
        page.close()
    desktop.clear_cookies()
    desktop.clear_permissions()
    for context in contexts:
        context.close()


@pytest.fixture
def photo(open_studio: OpenStudio) -> Studio:
    """The page with the `photo` model and its example."""
    return open_studio("demo-photo")


@pytest.fixture
def gray(open_studio: OpenStudio) -> Studio:
    """The page with the `gray` model and its example."""
    return open_studio("demo-gray")


@pytest.fixture(scope="module")
def call(browser: Browser, server: Server) -> Iterator[Call]:
    """Runs the body of an async function with the page's modules at hand: `use('raster')` imports one, `a` holds arguments."""
    page = browser.new_page()
    page.goto(f"{server.url}/static/favicon.svg")

    def run(body: str, *arguments: object) -> Any:
        return page.evaluate(
            f"async (a) => {{ const use = (name) => import(`/static/js/${{name}}.js`); {body} }}", list(arguments)
        )

    yield run
    page.close()


@pytest.fixture
def random() -> np.random.Generator:
    """The same numbers in every run."""
    return np.random.default_rng(20)


@pytest.fixture
def lines(open_studio: OpenStudio) -> Studio:
    """The page with the `line` model and an empty drawing."""
    studio = open_studio("demo-lines")
    studio.clear()
    return studio


@pytest.fixture
def labels(open_studio: OpenStudio) -> Studio:
    """The page with the `labels` model and an empty drawing."""
    studio = open_studio("demo-labels")
    studio.clear()
    return studio

"""The app on a real Ray with two replicas. `make test-slow` installs the extra `ray`."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest
import yaml
from fastapi.testclient import TestClient
from websockets.sync.client import connect

from server.app import create_app
from server.catalog import Entry
from server.settings import Settings
from tests.server import models
from tests.server.conftest import png
from tests.server.fake import WAIT_SECONDS, FakeSession
from tests.server.livechat import frame, read_answer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # ray's own, of pydantic
]

pytest.importorskip("ray", reason="the extra `ray` is not installed; make test-slow installs it")

PATIENCE_SECONDS = 120
REPLICA = "ray::ServeReplica"


@dataclass(frozen=True)
class Cluster:
    """A running `serve run`."""

    process: subprocess.Popen[str]
    port: int
    log: Path

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=30)

    def translate(self, content: bytes) -> httpx.Response:
        url = f"http://127.0.0.1:{self.port}/translate/demo-lines?seed=7&format=png"
        return httpx.post(url, content=content, headers={"Content-Type": "image/png"}, timeout=30)

    def replicas(self) -> list[psutil.Process]:
        inside = psutil.Process(self.process.pid).children(recursive=True)
        return [one for one in inside if name_of(one).startswith(REPLICA)]

    def wait(self, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not is_so():
            is_hopeless = self.process.poll() is not None or time.monotonic() > deadline
            assert not is_hopeless, self.log.read_text(encoding="utf-8")
            time.sleep(0.2)

    def is_ready(self) -> bool:
        try:
            return self.get("/v2/health/ready").status_code == 200
        except httpx.TransportError:
            return False


def name_of(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(**settings: str) -> dict[str, str]:
    own = {f"INKWASH_{name.upper()}": value for name, value in settings.items()}
    return os.environ | {"RAY_USAGE_STATS_ENABLED": "0", "INKWASH_BUNDLED_MODELS": "false"} | own


def serve_run(*arguments: object) -> list[str]:
    return [str(Path(sys.executable).parent / "serve"), "run", *map(str, arguments)]


@pytest.fixture(scope="module")
def cluster(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    port = free_port()
    application = {
        "name": "inkwash",
        "import_path": "server.cluster:app",
        "route_prefix": "/",
        "args": {"replicas": 2, "cpus": 0.5},
        "runtime_env": {"env_vars": {"INKWASH_MODELS_DIR": str(models_dir), "INKWASH_MAX_LOADED_MODELS": "8"}},
    }
    content = {"http_options": {"host": "127.0.0.1", "port": port}, "applications": [application]}
    (folder / "cluster.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    with (folder / "log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            serve_run(folder / "cluster.yaml"), stdout=log, stderr=subprocess.STDOUT, text=True, env=environment()
        )
    running = Cluster(process, port, folder / "log")
    try:
        running.wait(running.is_ready)
        yield running
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()


def test_picture_is_the_one_that_the_server_alone_makes(cluster: Cluster, client: TestClient) -> None:
    drawing = png(models.cat_drawing(32))
    answer = cluster.translate(drawing)
    alone = client.post("/translate/demo-lines?seed=7&format=png", content=drawing, headers={"Content-Type": "image/png"})
    assert answer.status_code == alone.status_code == 200
    assert answer.content == alone.content
    assert answer.headers["X-Seed"] == "7"


def test_both_replicas_answer_with_the_threads_set_aside(cluster: Cluster) -> None:
    cluster.wait(lambda: len(cluster.replicas()) == 2)
    # How long its models took to load tells one replica from the other, and changes no more.
    loading = re.compile(r"^inkwash_model_load_seconds_sum.*$", re.MULTILINE)
    cluster.wait(lambda: len({tuple(loading.findall(cluster.get("/metrics").text)) for _ in range(20)}) == 2)
    told = [cluster.get("/v2/health/ready").json() for _ in range(20)]
    assert all(set(one["models"].values()) == {"ready"} and one["threads"] == 1 for one in told)


def test_page_and_refusals_come_through(cluster: Cluster) -> None:
    assert cluster.get("/").text.startswith("<!doctype html>")
    refused = cluster.translate(b"no picture")
    assert refused.status_code == 400
    assert refused.headers["Content-Type"] == "application/problem+json"


def test_live_socket_is_answered(cluster: Cluster) -> None:
    with connect(f"ws://127.0.0.1:{cluster.port}/live/demo-lines") as live:
        assert json.loads(live.recv(30))["model"] == "demo-lines"
        live.send(frame(3, {"lines": png(models.cat_drawing(32))}))
        answer = live.recv(30)
        assert isinstance(answer, bytes)
        assert read_answer(answer).header["id"] == 3


def test_lost_replica_is_made_again_while_the_other_answers(cluster: Cluster) -> None:
    lost = cluster.replicas()[0]
    lost.kill()
    drawing = png(models.cat_drawing(32))
    failed = []

    def is_replaced() -> bool:
        status = cluster.translate(drawing).status_code
        failed.extend([status] if status != 200 else [])
        return len([one for one in cluster.replicas() if one.pid != lost.pid]) == 2

    cluster.wait(is_replaced)
    # Ray may have sent a few on before it saw the loss.
    assert len(failed) <= 3
    assert cluster.translate(drawing).status_code == 200


@pytest.mark.parametrize(
    ("arguments", "settings", "told"),
    [
        (("replicas=0",), {}, "greater than or equal to 1"),
        (("replica=2",), {}, "Arguments of server.cluster:app are replicas, cpus, gpus."),
        (("gpus=1.5",), {}, "less than or equal to 1"),
        ((), {"threds": "2"}, "did you mean INKWASH_THREADS?"),
    ],
)
def test_what_is_wrong_is_told_before_anything_runs(arguments: tuple[str, ...], settings: dict[str, str], told: str) -> None:
    command = serve_run("server.cluster:app", *arguments)
    ended = subprocess.run(command, capture_output=True, text=True, env=environment(**settings), check=False)
    assert ended.returncode != 0
    assert told in ended.stdout + ended.stderr


def test_threads_of_the_settings_win_and_folders_are_absolute() -> None:
    from server.cluster import Arguments, of_replica

    assert of_replica(Settings(threads=3), Arguments(cpus=8)).threads == 3
    assert of_replica(Settings(), Arguments(cpus=8)).threads == 8
    assert of_replica(Settings(), Arguments(cpus=0.5)).threads == 1
    assert of_replica(Settings(models_dir=(Path("mine"),)), Arguments()).models_dir == (Path.cwd() / "mine",)


async def test_replica_has_started_when_its_models_are_loaded(settings: Settings) -> None:
    from server.cluster import start_when_loaded

    may_load = threading.Event()

    def load(_: Entry) -> FakeSession:
        assert may_load.wait(WAIT_SECONDS)
        return FakeSession(is_open=True)

    app = create_app(settings.model_copy(update={"preload": True}), load)
    start_when_loaded(app)
    lifespan = app.router.lifespan_context(app)
    started = asyncio.create_task(lifespan.__aenter__())
    await asyncio.sleep(0.3)
    assert not started.done()
    may_load.set()
    await asyncio.wait_for(started, WAIT_SECONDS)
    await lifespan.__aexit__(None, None, None)

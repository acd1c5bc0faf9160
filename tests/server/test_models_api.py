"""What is told about models, and whether the server may be sent work."""

from __future__ import annotations

import hashlib
import re
import shutil
import threading
from pathlib import Path

from fastapi.testclient import TestClient

from server.catalog import Entry
from server.manifest import Manifest
from tests.server.conftest import MakeClient, pixels
from tests.server.fake import FakeSession


def test_models_are_listed_as_the_protocol_says(client: TestClient) -> None:
    listed = client.get("/models").json()
    assert set(listed) == {"models", "broken", "device", "tracer"}
    entry = next(model for model in listed["models"] if model["id"] == "demo-lines")
    assert entry["title"] == {"en": "Demo lines", "ja": "線画の見本"}
    assert (entry["kind"], entry["samples"], entry["family"]) == ("line", 2, "none")
    assert entry["manifest"] == "/models/demo-lines"
    for address in (entry["manifest"], entry["preview"]):
        assert client.get(address).status_code == 200


def test_a_model_is_idle_until_it_is_used(make_client: MakeClient, cat: bytes) -> None:
    client = make_client()

    def status() -> str:
        found: str = next(model["status"] for model in client.get("/models").json()["models"] if model["id"] == "copy")
        return found

    assert status() == "idle"
    client.post("/translate/copy", content=cat)
    assert status() == "ready"


def test_the_manifest_comes_back_as_it_was_written(client: TestClient, models_dir: Path) -> None:
    written = Manifest.model_validate_json((models_dir / "demo-labels/manifest.json").read_text(encoding="utf-8"))
    assert Manifest.model_validate(client.get("/models/demo-labels").json()) == written


def test_previews_and_samples_are_pictures(client: TestClient) -> None:
    preview = client.get("/models/demo-lines/preview")
    result = client.get("/models/demo-lines/samples/0")
    drawing = client.get("/models/demo-lines/samples/0?part=lines")
    assert preview.headers["content-type"] == "image/png"
    assert preview.content == result.content
    assert pixels(drawing.content).shape == (32, 32)
    assert pixels(result.content).shape == (32, 32, 3)


def test_a_model_without_preview_shows_its_first_sample(make_client: MakeClient, tmp_path: Path, models_dir: Path) -> None:
    shutil.copytree(models_dir / "demo-lines", tmp_path / "demo-lines")
    (tmp_path / "demo-lines/preview.png").unlink()
    client = make_client(models_dir=(tmp_path,))
    assert client.get("/models/demo-lines/preview").content == client.get("/models/demo-lines/samples/0").content


def test_the_card_is_markdown(client: TestClient) -> None:
    card = client.get("/models/copy/card")
    assert card.headers["content-type"].startswith("text/markdown")
    assert card.text.startswith("# copy")


def test_the_graph_can_be_fetched_and_cached_by_its_hash(client: TestClient) -> None:
    sha256 = client.get("/models/copy").json()["sha256"]
    graph = client.get("/models/copy/model.onnx")
    assert hashlib.sha256(graph.content).hexdigest() == sha256
    assert graph.headers["etag"] == f'"{sha256}"'
    assert graph.headers["cache-control"] == "no-cache"
    assert "immutable" in client.get(f"/models/copy/model.onnx?sha256={sha256}").headers["cache-control"]
    assert "immutable" not in client.get(f"/models/copy/model.onnx?sha256={'0' * 64}").headers["cache-control"]
    again = client.get("/models/copy/model.onnx", headers={"If-None-Match": f'"{sha256}"'})
    assert (again.status_code, again.content) == (304, b"")


def test_pictures_are_revalidated(client: TestClient) -> None:
    first = client.get("/models/copy/preview")
    again = client.get("/models/copy/preview", headers={"If-None-Match": first.headers["etag"]})
    assert (first.headers["cache-control"], again.status_code) == ("no-cache", 304)


def test_the_process_is_live(client: TestClient) -> None:
    assert client.get("/v2/health/live").json() == {"status": "live"}


def test_readiness_waits_for_the_models_that_are_preloaded(make_client: MakeClient) -> None:
    gate = threading.Event()

    def load(_: Entry) -> FakeSession:
        assert gate.wait(10)
        return FakeSession(is_open=True)

    client = make_client(load=load, preload=True, max_loaded_models=2)
    starting = client.get("/v2/health/ready")
    assert (starting.status_code, starting.json()["status"]) == (503, "starting")
    assert starting.headers["retry-after"]
    gate.set()
    service = client.app.state.service  # type: ignore[attr-defined]
    assert client.portal is not None
    client.portal.call(service.preloaded.wait)
    ready = client.get("/v2/health/ready").json()
    assert (ready["status"], ready["device"], ready["provider"], ready["threads"]) == (
        "ready",
        "cpu",
        "CPUExecutionProvider",
        1,
    )
    assert sorted(ready["models"].values()).count("ready") == 2
    assert "no cuda" in ready["device_reason"]


def test_readiness_ends_when_the_server_drains(make_client: MakeClient) -> None:
    client = make_client()
    client.app.state.service.engine.drain()  # type: ignore[attr-defined]
    response = client.get("/v2/health/ready")
    assert (response.status_code, response.json()["status"]) == (503, "stopping")


def test_a_server_without_models_is_not_ready(make_client: MakeClient, tmp_path: Path) -> None:
    client = make_client(models_dir=(tmp_path,))
    response = client.get("/v2/health/ready")
    assert (response.status_code, response.json()["status"]) == (503, "no_models")


def test_metrics_tell_what_happened(make_client: MakeClient, cat: bytes) -> None:
    client = make_client()
    client.post("/translate/copy", content=cat)
    client.post("/translate/copy", content=b"")
    client.get("/no/such/page")
    text = client.get("/metrics").text
    for line in (
        'inkwash_requests_total{route="/translate/{model}",status="200"} 1.0',
        'inkwash_requests_total{route="/translate/{model}",status="400"} 1.0',
        'inkwash_requests_total{route="unmatched",status="404"} 1.0',
        'inkwash_stage_seconds_count{model="copy",stage="infer"} 1.0',
        'inkwash_batch_size_count{model="copy"} 1.0',
        'inkwash_rejected_total{code="bad_image"} 1.0',
        'inkwash_queue_depth{model="copy"} 0.0',
        "inkwash_loaded_models 1.0",
    ):
        assert line in text, line
    assert 'device="cpu"' in text


def test_two_apps_count_apart(make_client: MakeClient, cat: bytes) -> None:
    one, two = make_client(), make_client()
    one.post("/translate/copy", content=cat)
    assert 'inkwash_stage_seconds_count{model="copy"' not in two.get("/metrics").text


def test_every_series_is_documented(client: TestClient, root: Path) -> None:
    prose = (root / "docs/serving.md").read_text(encoding="utf-8")
    series = set(re.findall(r"^# HELP (inkwash_\w+)", client.get("/metrics").text, re.MULTILINE))
    series = {name for name in series if not name.endswith("_created")}
    assert len(series) >= 11
    assert not [name for name in series if f"`{name}`" not in prose]

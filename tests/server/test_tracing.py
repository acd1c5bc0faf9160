"""A photo for a model that draws from lines: `from=photo`, and the models that make lines of photos."""

from __future__ import annotations

import base64
import io
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from server.app import create_app
from server.catalog import Broken, Catalog, Entry, read_catalog
from server.errors import ConfigurationError
from server.imaging import ImageLimits
from server.manifest import Manifest
from server.session import Session
from server.settings import Settings
from server.tracing import Trace, checked_trace, choose_tracer, is_tracer, prepare_trace
from tests.server import models
from tests.server.conftest import MakeClient, encoded, pixels, png
from tests.server.fake import FakeSession
from tests.server.livechat import frame, read_answer
from tests.server.problem import assert_error

SIDE = 64
PNG_TYPE = {"Content-Type": "image/png"}
LIMITS = ImageLimits(10**6, 2000)


def line_model(root: Path, name: str, ink: str = "dark", width: float = 3.0) -> Path:
    """A model that gives back the lines that it gets."""
    graph = models.identity_graph(SIDE, ink)
    return models.write_model(root / name, replace(graph, inputs=(models.line_input(size=SIDE, ink=ink, width=width),)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models that show the lines they get, and one that traces."""
    root = tmp_path_factory.mktemp("traced")
    line_model(root, "lines")
    line_model(root, "night", ink="light")
    for width in (1, 5, 7):
        line_model(root, f"width{width}", width=width)
    models.write_model(root / "noise", models.noise_graph(SIDE))
    models.write_model(root / "photo", models.photo_graph(SIDE))
    models.write_demo_lines(root, SIDE)
    models.write_model(root / "sketch", models.sketch_graph())
    return root


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[TestClient]:
    settings = Settings(models_dir=(folder,), bundled_models=False, preload=False, threads=1, max_loaded_models=12)
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


def halves(width: int = SIDE, height: int = SIDE) -> Image.Image:
    """A photo that is dark on the left and light on the right."""
    photo = np.full((height, width, 3), 40, np.uint8)
    photo[:, width // 2 :] = (200, 190, 180)
    return Image.fromarray(photo)


def ink_columns(picture: np.ndarray) -> list[int]:
    """Columns that are ink from top to bottom, of dark lines."""
    return [int(column) for column in np.flatnonzero((picture < 128).all(axis=0))]


def post(client: TestClient, model: str, photo: Image.Image, query: str = "", **headers: str) -> np.ndarray:
    path = f"/translate/{model}?from=photo{query}"
    response = client.post(path, content=png(photo), headers=PNG_TYPE | headers)
    assert response.status_code == 200, response.text
    return pixels(response.content)


# ------------------------------------------------------------------ lines of a photo


def test_a_photo_is_drawn_from_its_lines(client: TestClient) -> None:
    picture = post(client, "lines", halves())
    # The edge lies between columns 31 and 32, which are alike to the tracer.
    assert ink_columns(picture) == [30, 31, 32, 33]
    assert (np.delete(picture, range(28, 36), axis=1) == 255).all()


def test_both_steps_by_hand_give_the_same_picture(client: TestClient) -> None:
    photo = models.landscape(SIDE, SIDE)
    query = "seed=5&size=original&line_width=2"  # the width of demo-lines, whose pictures are as large as the photo
    lines = client.post(f"/translate/sketch?{query}", content=png(photo), headers=PNG_TYPE)
    by_hand = client.post("/translate/demo-lines?seed=5", content=lines.content, headers=PNG_TYPE)
    assert 0 < (pixels(lines.content) < 128).mean() < 0.5
    np.testing.assert_array_equal(post(client, "demo-lines", photo, "&seed=5"), pixels(by_hand.content))


@pytest.mark.parametrize("width", [1, 3, 5, 7])
def test_lines_have_the_width_that_the_model_was_trained_with(client: TestClient, width: int) -> None:
    model = "lines" if width == 3 else f"width{width}"
    # Both sides of the edge are as steep, so that the thinnest line is two pixels wide.
    assert len(ink_columns(post(client, model, halves()))) in (width, width + 1)


def test_lines_have_the_models_polarity(client: TestClient) -> None:
    np.testing.assert_array_equal(post(client, "night", halves()), 255 - post(client, "lines", halves()))


def test_a_tracer_of_light_lines_is_turned_for_a_model_of_dark_ones(tmp_path: Path, client: TestClient) -> None:
    line_model(tmp_path, "lines")
    models.write_model(tmp_path / "glow", models.sketch_graph(ink="light"))
    settings = Settings(models_dir=(tmp_path,), bundled_models=False, preload=False, threads=1)
    with TestClient(create_app(settings)) as other:
        np.testing.assert_array_equal(post(other, "lines", halves()), post(client, "lines", halves()))


def test_a_crowd_of_lines_is_not_taken_for_light_lines_on_dark(client: TestClient) -> None:
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8))
    picture = post(client, "width7", noise, "&trace.detail=1")
    assert picture.mean() < 40


@pytest.mark.parametrize("size", [(100, 50), (50, 100), (61, 64), (2000, 30)])
def test_no_line_is_drawn_where_the_photo_ends(client: TestClient, size: tuple[int, int]) -> None:
    """The corners of the sheet that the photo leaves empty are no part of it."""
    flat = Image.new("RGB", size, (30, 90, 60))
    assert (post(client, "lines", flat) == 255).all()
    assert (post(client, "night", flat) == 0).all()


def test_a_photo_is_fitted_like_a_drawing(client: TestClient) -> None:
    response = client.post("/translate/lines?from=photo", content=png(halves(200, 100)), headers=PNG_TYPE)
    assert response.headers["x-fit"] == "contain; scale=0.32; box=0,16,64,32"
    picture = pixels(response.content)
    assert set(ink_columns(picture[16:48])) >= {31, 32}
    assert (picture[:16] == 255).all()
    assert (picture[48:] == 255).all()


def test_the_answer_can_have_the_photos_own_size(client: TestClient) -> None:
    picture = post(client, "lines", halves(200, 100), "&size=original")
    assert picture.shape == (100, 200)
    assert set(ink_columns(picture)) >= {99, 100}


def test_photos_may_be_of_any_form_that_the_tracer_takes(client: TestClient) -> None:
    wanted = post(client, "lines", halves())
    array = io.BytesIO()
    np.save(array, np.asarray(halves()))
    for content in (encoded(halves(), "WEBP", lossless=True), encoded(halves(), "TIFF"), array.getvalue()):
        response = client.post("/translate/lines?from=photo", content=content)
        np.testing.assert_array_equal(pixels(response.content), wanted)


def test_other_inputs_go_along(client: TestClient) -> None:
    photo, hints = png(models.landscape(SIDE, SIDE)), png(models.hint_dabs(SIDE))
    plain = client.post("/translate/demo-lines?seed=1&from=photo", files={"image": photo})
    hinted = client.post("/translate/demo-lines?seed=1&from=photo", files={"image": photo, "hints": hints})
    assert (pixels(plain.content) != pixels(hinted.content)).any()


# ------------------------------------------------------------------ forms of request and answer


def test_every_form_of_request_asks_for_it(client: TestClient) -> None:
    photo, wanted = png(models.landscape(SIDE, SIDE)), post(client, "lines", models.landscape(SIDE, SIDE), "&trace.detail=0.8")
    answers = [
        client.post("/translate/lines?trace.detail=0.8", files={"image": photo}, data={"from": "photo"}),
        client.post("/translate/lines", files={"image": photo}, data={"from": "photo", "trace.detail": "0.8"}),
        client.post(
            "/translate/lines",
            json={"image": base64.b64encode(photo).decode(), "from": "photo", "trace": {"detail": 0.8}},
            headers={"Accept": "image/png"},
        ),
    ]
    for answer in answers:
        assert answer.status_code == 200, answer.text
        np.testing.assert_array_equal(pixels(answer.content), wanted)
    assert (wanted != post(client, "lines", models.landscape(SIDE, SIDE))).any()


def test_the_tracers_own_width_can_be_asked_for(client: TestClient) -> None:
    assert len(ink_columns(post(client, "lines", halves(), "&trace.line_width=7"))) > 6


def test_the_answer_says_who_traced_and_for_how_long(client: TestClient) -> None:
    path = "/translate/noise?from=photo&n=3&seed=4&strength=0.2"
    response = client.post(f"{path}&format=json", content=png(halves()), headers=PNG_TYPE)
    assert response.headers["x-traced-by"] == "sketch"
    stages = dict(re.findall(r"(\w+);dur=([\d.]+)", response.headers["server-timing"]))
    assert set(stages) == {"decode", "queue", "infer", "encode", "trace"}
    answer = response.json()
    assert answer["traced_by"] == "sketch"
    assert answer["timings"]["trace"] > 0
    assert [image["seed"] for image in answer["images"]] == [4, 5, 6]
    assert len({image["image"] for image in answer["images"]}) == 3
    sheet = client.post(path, content=png(halves()), headers=PNG_TYPE)
    assert pixels(sheet.content).shape == (2 * SIDE + 4, 2 * SIDE + 4)
    metrics = client.get("/metrics").text
    assert re.search(r'inkwash_stage_seconds_count\{model="noise",stage="trace"\}', metrics)


def test_without_it_nothing_is_said_of_tracing(client: TestClient) -> None:
    response = client.post("/translate/lines?format=json", content=png(halves()), headers=PNG_TYPE)
    assert "x-traced-by" not in response.headers
    assert response.json()["traced_by"] is None
    assert "trace" not in response.json()["timings"]


def test_the_description_of_the_api_tells_of_it(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    parameters = {entry["name"]: entry for entry in document["paths"]["/translate/{model}"]["post"]["parameters"]}
    assert parameters["from"]["schema"]["enum"] == ["photo"]
    assert {"from", "trace"} <= set(document["components"]["schemas"]["TranslateBody"]["properties"])
    assert "no_tracer" in document["paths"]["/translate/{model}"]["post"]["responses"]["422"]["description"]
    assert "from" in client.get("/docs").text


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("path", "parameter", "detail"),
    [
        ("/translate/photo?from=photo", "from", "the main input 'photo' of 'photo' is of kind photo; leave 'from' out"),
        ("/translate/lines?from=scan", "from", "'from' is 'scan'; it must be photo"),
        ("/translate/lines?from=", "from", "it must be photo"),
        ("/translate/lines?from=photo&trace.detail=2", "trace.detail", "it must be a float from 0 to 1"),
        ("/translate/lines?from=photo&trace.grain=1", "trace.grain", "its parameters are: detail, line_width"),
        ("/translate/lines?trace.detail=0.5", "trace.detail", "ask for from=photo too"),
        ("/translate/lines?from=photo&detail=0.5", "detail", "is not a parameter of 'lines'"),
    ],
)
def test_what_makes_no_sense_is_named(client: TestClient, path: str, parameter: str, detail: str) -> None:
    problem = assert_error(client.post(path, content=png(halves()), headers=PNG_TYPE), 422, "bad_parameter")
    assert problem["parameter"] == parameter
    assert detail in problem["detail"]


@pytest.mark.parametrize(
    ("change", "parameter"), [({"from": 5}, "from"), ({"from": "photo", "trace": {"detail": "much"}}, "trace")]
)
def test_json_values_that_are_wrong_are_named(client: TestClient, change: dict[str, object], parameter: str) -> None:
    response = client.post("/translate/lines", json={"image": base64.b64encode(png(halves())).decode(), **change})
    assert assert_error(response, 422, "bad_parameter")["parameter"] == parameter


def test_a_range_is_told_for_the_tracers_parameters(client: TestClient) -> None:
    response = client.post("/translate/lines?from=photo&trace.detail=2", content=png(halves()), headers=PNG_TYPE)
    assert response.json()["range"] == [0.0, 1.0]


def test_a_server_without_a_tracer_says_so(make_client: MakeClient) -> None:
    problem = assert_error(make_client().post("/translate/copy?from=photo", content=png(halves())), 422, "no_tracer")
    assert "output.line" in problem["detail"]


def test_a_bad_or_missing_photo_is_refused_as_usual(client: TestClient, make_client: MakeClient, folder: Path) -> None:
    path = "/translate/lines?from=photo"
    assert_error(client.post(path, content=b"no picture", headers=PNG_TYPE), 400, "bad_image")
    assert_error(client.post(path, json={}), 422, "missing_input")
    array = io.BytesIO()
    np.save(array, np.zeros((8, 8, 5), np.uint8))
    assert "5 channels" in assert_error(client.post(path, content=array.getvalue()), 400, "bad_image")["detail"]
    small = make_client(models_dir=(folder,), max_pixels=5000)
    assert_error(small.post(path, content=png(halves(80, 80)), headers=PNG_TYPE), 413, "image_too_large")


def test_too_many_large_answers_are_refused_before_the_photo_is_traced(
    make_client: MakeClient, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_client(models_dir=(folder,), max_pixels=10_000)

    async def refuse(*_: object) -> None:
        raise AssertionError("a model was about to run")

    monkeypatch.setattr(client.app.state.service.engine, "submit", refuse)  # type: ignore[attr-defined]
    path = "/translate/noise?from=photo&size=original&n=4"
    problem = assert_error(client.post(path, content=png(halves(60, 60)), headers=PNG_TYPE), 422, "bad_parameter")
    assert problem["range"] == [1, 2]


# ------------------------------------------------------------------ queues and deadlines


class Sessions:
    """Fake sessions by model, of which those named wait for permission."""

    def __init__(self, *slow: str) -> None:
        self.made: dict[str, FakeSession] = {}
        self._slow = slow
        self._is_made = threading.Condition()

    def __call__(self, entry: Entry) -> Session:
        with self._is_made:
            session = self.made[entry.id] = FakeSession(is_open=entry.id not in self._slow)
            self._is_made.notify_all()
        return session

    def wait_for(self, model: str) -> FakeSession:
        with self._is_made:
            assert self._is_made.wait_for(lambda: model in self.made, timeout=10)
        self.made[model].wait_until_running()
        return self.made[model]


@pytest.mark.parametrize("slow", ["sketch", "lines"])
def test_a_turn_that_comes_too_late_in_either_step_is_a_timeout(make_client: MakeClient, folder: Path, slow: str) -> None:
    sessions = Sessions(slow)
    client = make_client(load=sessions, models_dir=(folder,), deadline_seconds=0.3)
    with ThreadPoolExecutor(1) as others:
        first = others.submit(client.post, "/translate/lines?from=photo", content=png(halves()))
        busy = sessions.wait_for(slow)
        assert_error(client.post("/translate/lines?from=photo", content=png(halves())), 504, "timeout")
        busy.open()
        # A run that has begun is finished, but for the step after it the time is up as well.
        assert first.result().status_code == {"sketch": 504, "lines": 200}[slow]


def test_both_steps_have_one_deadline(make_client: MakeClient, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = make_client(models_dir=(folder,))
    engine = client.app.state.service.engine  # type: ignore[attr-defined]
    asked, submit = [], engine.submit

    async def note(model: str, who: str, prepare: object, deadline: float | None = None) -> object:
        asked.append((model, who, deadline))
        return await submit(model, who, prepare, deadline)

    monkeypatch.setattr(engine, "submit", note)
    assert client.post("/translate/noise?from=photo&n=2", content=png(halves())).status_code == 200
    assert [model for model, _, _ in asked] == ["sketch", "noise", "noise"]
    assert len({deadline for _, _, deadline in asked}) == 1
    assert asked[0][2] is not None
    assert {who for _, who, _ in asked} == {"http:testclient"}


def test_a_full_queue_of_the_tracer_refuses(make_client: MakeClient, folder: Path) -> None:
    sessions = Sessions("sketch")
    client = make_client(load=sessions, models_dir=(folder,), queue_size=1)
    with ThreadPoolExecutor(1) as others:
        first = others.submit(client.post, "/translate/sketch", content=png(halves()))
        busy = sessions.wait_for("sketch")
        problem = assert_error(client.post("/translate/lines?from=photo", content=png(halves())), 429, "queue_full")
        assert "'sketch'" in problem["detail"]
        busy.open()
        assert first.result().status_code == 200
    assert client.post("/translate/lines?from=photo", content=png(halves())).status_code == 200


def test_a_tracer_that_cannot_be_loaded_is_told_by_name(tmp_path: Path) -> None:
    line_model(tmp_path, "lines")
    models.write_model(tmp_path / "sketch", models.sketch_graph(), change=lambda manifest: manifest.update(sha256="0" * 64))
    settings = Settings(models_dir=(tmp_path,), bundled_models=False, preload=False, threads=1)
    with TestClient(create_app(settings)) as client:
        problem = assert_error(client.post("/translate/lines?from=photo", content=png(halves())), 503, "model_failed")
        assert "'sketch'" in problem["detail"]
        assert client.post("/translate/lines", content=png(halves())).status_code == 200


# ------------------------------------------------------------------ which model traces


def manifest_of(graph: models.Graph, folder: Path) -> Manifest:
    return Manifest.model_validate_json((models.write_model(folder, graph) / "manifest.json").read_text(encoding="utf-8"))


def test_a_tracer_makes_lines_of_one_photo_and_nothing_else(tmp_path: Path) -> None:
    sketch = models.sketch_graph()
    assert is_tracer(manifest_of(sketch, tmp_path / "sketch"))
    others = {
        "of-lines": models.identity_graph(16),
        "to-photo": models.photo_graph(16),
        "mask": replace(sketch, output={"size": sketch.output["size"], "channels": 1}),
        "two": replace(sketch, inputs=(*sketch.inputs, models.photo_input("second"))),
        "bands": replace(sketch, inputs=(models.photo_input("photo", channels=5),)),
    }
    assert not any(is_tracer(manifest_of(graph, tmp_path / name)) for name, graph in others.items())


@pytest.fixture
def two_tracers(tmp_path: Path) -> Catalog:
    for name in ("outline", "edges"):
        models.write_model(tmp_path / name, models.sketch_graph())
    line_model(tmp_path, "aaa")
    return read_catalog([tmp_path])


@pytest.mark.parametrize(("wanted", "chosen"), [(None, "edges"), ("", "edges"), ("outline", "outline")])
def test_the_first_tracer_by_id_is_taken_or_the_one_that_is_named(
    two_tracers: Catalog, wanted: str | None, chosen: str
) -> None:
    entry = choose_tracer(two_tracers, wanted)
    assert entry is not None
    assert entry.id == chosen


@pytest.mark.parametrize("wanted", ["aaa", "absent"])
def test_naming_a_model_that_does_not_trace_stops_the_start(two_tracers: Catalog, wanted: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"INKWASH_TRACER is '{wanted}', .* there are: edges, outline\."):
        choose_tracer(two_tracers, wanted)


def test_a_named_tracer_whose_folder_is_broken_stops_nothing(two_tracers: Catalog) -> None:
    assert choose_tracer(replace(two_tracers, broken=(Broken("mine", "empty"),)), "mine") is None


def test_the_setting_reaches_the_page_and_the_list(make_client: MakeClient, folder: Path, tmp_path: Path) -> None:
    models.write_model(tmp_path / "zebra", models.sketch_graph())
    assert make_client(models_dir=(folder,)).get("/models").json()["tracer"] == "sketch"
    assert make_client().get("/models").json()["tracer"] is None
    named = make_client(models_dir=(folder, tmp_path), tracer="zebra")
    assert named.get("/models").json()["tracer"] == "zebra"
    assert '"tracer":"zebra"' in named.get("/").text


def trace_of(tracer: models.Graph, model: models.Graph, folder: Path) -> tuple[Trace, Manifest]:
    drawn = manifest_of(model, folder / "model")
    return checked_trace(drawn, manifest_of(tracer, folder / "tracer"), "photo", {}), drawn


@pytest.mark.parametrize(
    ("side", "width", "given"),
    [(64, 3.0, 3.0), (128, 3.0, 6.0), (32, 3.0, 1.5), (256, 3.0, 8.0), (32, 1.0, 1.0)],
    ids=["alike", "twice", "half", "too wide", "too thin"],
)
def test_a_tracer_of_another_size_draws_as_wide_as_will_be_right(tmp_path: Path, side: int, width: float, given: float) -> None:
    extent = {"height": side, "width": side}
    graph = models.identity_graph(SIDE)
    wanted = replace(graph, inputs=(models.line_input(size=SIDE, width=width),))
    trace, model = trace_of(models.sketch_graph(size=extent), wanted, tmp_path)
    prepared = prepare_trace(trace, model, png(halves()), LIMITS).prepared
    assert prepared.parameters == {"detail": 0.5, "line_width": given}
    assert prepared.images["photo"].shape == (side, side, 3)


def test_a_tracer_without_a_width_draws_as_it_does(tmp_path: Path) -> None:
    graph = models.sketch_graph()
    fixed = replace(graph, output=graph.output | {"line": {"ink": "dark"}})
    trace, model = trace_of(fixed, models.identity_graph(SIDE), tmp_path)
    assert trace.line_width_px is None
    assert prepare_trace(trace, model, png(halves()), LIMITS).prepared.parameters["line_width"] == 3.0


def test_photos_are_traced_at_the_models_scale(tmp_path: Path) -> None:
    trace, model = trace_of(models.sketch_graph(), models.identity_graph(SIDE), tmp_path)
    given = prepare_trace(trace, model, encoded(halves(1200, 800), "JPEG"), LIMITS)
    assert (given.width, given.height) == (1200, 800)
    assert given.prepared.images["photo"].shape == (64, 96, 3)  # 64 x 43, at least 64 a side and multiples of 16
    assert given.prepared.fit.box == (0, 0, 95, 64)


# ------------------------------------------------------------------ a tracer by itself


def test_a_tracer_is_served_like_any_photo_model(client: TestClient) -> None:
    photo = png(models.landscape(100, 70))
    fitted = pixels(client.post("/translate/sketch", content=photo).content)
    assert fitted.shape == (80, 112)
    restored = client.post("/translate/sketch?size=original", content=photo)
    np.testing.assert_array_equal(pixels(restored.content), fitted[5:75, 6:106])
    assert client.get("/models/sketch").json()["output"]["line"] == {"ink": "dark", "width_parameter": "line_width"}


def test_around_a_photo_that_a_tracer_gets_there_is_paper_and_no_frame(client: TestClient) -> None:
    flat = png(Image.new("RGB", (100, 70), (20, 40, 90)))
    assert (pixels(client.post("/translate/sketch", content=flat).content) == 255).all()
    edge = pixels(client.post("/translate/sketch", content=png(halves(100, 70))).content)
    assert len(ink_columns(edge[5:75])) in (3, 4)
    assert (edge[:5] == 255).all()
    assert (edge[75:] == 255).all()


def test_a_tracers_parameters_variations_and_formats(client: TestClient) -> None:
    photo = png(models.landscape(64, 64))
    ink = [(pixels(client.post(f"/translate/sketch?detail={d}", content=photo).content) < 128).mean() for d in (0, 0.5, 1)]
    assert ink[0] < ink[1] < ink[2]
    sheet = client.post("/translate/sketch?n=4&format=webp", content=photo)
    assert pixels(sheet.content).shape[:2] == (132, 132)
    answer = client.post("/translate/sketch?n=2&format=json", content=photo).json()
    assert len(answer["images"]) == 2
    assert (answer["width"], answer["height"]) == (64, 64)


def test_a_tracer_answers_live(client: TestClient) -> None:
    photo = png(models.landscape(96, 64))
    with client.websocket_connect("/live/sketch") as socket:
        socket.receive_json()
        socket.send_bytes(frame(1, {"photo": photo}, params={"detail": 0.9, "line_width": 1}, type="image/png"))
        answer = read_answer(socket.receive_bytes())
    assert (answer.header["width"], answer.header["height"]) == (96, 64)
    wanted = client.post("/translate/sketch?detail=0.9&line_width=1", content=photo)
    np.testing.assert_array_equal(pixels(answer.picture), pixels(wanted.content))


def test_a_tracer_in_tiles(tmp_path: Path, make_client: MakeClient) -> None:
    graph = models.sketch_graph(size={"height": 64, "width": 64})
    models.write_model(tmp_path / "sketch", replace(graph, output=graph.output | {"tiling": {"overlap": 16}}))
    client = make_client(models_dir=(tmp_path,))
    picture = pixels(client.post("/translate/sketch?size=original", content=png(halves(200, 150))).content)
    assert picture.shape == (150, 200)
    assert len(ink_columns(picture)) in (3, 4)

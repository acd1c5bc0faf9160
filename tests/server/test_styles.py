"""`style`: a picture whose latent is used, over HTTP and live, for models whose manifest has `encode`."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from server.app import create_app
from server.catalog import read_catalog, read_entry
from server.errors import BadImageError, ModelError, ModelFailedError
from server.imaging import ImageLimits
from server.latents import mixed_latent, parse_mix
from server.manifest import Manifest
from server.providers import PROVIDERS
from server.session import Array, Feeds, OrtSession, Session, SessionOptions
from server.settings import Settings
from server.styles import Styles, fitted
from server.translator import load_session
from tests.server import models
from tests.server.conftest import MakeClient, encoded, pixels, png
from tests.server.livechat import Answer, frame, read_answer
from tests.server.problem import assert_error

SIZE = 16
LIMITS = ImageLimits(10**7, 10**4)
GRAY = png(Image.new("L", (SIZE, SIZE), 128))
"""The picture that is coloured: at half lightness every colour has room."""

RED, BLUE = (png(Image.new("RGB", (40, 20), color)) for color in ((170, 110, 110), (110, 120, 180)))
PNG_TYPE = {"Content-Type": "image/png"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("styled")
    models.write_demo_many(root, SIZE)
    models.write_model(root / "noise", models.noise_graph(SIZE))
    return root


@pytest.fixture(scope="module")
def manifest(folder: Path) -> Manifest:
    return read_entry(folder / "demo-many").manifest


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[TestClient]:
    settings = Settings(models_dir=(folder,), bundled_models=False, preload=False, threads=1)
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def session(folder: Path) -> OrtSession:
    return load_session(read_entry(folder / "demo-many"), SessionOptions(PROVIDERS["cpu"], 1), LIMITS)


def mean_color(content: bytes) -> np.ndarray:
    return np.asarray(pixels(content).reshape(-1, 3).mean(0))


def chroma(content: bytes) -> tuple[float, float]:
    """Mean Cb and Cr, from -128 to 127."""
    red, green, blue = mean_color(content)
    return -0.168736 * red - 0.331264 * green + 0.5 * blue, 0.5 * red - 0.418688 * green - 0.081312 * blue


def send(client: TestClient, query: str = "", style: bytes | None = RED, model: str = "demo-many", **data: str) -> Any:
    files = {"image": GRAY} | ({"style": style} if style is not None else {})
    return client.post(f"/translate/{model}?{query}", files=files, data=data)


def stages(response: Any) -> dict[str, float]:
    found = re.findall(r"(\w+);dur=([\d.e-]+)", response.headers["server-timing"])
    return {name: float(value) for name, value in found}


@pytest.mark.parametrize("style", [RED, BLUE])
def test_the_picture_has_the_colours_of_the_style(client: TestClient, style: bytes) -> None:
    response = send(client, style=style)
    assert response.status_code == 200
    np.testing.assert_allclose(chroma(response.content), chroma(style), atol=1.5)  # two roundings to bytes
    assert response.headers["x-mix"] == "style:1"
    assert {"decode", "style", "queue", "infer", "encode"} == set(stages(response))


def test_a_style_alone_is_a_mix_of_it_alone(client: TestClient) -> None:
    assert send(client, "mix=style:0.2").content == send(client).content


def test_a_style_is_mixed_with_seeds(client: TestClient, folder: Path, manifest: Manifest) -> None:
    response = send(client, "mix=3:0.5,style:1.5", RED)
    encoder, graph = (
        onnxruntime.InferenceSession(folder / "demo-many" / name, providers=["CPUExecutionProvider"])
        for name in ("encode.onnx", "model.onnx")
    )
    style = encoder.run(None, {"style": np.asarray(Image.new("RGB", (SIZE, SIZE), (170, 110, 110)))[None]})[0][0]
    latent = mixed_latent(parse_mix("3:0.5,style:1.5"), manifest.latent, style)[None]  # type: ignore[arg-type]
    gray, temperature = np.full((1, SIZE, SIZE, 1), 128, np.uint8), np.ones((1, 1), np.float32)
    expected = graph.run(None, {"gray": gray, "latent": latent, "temperature": temperature})[0][0]
    np.testing.assert_allclose(pixels(response.content).astype(int), expected.astype(int), atol=2)  # laid under the luma again
    assert response.headers["x-mix"] == "3:0.5,style:1.5"


def test_a_style_of_no_weight_is_not_encoded(client: TestClient) -> None:
    response = send(client, "mix=3:1,style:0")
    assert response.content == send(client, "seed=3", None).content
    assert response.headers["x-mix"] == "3:1"
    assert "style" not in stages(response)


@pytest.mark.parametrize("place", ["style", "inputs"])
def test_json_carries_a_style(client: TestClient, place: str) -> None:
    style = {"style": "data:image/png;base64," + base64.b64encode(RED).decode()}
    body = {"image": base64.b64encode(GRAY).decode(), **(style if place == "style" else {"inputs": style})}
    response = client.post("/translate/demo-many?format=json", json=body)
    answer = response.json()
    assert answer["mix"] == "style:1"
    assert set(answer["timings"]) == {"decode", "queue", "infer", "encode", "style"}
    content = base64.b64decode(answer["images"][0]["image"].removeprefix("data:image/png;base64,"))
    np.testing.assert_array_equal(pixels(content), pixels(send(client).content))


def test_a_form_field_may_name_the_style(client: TestClient) -> None:
    assert send(client, mix="style:1,5:0").content == send(client).content


@pytest.mark.parametrize("image_format", ["JPEG", "WEBP", "TIFF"])
def test_a_style_may_have_any_format_of_a_photo(client: TestClient, image_format: str) -> None:
    style = encoded(Image.new("RGB", (90, 50), (170, 110, 110)), image_format)
    np.testing.assert_allclose(chroma(send(client, style=style).content), chroma(RED), atol=3)  # JPEG and WebP shift colours


@pytest.mark.parametrize(
    ("query", "style", "model", "code", "said"),
    [
        ("mix=3:1", RED, "demo-many", "bad_parameter", "'mix' (3:1) has no term 'style'; add one or drop the picture"),
        ("mix=3:1,style:1", None, "demo-many", "bad_parameter", "no picture 'style' came along; send one or drop the term"),
        ("n=2", RED, "demo-many", "bad_parameter", "'style' makes one latent, and 'n' is 2; leave one of them out"),
        ("n=2&mix=style", RED, "demo-many", "bad_parameter", "one latent, and 'n' is 2"),
        ("", RED, "noise", "unknown_input", "'noise' takes no styles"),
        ("mix=style", RED, "noise", "bad_parameter", "'noise' takes no styles; leave the term out"),
        ("style=x", None, "demo-many", "bad_parameter", "'style' is a picture and no text"),
    ],
)
def test_a_style_that_cannot_be_is_refused(
    client: TestClient, query: str, style: bytes | None, model: str, code: str, said: str
) -> None:
    assert said in assert_error(send(client, query, style, model), 422, code)["detail"]


def test_a_raw_body_has_no_style(client: TestClient) -> None:
    response = client.post("/translate/demo-many?mix=style", content=GRAY, headers=PNG_TYPE)
    assert "no picture 'style' came along" in assert_error(response, 422, "bad_parameter")["detail"]


def test_a_style_that_is_no_picture_is_told_by_its_name(client: TestClient) -> None:
    assert "'style' cannot be used. These bytes" in assert_error(send(client, style=b"rubbish"), 400, "bad_image")["detail"]


def test_a_style_sent_twice_is_refused(client: TestClient) -> None:
    style = {"style": base64.b64encode(RED).decode()}
    body = {"image": base64.b64encode(GRAY).decode(), **style, "inputs": style}
    problem = assert_error(client.post("/translate/demo-many", json=body), 422, "unknown_input")
    assert "'style' was sent twice" in problem["detail"]


def test_a_style_has_the_bounds_of_pictures(make_client: MakeClient, folder: Path) -> None:
    client = make_client(models_dir=(folder,), max_pixels=600)
    problem = assert_error(send(client), 413, "image_too_large")
    assert "'style' cannot be used" in problem["detail"]
    assert (problem["width"], problem["height"]) == (40, 20)


def test_the_middle_of_a_style_fills_its_input(manifest: Manifest) -> None:
    """No background, which the encoder would take for a part of the style, and nothing out of proportion."""
    assert manifest.encode is not None
    wide = np.zeros((32, 96, 3), np.uint8)
    wide[:, :32], wide[:, 32:64], wide[:, 64:] = (255, 0, 0), (0, 200, 0), (0, 0, 255)
    for picture in (wide, wide.transpose(1, 0, 2)):
        found = fitted(manifest.encode.input, png(picture), LIMITS)
        assert found.shape == (SIZE, SIZE, 3)
        np.testing.assert_array_equal(found[4:12, 4:12], np.broadcast_to((0, 200, 0), (8, 8, 3)))
        assert found[..., 1].min() > 100


def test_a_style_of_flexible_size_fills_its_canvas(manifest: Manifest) -> None:
    assert manifest.encode is not None
    size = {"multiple_of": 8, "min": 16, "max": 64}
    spec = type(manifest.encode.input).model_validate(manifest.encode.input.model_dump() | {"size": size})
    found = fitted(spec, png(Image.new("RGB", (100, 37), (1, 2, 3))), LIMITS)
    assert found.shape == (24, 64, 3)
    np.testing.assert_array_equal(np.unique(found.reshape(-1, 3), axis=0), [[1, 2, 3]])


def test_an_array_of_many_channels_is_no_style(manifest: Manifest) -> None:
    content = io.BytesIO()
    np.save(content, np.zeros((8, 8, 5), np.uint8))
    assert manifest.encode is not None
    with pytest.raises(BadImageError, match=r"'style' cannot be used\. Input 'style' is an array of 5 channels"):
        fitted(manifest.encode.input, content.getvalue(), LIMITS)


class CountingSession:
    """Encodes nothing; counts how often it was asked to."""

    provider = "CountingExecutionProvider"
    batch_limit = 1

    def __init__(self, value: float = 1.0) -> None:
        self.encoded = self.runs = 0
        self.latents: set[bytes] = set()
        self.value = value

    def run(self, feeds: Feeds) -> Array:
        self.runs += 1
        self.latents.add(feeds["latent"].tobytes())
        return np.repeat(feeds["gray"], 3, axis=3)

    def encode(self, styles: Array) -> Array:
        self.encoded += 1
        assert styles.shape == (1, SIZE, SIZE, 3)
        return np.full((1, 2, 2, 2), self.value * self.encoded, np.float32)


def test_a_style_that_comes_again_is_not_encoded_again(manifest: Manifest) -> None:
    styles, session = Styles(), CountingSession()
    first, again, other = (styles.latent(styles.open(manifest, content, LIMITS), session) for content in (RED, RED, BLUE))
    assert session.encoded == 2
    assert first is again
    assert (first != other).all()


@pytest.mark.parametrize("mix", [None, "3:1", "3:1,style:0"])
def test_a_style_that_is_not_wanted_is_not_opened(manifest: Manifest, mix: str | None) -> None:
    """Not even looked at: these bytes are no picture."""
    parsed = parse_mix(mix) if mix else None
    assert Styles().open_wanted(manifest, b"rubbish", parsed, LIMITS) is None


def test_a_style_that_is_wanted_is_opened(manifest: Manifest) -> None:
    mix = parse_mix("3:1,style:0.1")
    assert Styles().open_wanted(manifest, None, mix, LIMITS) is None
    opened = Styles().open_wanted(manifest, RED, mix, LIMITS)
    assert opened is not None
    assert opened.key == Styles().open(manifest, RED, LIMITS).key


def test_only_the_last_styles_are_kept(manifest: Manifest) -> None:
    styles, session = Styles(most_bytes=2 * 32), CountingSession()  # a latent of the model has 8 numbers
    pictures = [png(Image.new("RGB", (4, 4), (shade, 0, 0))) for shade in range(3)]
    for picture in (pictures[0], pictures[1], pictures[0], pictures[2]):
        styles.latent(styles.open(manifest, picture, LIMITS), session)
    assert session.encoded == 3
    styles.latent(styles.open(manifest, pictures[0], LIMITS), session)
    assert session.encoded == 3
    styles.latent(styles.open(manifest, pictures[1], LIMITS), session)
    assert session.encoded == 4


def test_a_style_is_kept_for_its_encoder_alone(manifest: Manifest) -> None:
    styles, session = Styles(), CountingSession()
    assert manifest.encode is not None
    other = manifest.model_copy(update={"encode": manifest.encode.model_copy(update={"sha256": "0" * 64})})
    for each in (manifest, other):
        styles.latent(styles.open(each, RED, LIMITS), session)
    assert session.encoded == 2


def test_an_encoder_that_fails_is_told(manifest: Manifest) -> None:
    class Failing(CountingSession):
        def encode(self, styles: Array) -> Array:  # noqa: ARG002
            raise RuntimeError("out of memory on the device")

    styles = Styles()
    with pytest.raises(ModelFailedError, match="the server's log says why"):
        styles.latent(styles.open(manifest, RED, LIMITS), Failing())


NOT_FINITE = "'style' cannot be used: its latent is not finite; send another picture."


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_style_whose_latent_is_not_finite_is_a_bad_picture(make_client: MakeClient, folder: Path, value: float) -> None:
    """No fault of the server's that would pass: the same picture fails again, so that nobody is told to try again."""
    response = send(make_client(lambda _: CountingSession(value), models_dir=(folder,)))
    assert assert_error(response, 400, "bad_image")["detail"] == NOT_FINITE
    assert "retry-after" not in response.headers


def test_a_live_frame_whose_style_has_no_finite_latent_is_told_and_the_socket_stays_open(
    make_client: MakeClient, folder: Path
) -> None:
    client = make_client(lambda _: CountingSession(float("nan")), models_dir=(folder,))
    with client.websocket_connect("/live/demo-many") as socket:
        socket.receive_json()
        for number in range(2):  # nor is such a latent kept and used the next time
            socket.send_bytes(frame(number, {"image": GRAY, "style": RED}))
            told = socket.receive_json()
            assert (told["event"], told["id"], told["status"], told["code"]) == ("error", number, 400, "bad_image")
            assert told["detail"] == NOT_FINITE
            assert "retry_after" not in told
        assert talk(socket, 2, None, seed=1).header["id"] == 2


def talk(socket: Any, number: int, style: bytes | None, **header: Any) -> Answer:
    pictures = {"image": GRAY} | ({"style": style} if style is not None else {})
    socket.send_bytes(frame(number, pictures, type="image/png", **header))
    return read_answer(socket.receive_bytes())


def test_live_frames_carry_styles(client: TestClient) -> None:
    with client.websocket_connect("/live/demo-many") as socket:
        socket.receive_json()
        for number, style in enumerate((RED, BLUE, RED)):
            answer = talk(socket, number, style)
            np.testing.assert_allclose(chroma(answer.picture), chroma(style), atol=1.5)
            assert answer.header["mix"] == "style:1"
            assert set(answer.header["timings"]) == {"decode", "queue", "infer", "encode", "style"}
        plain = talk(socket, 4, None, seed=3)
        assert set(plain.header["timings"]) == {"decode", "queue", "infer", "encode"}
        mixed = talk(socket, 5, RED, mix=[{"seed": 3, "weight": 2}, {"style": True, "weight": 0}])
        np.testing.assert_array_equal(pixels(mixed.picture), pixels(plain.picture))
        assert mixed.header["mix"] == "3:2"


def test_live_frames_of_one_style_encode_it_once(make_client: MakeClient, folder: Path) -> None:
    session = CountingSession()

    def load(_: object) -> Session:
        return session

    client = make_client(load, models_dir=(folder,))
    with client.websocket_connect("/live/demo-many") as socket:
        socket.receive_json()
        for number in range(4):
            talk(socket, number, RED)
    assert send(client).status_code == 200
    assert session.encoded == 1


def test_all_tiles_of_a_photo_have_the_one_latent_of_a_style(make_client: MakeClient, tmp_path: Path) -> None:
    graph = models.many_graph(SIZE)
    models.write_model(tmp_path / "tiled", replace(graph, output=graph.output | {"tiling": {"overlap": 4}}))
    session = CountingSession()
    client = make_client(lambda _: session, models_dir=(tmp_path,))
    large = png(Image.new("L", (50, 40), 128))
    response = client.post("/translate/tiled", files={"image": large, "style": RED})
    assert response.headers["x-fit"].startswith("tiles")
    assert (session.encoded, session.runs) == (1, 12)  # four tiles across and three down
    assert len(session.latents) == 1
    assert "style" in stages(response)


def test_live_frames_with_a_style_that_cannot_be_are_told(client: TestClient) -> None:
    with client.websocket_connect("/live/demo-many") as socket:
        socket.receive_json()
        for number, (style, mix, code) in enumerate(
            ((RED, "3", "bad_parameter"), (None, "style", "bad_parameter"), (b"x", None, "bad_image"))
        ):
            socket.send_bytes(frame(number, {"image": GRAY} | ({"style": style} if style else {}), mix=mix))
            told = socket.receive_json()
            assert (told["id"], told["code"]) == (number, code)
        assert talk(socket, 9, RED).header["id"] == 9
    with client.websocket_connect("/live/noise") as socket:
        socket.receive_json()
        socket.send_bytes(frame(1, {"image": GRAY, "style": RED}))
        assert socket.receive_json()["code"] == "unknown_input"


def test_a_manifest_tells_of_its_encoder_and_the_graph_is_served(client: TestClient, folder: Path) -> None:
    told = client.get("/models/demo-many").json()["encode"]
    assert told["input"]["name"] == "style"
    response = client.get("/models/demo-many/encode.onnx", params={"sha256": told["sha256"]})
    assert response.content == (folder / "demo-many" / "encode.onnx").read_bytes()
    assert hashlib.sha256(response.content).hexdigest() == told["sha256"]
    assert "immutable" in response.headers["cache-control"]
    again = client.get("/models/demo-many/encode.onnx", headers={"If-None-Match": response.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["cache-control"] == "no-cache"
    assert "'noise' takes no styles" in assert_error(client.get("/models/noise/encode.onnx"), 404, "not_found")["detail"]
    assert client.get("/models/noise").json()["encode"] is None


def test_the_api_description_knows_mix_and_style(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    operation = document["paths"]["/translate/{model}"]["post"]
    assert "mix" in {parameter["name"] for parameter in operation["parameters"]}
    assert "style" in operation["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]
    body = document["components"]["schemas"]["TranslateBody"]["properties"]
    assert {"mix", "style"} <= set(body)
    assert json.dumps(body["mix"]).count('"weight"') == 1
    assert "/models/{model}/encode.onnx" in document["paths"]


def test_a_folder_without_its_encoder_is_reported(tmp_path: Path) -> None:
    folder = models.write_demo_many(tmp_path, SIZE)
    (folder / "encode.onnx").unlink()
    catalog = read_catalog([tmp_path])
    assert len(catalog) == 0
    assert [broken.reason for broken in catalog.broken] == ["encode.onnx is missing; export the model again."]


def spoil(folder: Path, text: str) -> None:
    """Gives a model another encoder, with its digest in the manifest."""
    content = onnx.parser.parse_model(text).SerializeToString()
    (folder / "encode.onnx").write_bytes(content)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest["encode"]["sha256"] = hashlib.sha256(content).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


@pytest.mark.parametrize(
    ("takes", "gives", "said"),
    [
        ("uint8[N,16,16,3] photo", "float[N,2,2,2]", "the inputs photo and 1 outputs"),
        ("uint8[N,16,16,1] style", "float[N,2,2,2]", "input 'style' has shape"),
        ("float[N,16,16,3] style", "float[N,2,2,2]", "input 'style' has type tensor(float)"),
        ("uint8[N,16,16,3] style", "float[N,2,2]", "output 'latent' has shape"),
        ("uint8[N,16,16,3] style", "uint8[N,2,2,2]", "output 'latent' has type tensor(uint8)"),
        ("uint8[N,H,W,C] style", "float[A,B,C,D]", "gave a latent of shape [1, 16, 16, 3]; the manifest says [1, 2, 2, 2]"),
    ],
)
def test_an_encoder_that_breaks_the_contract_is_refused(tmp_path: Path, takes: str, gives: str, said: str) -> None:
    folder = models.write_demo_many(tmp_path, SIZE)
    cast = f"Cast <to = {2 if gives.startswith('uint8') else 1}> ({takes.split()[-1]})"
    spoil(folder, f'<ir_version: 9, opset_import: ["": 17]> encode ({takes}) => ({gives} latent) {{ latent = {cast} }}')
    with pytest.raises(ModelError) as caught:
        load_session(read_entry(folder), SessionOptions(PROVIDERS["cpu"], 1), LIMITS)
    assert said in str(caught.value)
    assert "encode.onnx" in str(caught.value)


def test_an_encoder_of_another_digest_fails_the_model_and_not_the_server(make_client: MakeClient, tmp_path: Path) -> None:
    folder = models.write_demo_many(tmp_path, SIZE)
    (folder / "encode.onnx").write_bytes((folder / "model.onnx").read_bytes())
    client = make_client(models_dir=(tmp_path,))
    problem = assert_error(send(client, "", None), 503, "model_failed")
    assert "encode.onnx has sha256" in problem["detail"]
    (summary,) = client.get("/models").json()["models"]
    assert summary["status"] == "failed"
    assert "encode.onnx" in summary["reason"]


def test_a_session_encodes_a_style(session: OrtSession) -> None:
    latent = session.encode(np.broadcast_to(np.array((170, 110, 110), np.uint8), (1, SIZE, SIZE, 3)))
    assert latent.shape == (1, 2, 2, 2)
    np.testing.assert_allclose(latent[0, :, 0, 0] * 40, chroma(RED), atol=0.01)

"""POST /translate: every form of request and answer."""

from __future__ import annotations

import base64
import json
import re

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from tests.server import models
from tests.server.conftest import MakeClient, encoded, pixels, png
from tests.server.problem import assert_error

PNG_TYPE = {"Content-Type": "image/png"}


def data_url(content: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(content).decode()


def test_a_raw_body_is_the_main_input(client: TestClient, cat: bytes) -> None:
    response = client.post("/translate/copy", content=cat, headers=PNG_TYPE)
    assert response.status_code == 200
    assert response.headers["content-type"] == "image/png"
    np.testing.assert_array_equal(pixels(response.content), pixels(cat))


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "application/octet-stream"}, {"Content-Type": "image/webp"}])
def test_the_bytes_tell_the_format_whatever_is_declared(client: TestClient, cat: bytes, headers: dict[str, str]) -> None:
    assert client.post("/translate/copy", content=cat, headers=headers).status_code == 200


def test_answers_carry_all_headers(client: TestClient, cat: bytes) -> None:
    response = client.post("/translate/copy?seed=9", content=cat, headers=PNG_TYPE | {"X-Request-ID": "abc-1"})
    assert response.headers["x-model"] == "copy"
    assert response.headers["x-seed"] == "9"
    assert response.headers["x-request-id"] == "abc-1"
    assert response.headers["x-fit"] == "contain; scale=1; box=0,0,16,16"
    assert response.headers["cache-control"] == "no-store"
    stages = re.findall(r"(\w+);dur=[\d.]+", response.headers["server-timing"])
    assert stages == ["decode", "queue", "infer", "encode"]
    assert "x-palette-snapped" not in response.headers


def test_labels_tell_the_share_that_was_snapped(client: TestClient) -> None:
    drawing = np.asarray(models.facade_drawing(32)).copy()
    drawing[:8] += 1
    response = client.post("/translate/demo-labels", content=png(drawing), headers=PNG_TYPE)
    assert float(response.headers["x-palette-snapped"]) == 0.25


@pytest.mark.parametrize("name", ["image", "file", "lines"])
def test_multipart_names_inputs_and_parameters(client: TestClient, cat: bytes, name: str) -> None:
    response = client.post("/translate/noise", files={name: ("c.png", cat)}, data={"seed": "4", "strength": "0"})
    assert response.headers["x-seed"] == "4"
    np.testing.assert_array_equal(pixels(response.content), pixels(cat))


def test_multipart_takes_several_inputs(client: TestClient) -> None:
    lines, hints = png(models.cat_drawing(32)), png(models.hint_dabs(32))
    plain = client.post("/translate/demo-lines?seed=1", files={"image": lines})
    hinted = client.post("/translate/demo-lines?seed=1", files={"image": lines, "hints": hints})
    assert (pixels(plain.content) != pixels(hinted.content)).any()


def test_large_multipart_pictures_stay_in_memory(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a picture was about to be written to a disk")

    monkeypatch.setattr("tempfile._TemporaryFileWrapper", refuse)
    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    noise = np.random.default_rng(0).integers(0, 256, (800, 800, 3), dtype=np.uint8)
    content = png(noise)
    assert len(content) > 2**20  # beyond which the framework would use a file
    assert client.post("/translate/photo", files={"image": content}).status_code == 200


@pytest.mark.parametrize("wrap", [data_url, lambda content: base64.b64encode(content).decode()])
def test_json_takes_base64_and_data_urls(client: TestClient, cat: bytes, wrap) -> None:
    body = {"image": wrap(cat), "seed": 7, "params": {"strength": 0}}
    response = client.post("/translate/noise", json=body)
    assert response.headers["x-seed"] == "7"
    np.testing.assert_array_equal(pixels(response.content), pixels(cat))


def test_json_names_any_input(client: TestClient) -> None:
    lines, hints = data_url(png(models.cat_drawing(32))), data_url(png(models.hint_dabs(32)))
    response = client.post("/translate/demo-lines", json={"inputs": {"lines": lines, "hints": hints}})
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("accept", "media_type"), [("image/jpeg", "image/jpeg"), ("image/webp", "image/webp"), ("*/*", "image/png")]
)
def test_accept_chooses_the_format(client: TestClient, cat: bytes, accept: str, media_type: str) -> None:
    response = client.post("/translate/copy", content=cat, headers=PNG_TYPE | {"Accept": accept})
    assert response.headers["content-type"] == media_type
    assert Image.MIME[str(Image.open(__import__("io").BytesIO(response.content)).format)] == media_type


def test_the_format_parameter_wins_over_accept(client: TestClient, cat: bytes) -> None:
    response = client.post("/translate/copy?format=webp", content=cat, headers=PNG_TYPE | {"Accept": "image/jpeg"})
    assert response.headers["content-type"] == "image/webp"


def test_json_answers_hold_everything(client: TestClient) -> None:
    wide = png(Image.new("L", (32, 16), 255))
    response = client.post("/translate/copy?seed=3&format=json", content=wide, headers=PNG_TYPE)
    answer = response.json()
    assert answer["model"] == "copy"
    assert (answer["width"], answer["height"]) == (16, 16)
    assert answer["fit"] == {"mode": "contain", "scale": 0.5, "box": [0, 4, 16, 8]}
    assert answer["palette_snapped"] is None
    assert set(answer["timings"]) == {"decode", "queue", "infer", "encode"}
    assert [image["seed"] for image in answer["images"]] == [3]
    content = base64.b64decode(answer["images"][0]["image"].removeprefix("data:image/png;base64,"))
    assert pixels(content).shape == (16, 16)


def test_variations_have_following_seeds_and_each_can_be_had_alone(client: TestClient, cat: bytes) -> None:
    answer = client.post("/translate/noise?seed=4294967294&n=4&format=json", content=cat, headers=PNG_TYPE).json()
    assert [image["seed"] for image in answer["images"]] == [4294967294, 4294967295, 0, 1]
    pictures = [pixels(base64.b64decode(image["image"].split(",")[1])) for image in answer["images"]]
    assert all((pictures[0] != other).any() for other in pictures[1:])
    alone = client.post("/translate/noise?seed=0", content=cat, headers=PNG_TYPE)
    np.testing.assert_array_equal(pixels(alone.content), pictures[2])


def test_variations_of_a_model_without_chance_are_alike(client: TestClient, cat: bytes) -> None:
    answer = client.post("/translate/copy?n=3&seed=1&format=json", content=cat, headers=PNG_TYPE).json()
    assert [image["seed"] for image in answer["images"]] == [1, 2, 3]
    assert len({image["image"] for image in answer["images"]}) == 1


def test_variations_as_a_picture_are_one_contact_sheet(client: TestClient, cat: bytes) -> None:
    response = client.post("/translate/noise?n=4", content=cat, headers=PNG_TYPE)
    assert pixels(response.content).shape == (36, 36)


def test_a_seed_is_drawn_and_told_when_absent(client: TestClient, cat: bytes) -> None:
    first = client.post("/translate/noise", content=cat, headers=PNG_TYPE)
    again = client.post(f"/translate/noise?seed={first.headers['x-seed']}", content=cat, headers=PNG_TYPE)
    np.testing.assert_array_equal(pixels(first.content), pixels(again.content))
    seeds = {client.post("/translate/noise", content=cat, headers=PNG_TYPE).headers["x-seed"] for _ in range(3)}
    assert len(seeds) == 3


def test_parameters_change_the_picture(client: TestClient, cat: bytes) -> None:
    weak, strong = (
        client.post(f"/translate/noise?seed=1&strength={value}", content=cat, headers=PNG_TYPE).content for value in (0.1, 0.9)
    )
    assert pixels(weak).mean() > pixels(strong).mean()


def test_the_size_that_was_sent_can_be_had_back(client: TestClient) -> None:
    photo = encoded(Image.new("RGB", (60, 20), (9, 99, 200)), "JPEG")
    fitted = client.post("/translate/photo", content=photo, headers={"Content-Type": "image/jpeg"})
    restored = client.post("/translate/photo?size=original", content=photo, headers={"Content-Type": "image/jpeg"})
    assert pixels(fitted.content).shape == (16, 16, 3)
    assert pixels(restored.content).shape == (20, 60, 3)


@pytest.mark.parametrize("image_format", ["png", "json"])
@pytest.mark.parametrize(("model", "query"), [("noise", "&size=original"), ("tint", "")])
def test_variations_at_the_size_that_was_sent_are_bounded_together(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, model: str, query: str, image_format: str
) -> None:
    client = make_client(max_pixels=1600)
    sheet = png(Image.new("L", (20, 20), 255))
    path = f"/translate/{model}?format={image_format}{query}"
    assert client.post(f"{path}&n=4", content=sheet, headers=PNG_TYPE).status_code == 200

    async def refuse(*_: object) -> None:
        raise AssertionError("the model was about to run")

    monkeypatch.setattr(client.app.state.service.engine, "submit", refuse)  # type: ignore[attr-defined]
    problem = assert_error(client.post(f"{path}&n=5", content=sheet, headers=PNG_TYPE), 422, "bad_parameter")
    assert (problem["parameter"], problem["range"]) == ("n", [1, 4])
    assert "5 pictures of 20 x 20 pixels" in problem["detail"]


def test_one_picture_of_the_largest_size_and_small_variations_of_it_are_answered(make_client: MakeClient) -> None:
    client = make_client(max_pixels=400)
    sheet = png(Image.new("L", (20, 20), 255))
    for query in ("size=original", "n=4"):
        assert client.post(f"/translate/noise?{query}", content=sheet, headers=PNG_TYPE).status_code == 200


def test_a_sheet_that_webp_cannot_hold_is_refused_and_png_can(client: TestClient) -> None:
    banner = png(Image.new("L", (8190, 2), 255))
    path = "/translate/noise?n=4&size=original"
    problem = assert_error(client.post(f"{path}&format=webp", content=banner, headers=PNG_TYPE), 422, "bad_parameter")
    assert problem["parameter"] == "format"
    assert "16384 x 8 pixels" in problem["detail"]
    assert "16383 a side" in problem["detail"]
    assert pixels(client.post(f"{path}&format=png", content=banner, headers=PNG_TYPE).content).shape == (8, 16384)


def test_a_colouriser_answers_at_the_photos_own_size(client: TestClient) -> None:
    photo = png(Image.new("L", (50, 70), 120))
    assert pixels(client.post("/translate/tint", content=photo, headers=PNG_TYPE).content).shape == (70, 50, 3)
    assert pixels(client.post("/translate/tint?size=model", content=photo, headers=PNG_TYPE).content).shape == (16, 11, 3)


def test_other_origins_may_call_only_when_they_are_named(make_client: MakeClient, cat: bytes) -> None:
    client = make_client(allowed_origins=("https://friend.example",))
    friend = client.post("/translate/copy", content=cat, headers=PNG_TYPE | {"Origin": "https://friend.example"})
    stranger = client.post("/translate/copy", content=cat, headers=PNG_TYPE | {"Origin": "https://stranger.example"})
    assert friend.headers["access-control-allow-origin"] == "https://friend.example"
    assert "X-Seed" in friend.headers["access-control-expose-headers"]
    assert "access-control-allow-credentials" not in friend.headers
    assert "access-control-allow-origin" not in stranger.headers
    assert_error(stranger, 403, "origin_refused")


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://testserver.evil.example", "http://testserver:81"])
@pytest.mark.parametrize("content_type", ["text/plain", "multipart/form-data; boundary=x", ""])
def test_pages_of_other_origins_cannot_translate_by_a_simple_request(
    client: TestClient, cat: bytes, origin: str, content_type: str
) -> None:
    """Browsers send such requests without asking first, so that CORS alone keeps only the answer from the page."""
    headers = {"Origin": origin} | ({"Content-Type": content_type} if content_type else {})
    response = client.post("/translate/copy", content=cat, headers=headers)
    assert "INKWASH_ALLOWED_ORIGINS" in assert_error(response, 403, "origin_refused")["detail"]


@pytest.mark.parametrize("origin", ["http://testserver", "https://testserver"])
def test_pages_of_this_origin_translate(client: TestClient, cat: bytes, origin: str) -> None:
    assert client.post("/translate/copy", content=cat, headers=PNG_TYPE | {"Origin": origin}).status_code == 200


def test_without_named_origins_nothing_is_said_to_them(client: TestClient) -> None:
    assert "access-control-allow-origin" not in client.get("/models", headers={"Origin": "https://friend.example"}).headers


@pytest.mark.parametrize(
    ("body", "code", "detail"),
    [
        (b"{", "bad_request", "not JSON"),
        (b"[" * 100_000, "bad_request", "not JSON"),
        (b"[]", "bad_request", "body"),
        (b'{"image": 5}', "bad_request", "'image'"),
        (b'{"picture": "x"}', "bad_request", "'picture'"),
        (b'{"image": "!!!"}', "bad_request", "not base64"),
        (b'{"image": "https://example.org/cat.png"}', "bad_request", "addresses are not fetched"),
        (b'{"image": ""}', "bad_image", "empty"),
    ],
)
def test_a_json_body_that_is_wrong_is_refused(client: TestClient, body: bytes, code: str, detail: str) -> None:
    response = client.post("/translate/copy", content=body, headers={"Content-Type": "application/json"})
    assert detail in assert_error(response, 400, code)["detail"]


@pytest.mark.parametrize(
    ("change", "parameter"),
    [({"seed": "x"}, "seed"), ({"seed": -1}, "seed"), ({"n": 17}, "n"), ({"params": {"strength": "a"}}, "strength")],
)
def test_a_json_parameter_that_is_wrong_is_named(
    client: TestClient, cat: bytes, change: dict[str, object], parameter: str
) -> None:
    response = client.post(
        "/translate/noise", content=json.dumps({"image": data_url(cat)} | change), headers={"Content-Type": "application/json"}
    )
    assert assert_error(response, 422, "bad_parameter")["parameter"] == parameter


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (b"rubbish", "multipart/form-data; boundary=x"),
        (b"--x\r\nrubbish", "multipart/form-data; boundary=x"),
        (b"", "multipart/form-data"),
        (
            b'--x\r\nContent-Disposition: form-data; name="seed"\r\n\r\n' + b"1" * 5000 + b"\r\n--x--\r\n",
            "multipart/form-data; boundary=x",
        ),
    ],
)
def test_a_broken_multipart_body_is_refused(client: TestClient, content: bytes, content_type: str) -> None:
    response = client.post("/translate/copy", content=content, headers={"Content-Type": content_type})
    assert response.status_code in (400, 422)
    assert response.json()["code"] in ("bad_request", "missing_input")


def test_more_files_than_inputs_are_refused(client: TestClient, cat: bytes) -> None:
    files = [("image", cat), ("lines", cat), ("file", cat)]
    assert_error(client.post("/translate/copy", files=files), 400, "bad_request")


def test_one_input_sent_twice_is_refused(client: TestClient, cat: bytes) -> None:
    assert_error(client.post("/translate/copy", files=[("image", cat), ("lines", cat)]), 422, "unknown_input")
    lines = png(models.cat_drawing(32))
    assert_error(client.post("/translate/demo-lines", files=[("image", lines), ("lines", lines)]), 422, "unknown_input")

"""`mix` in every form of request: in place of the seed's latent several are mixed."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from server.latents import draw_latent
from server.manifest import LatentDistribution
from tests.server.conftest import pixels, png
from tests.server.livechat import Answer, frame, read_answer
from tests.server.problem import assert_error

PAPER = png(Image.new("L", (16, 16), 255))
PNG_TYPE = {"Content-Type": "image/png"}
TERMS = [{"seed": 7, "weight": 0.75}, {"seed": 12, "weight": 0.25}]


def shades(*terms: tuple[int, float]) -> np.ndarray:
    """What the model `noise` makes of white paper by weights that add up to one, at full strength."""
    masks = sum(weight * draw_latent((16, 16), LatentDistribution.BERNOULLI, seed) for seed, weight in terms)
    return (255 * (1 - np.asarray(masks))).astype(np.uint8)


EXPECTED = shades((7, 0.75), (12, 0.25))


def send(client: TestClient, query: str, model: str = "noise") -> Any:
    return client.post(f"/translate/{model}?{query}", content=PAPER, headers=PNG_TYPE)


def test_a_query_mixes_seeds(client: TestClient) -> None:
    response = send(client, "strength=1&mix=12:0.25,7:0.75")
    np.testing.assert_array_equal(pixels(response.content), EXPECTED)
    assert response.headers["x-mix"] == "7:0.75,12:0.25"


def test_a_mix_of_one_seed_is_the_picture_of_that_seed(client: TestClient) -> None:
    assert send(client, "mix=9").content == send(client, "seed=9").content


def test_a_mix_leaves_the_seed_as_it_was_told(client: TestClient) -> None:
    response = send(client, "mix=7:1&seed=3&format=json")
    assert (response.headers["x-mix"], response.headers["x-seed"]) == ("7:1", "3")
    assert response.json()["mix"] == "7:1"
    assert response.json()["images"][0]["seed"] == 3


def test_without_a_mix_nothing_is_told_of_it(client: TestClient) -> None:
    response = send(client, "seed=3&format=json")
    assert "x-mix" not in response.headers
    assert response.json()["mix"] is None


def test_a_form_mixes_seeds(client: TestClient) -> None:
    response = client.post("/translate/noise", files={"image": PAPER}, data={"mix": "7:3,12:1", "strength": "1"})
    np.testing.assert_array_equal(pixels(response.content), EXPECTED)


@pytest.mark.parametrize("mix", ["7:0.75,12:0.25", TERMS])
def test_json_mixes_seeds_by_text_or_list(client: TestClient, mix: object) -> None:
    body = {"image": base64.b64encode(PAPER).decode(), "mix": mix, "params": {"strength": 1}}
    response = client.post("/translate/noise", json=body)
    np.testing.assert_array_equal(pixels(response.content), EXPECTED)
    assert response.headers["x-mix"] == "7:0.75,12:0.25"


def test_a_mix_is_told_to_pages_of_other_origins(make_client: Any) -> None:
    origin = {"Origin": "https://friend.example"}
    client = make_client(allowed_origins=("https://friend.example",))
    response = client.post("/translate/noise?mix=1", content=PAPER, headers=PNG_TYPE | origin)
    assert "X-Mix" in response.headers["access-control-expose-headers"]


@pytest.mark.parametrize(
    ("model", "query", "said"),
    [
        ("noise", "mix=7:x", "the term '7:x'"),
        ("noise", "mix=7:1,style:1", "'noise' takes no styles"),
        ("noise", "mix=7,8&n=2", "'mix' is 7:1,8:1, one latent, and 'n' is 2; leave one of them out"),
        ("copy", "mix=7", "'copy' has no latent"),
        ("noise", "mix=7:1000000,7:1000000", "several terms of seed 7"),
        ("noise", "mix=", "the term ''"),
        ("noise", f"mix={','.join('7' * 17)}", "it may have 16"),
    ],
)
def test_a_mix_that_cannot_be_is_refused(client: TestClient, model: str, query: str, said: str) -> None:
    problem = assert_error(send(client, query, model), 422, "bad_parameter")
    assert said in problem["detail"]
    assert problem["parameter"] == "mix"


def test_a_query_with_a_bad_mix_is_refused_before_its_body_is_read(make_client: Any) -> None:
    client = make_client(max_upload_bytes=10)
    assert_error(send(client, "mix=7"), 413, "body_too_large")
    assert_error(send(client, "mix=7:x"), 422, "bad_parameter")


@pytest.mark.parametrize("mix", [7, {"seed": 7}, [{"sed": 7}], ["7:1"], True])
def test_json_of_another_shape_is_refused_by_name(client: TestClient, mix: object) -> None:
    content = json.dumps({"image": base64.b64encode(PAPER).decode(), "mix": mix})
    response = client.post("/translate/noise", content=content, headers={"Content-Type": "application/json"})
    assert assert_error(response, 422, "bad_parameter")["parameter"] == "mix"


DEEP = f"[{'[' * 400}{']' * 400}]"
"""As text: writing it out would take as deep a recursion as reading it."""


@pytest.mark.parametrize(
    ("mix", "said"),
    [
        (json.dumps(",".join("1" * 10**6)), "it may have 4096"),
        (json.dumps([[1] * 10**6]), "the term [1, 1, 1, 1, ...]"),
        (DEEP, "the term [[[...]]]"),
    ],
    ids=["text", "list", "deep"],
)
def test_json_of_a_huge_or_deep_mix_is_refused_as_any_other(client: TestClient, mix: str, said: str) -> None:
    content = f'{{"image": "{base64.b64encode(PAPER).decode()}", "mix": {mix}}}'
    response = client.post("/translate/noise", content=content, headers={"Content-Type": "application/json"})
    problem = assert_error(response, 422, "bad_parameter")
    assert said in problem["detail"]
    assert len(problem["detail"]) < 400


def test_json_too_deep_to_be_read_is_a_bad_request(client: TestClient) -> None:
    content = f'{{"mix": {"[" * 100_000}{"]" * 100_000}}}'
    response = client.post("/translate/noise", content=content, headers={"Content-Type": "application/json"})
    assert_error(response, 400, "bad_request")


def live(client: TestClient, **header: Any) -> Answer:
    with client.websocket_connect("/live/noise") as socket:
        socket.receive_json()
        socket.send_bytes(frame(1, {"image": PAPER}, type="image/png", params={"strength": 1}, **header))
        return read_answer(socket.receive_bytes())


@pytest.mark.parametrize("mix", ["12:1,7:3", TERMS])
def test_a_live_frame_mixes_seeds(client: TestClient, mix: object) -> None:
    answer = live(client, mix=mix, seed=5)
    np.testing.assert_array_equal(pixels(answer.picture), EXPECTED)
    assert answer.header["seed"] == 5
    assert answer.header["mix"] in ("7:0.75,12:0.25", "7:3,12:1")


def test_a_live_frame_without_a_mix_has_the_latent_of_its_seed(client: TestClient) -> None:
    answer = live(client, seed=7)
    np.testing.assert_array_equal(pixels(answer.picture), shades((7, 1.0)))
    assert answer.header["mix"] is None


def test_a_live_frame_of_a_bad_mix_is_told_and_the_socket_stays_open(client: TestClient) -> None:
    with client.websocket_connect("/live/noise") as socket:
        socket.receive_json()
        for number, mix in enumerate(("7:x", 7, [{}], "style", "1," * 4000, [[1] * 4000], json.loads(DEEP))):
            socket.send_bytes(frame(number, {"image": PAPER}, mix=mix))
            told = socket.receive_json()
            assert (told["event"], told["id"], told["code"], told["parameter"]) == ("error", number, "bad_parameter", "mix")
        socket.send_bytes(frame(9, {"image": PAPER}, mix="7"))
        assert read_answer(socket.receive_bytes()).header["id"] == 9

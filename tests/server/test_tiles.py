"""Large photos in tiles: the arithmetic of laying them together, and the whole way through the API."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from server import routes as routes_module
from server import translation as translation_module
from server.app import create_app
from server.catalog import Entry
from server.engine import LARGE_PICTURES
from server.manifest import FlexibleSize, Size
from server.session import Array, Feeds, Session
from server.settings import Settings
from server.tiles import Mosaic, TileGrid, tile_grid
from tests.server import models
from tests.server.conftest import MakeClient, encoded, pixels, png
from tests.server.problem import assert_error

TILING = {"tiling": {"overlap": 8}}
SIDES = st.integers(1, 300)


def random_picture(height: int, width: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, channels), dtype=np.uint8)


def translate(grid: TileGrid, picture: np.ndarray, graph: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """What the server does, with a function in the graph's place."""
    padded, mosaic = grid.pad(picture), Mosaic(grid)
    for rows, columns in grid.windows():
        mosaic.lay(graph(padded[rows, columns]))
    return mosaic.picture[: picture.shape[0], : picture.shape[1]]


@st.composite
def grids(draw: st.DrawFn) -> tuple[int, int, TileGrid]:
    width, height, side = draw(SIDES), draw(SIDES), draw(st.integers(2, 64))
    overlap = draw(st.integers(1, side // 2))
    flexible = FlexibleSize(multiple_of=draw(st.integers(1, side)), min=1, max=side)
    size = draw(st.sampled_from([Size(height=side, width=side), flexible]))
    return width, height, tile_grid(width, height, size, min(overlap, flexible.largest // 2) or 1)


@given(grids())
@settings(max_examples=300, deadline=None)
def test_tiles_cover_the_picture_and_share_at_least_the_overlap(made: tuple[int, int, TileGrid]) -> None:
    width, height, grid = made
    for axis, length in ((grid.across, width), (grid.down, height)):
        assert axis.starts[0] == 0
        assert axis.padded >= length
        assert len(axis.starts) == 1 or axis.padded == length, "only what is smaller than a tile is padded"
        assert all(0 < later - earlier < axis.side for earlier, later in itertools.pairwise(axis.starts))


def test_the_fewest_tiles_that_share_the_overlap_are_taken() -> None:
    size = Size(height=256, width=256)
    for length in (256, 257, 480, 481, 3000, 4000):
        axis = tile_grid(length, 1, size, 32).across
        shared = [earlier + 256 - later for earlier, later in itertools.pairwise(axis.starts)]
        assert all(pixels >= 32 for pixels in shared)
        assert len(axis.starts) == 1 or (len(axis.starts) - 1) * (256 - 32) + 32 < length, "one tile fewer would not do"


@given(grids())
@settings(max_examples=200, deadline=None)
def test_weights_are_smooth_and_sum_to_one(made: tuple[int, int, TileGrid]) -> None:
    for axis in (made[2].across, made[2].down):
        total = np.zeros(axis.padded)
        for start, window in zip(axis.starts, axis.weights(), strict=True):
            assert window.min() > 0
            total[start : start + axis.side] += window
        np.testing.assert_allclose(total, 1, atol=1e-6)


def test_weights_rise_over_the_overlap_without_a_step() -> None:
    first, second = tile_grid(100, 1, Size(height=64, width=64), 28).across.weights()
    assert first[:36].min() == 1.0
    assert np.abs(np.diff(first)).max() < np.pi / 2 / 28 + 1e-6, "the steepest slope of a raised cosine over 28 pixels"
    np.testing.assert_allclose(first[36:] + second[:28], 1, atol=1e-6)


@given(grids())
@settings(max_examples=150, deadline=None)
def test_a_pointwise_graph_gives_exactly_the_picture_of_the_whole(made: tuple[int, int, TileGrid]) -> None:
    width, height, grid = made
    picture = random_picture(height, width)
    np.testing.assert_array_equal(translate(grid, picture, lambda tile: 255 - tile), 255 - picture)


def box_mean(picture: np.ndarray) -> np.ndarray:
    """Of 3 x 3 pixels, black beyond the border, as a convolution pads."""
    padded = np.pad(picture.astype(float), ((1, 1), (1, 1), (0, 0)))
    height, width = picture.shape[:2]
    shifted = [padded[down : down + height, across : across + width] for down in range(3) for across in range(3)]
    return (np.mean(shifted, axis=0) + 0.5).astype(np.uint8)


@pytest.mark.parametrize("shape", [(64, 64), (65, 130), (301, 97), (200, 30)])
def test_a_graph_that_looks_around_itself_gives_the_picture_of_the_whole_but_at_borders(shape: tuple[int, int]) -> None:
    picture = random_picture(*shape)
    tiled = translate(tile_grid(shape[1], shape[0], Size(height=64, width=64), 16), picture, box_mean).astype(int)
    inner = (slice(1, -1), slice(1, -1))
    # At its own border a tile sees black and is off by a third of 255, at a weight of sin(pi / 64) ** 2 = 0.0024.
    assert np.abs(tiled - box_mean(picture))[inner].max() <= 1


def test_tiles_of_different_brightness_leave_no_seam() -> None:
    """Each tile gets an offset of its own, as from statistics of its own; the ramp between them must be spread out."""
    offsets = np.random.default_rng(0).choice([-40, 40], 1000)
    number = itertools.count()
    grid = tile_grid(500, 400, Size(height=64, width=64), 32)
    result = translate(
        grid, np.full((400, 500, 1), 128, np.uint8), lambda tile: (tile + offsets[next(number)]).astype(np.uint8)
    )
    assert result.max() - result.min() > 60, "the tiles do differ"
    seams, elsewhere = _gradients(result[:, :, 0], grid)
    assert max(seams) <= max(elsewhere), "no place where a tile begins or ends is steeper than the ramps between"
    assert max(seams + elsewhere) <= 80 * np.pi / 2 / 32 * 2, "and none is a step: two crossing ramps of 80 over 32 pixels"


def _gradients(plane: np.ndarray, grid: TileGrid) -> tuple[list[int], list[int]]:
    """The steepest neighbours at edges of tiles, and the steepest anywhere else, across and down."""
    seams, elsewhere = [], []
    for axis, values in ((grid.across, plane), (grid.down, plane.T)):
        steepest = np.abs(np.diff(values.astype(int), axis=1)).max(0)
        edges = {edge - 1 for start in axis.starts for edge in (start, start + axis.side) if 0 < edge < axis.length}
        seams += [int(steepest[place]) for place in sorted(edges)]
        elsewhere += [int(value) for place, value in enumerate(steepest) if place not in edges]
    return seams, elsewhere


def test_a_mosaic_holds_floats_of_one_row_of_tiles_only() -> None:
    grid = tile_grid(1000, 1000, Size(height=64, width=64), 8)
    tile = np.zeros((64, 64, 3), np.uint8)
    tracemalloc.start()
    try:
        mosaic = Mosaic(grid)
        for _ in range(len(grid)):
            mosaic.lay(tile)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3 * 1000 * 1000 + 3 * (64 * 1000 * 3 * 4), "the picture and a few rows of tiles, not 12 MB of floats"


# ------------------------------------------------------------------ through the API


def tiled(graph: models.Graph, overlap: int = 8, **output: object) -> models.Graph:
    return replace(graph, output=graph.output | {"tiling": {"overlap": overlap}} | output)


def brightness_graph(size: int = 32) -> models.Graph:
    """Adds half of the tile's own mean, as a layer that normalises by the picture's statistics would."""
    text = f"""<ir_version: 9, opset_import: ["": 17]>
    g (uint8[N,{size},{size},3] photo) => (uint8[N,{size},{size},3] image) {{
      light = Cast <to = 1> (photo)
      mean = ReduceMean <axes = [1, 2], keepdims = 1> (light)
      half = Mul (mean, weight)
      dimmed = Mul (light, weight)
      sum = Add (dimmed, half)
      image = Cast <to = 2> (sum)
    }}"""
    return replace(models.photo_graph(size), text=text, constants={"weight": np.full(1, 0.5, np.float32)})


def grain_graph(size: int = 16) -> models.Graph:
    """Darkens a photo by its latent and a parameter, so that seed and slider show in each tile."""
    text = f"""<ir_version: 9, opset_import: ["": 17]>
    g (uint8[N,{size},{size},3] photo, float[N,{size},{size},1] latent, float[N,1] strength)
      => (uint8[N,{size},{size},3] image) {{
      light = Cast <to = 1> (photo)
      amount = Reshape (strength, per_image)
      shade = Mul (latent, amount)
      rest = Sub (one, shade)
      shaded = Mul (light, rest)
      image = Cast <to = 2> (shaded)
    }}"""
    return replace(
        models.photo_graph(size),
        text=text,
        latent={"name": "latent", "shape": [size, size, 1], "distribution": "bernoulli"},
        parameters=(models.parameter("strength", 0.0, 1.0, 0.5),),
        constants={"per_image": np.array([-1, 1, 1, 1], np.int64), "one": np.ones(1, np.float32)},
    )


@pytest.fixture(scope="module")
def tiled_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tiled")
    models.write_model(root / "photo", tiled(models.photo_graph(16), 4))
    models.write_model(root / "flexible", tiled(models.flexible_graph(8, 16, 64)))
    models.write_model(root / "bright", tiled(brightness_graph(32), 16))
    models.write_model(root / "grain", tiled(grain_graph(16), 4))
    models.write_model(root / "tint", tiled(models.chroma_graph(16), 4))
    models.write_model(root / "fitted", models.photo_graph(16))
    return root


@pytest.fixture(scope="module")
def served(tiled_dir: Path) -> Iterator[TestClient]:
    own = Settings(models_dir=(tiled_dir,), bundled_models=False, preload=False, threads=1, max_loaded_models=8)
    with TestClient(create_app(own), raise_server_exceptions=False) as client:
        yield client


def send(client: TestClient, model: str, picture: np.ndarray | Image.Image, query: str = "size=original") -> httpx2.Response:
    response: httpx2.Response = client.post(f"/translate/{model}?{query}", content=png(picture))
    return response


@pytest.mark.parametrize("model", ["photo", "flexible"])
@pytest.mark.parametrize("shape", [(16, 16), (17, 15), (1, 1), (1, 200), (131, 77), (64, 64), (65, 64)])
def test_a_photo_of_any_size_comes_back_as_it_was_through_a_graph_that_copies(
    served: TestClient, model: str, shape: tuple[int, int]
) -> None:
    picture = random_picture(*shape)
    response = send(served, model, picture)
    assert response.status_code == 200, response.text
    np.testing.assert_array_equal(pixels(response.content), picture)
    assert response.headers["x-fit"] == f"tiles; scale=1; box=0,0,{shape[1]},{shape[0]}"


def test_json_tells_the_mode_and_the_size(served: TestClient) -> None:
    answer = send(served, "photo", random_picture(30, 50), "size=original&format=json").json()
    assert (answer["width"], answer["height"]) == (50, 30)
    assert answer["fit"] == {"mode": "tiles", "scale": 1.0, "box": [0, 0, 50, 30]}
    assert answer["timings"]["infer"] > 0


def test_the_models_size_is_one_run_as_ever(served: TestClient) -> None:
    response = send(served, "photo", random_picture(30, 60), "size=model")
    assert pixels(response.content).shape == (16, 16, 3)
    assert response.headers["x-fit"].startswith("contain; ")


def test_a_model_that_declares_nothing_is_fitted_as_ever(served: TestClient) -> None:
    response = send(served, "fitted", random_picture(30, 60))
    assert pixels(response.content).shape == (30, 60, 3)
    assert response.headers["x-fit"].startswith("contain; ")


def test_statistics_of_each_tile_leave_no_seams(served: TestClient) -> None:
    """A step edge between dark and light: tiles differ by their means, and no tile's border may show it."""
    picture = np.full((96, 200, 3), 40, np.uint8)
    picture[:, 90:] = 200
    result = pixels(send(served, "bright", picture).content)[:, :, 0].astype(int)
    steps = np.abs(np.diff(result, axis=1)).max(0)
    assert steps[89] > 60, "the edge itself stays sharp"
    assert np.delete(steps, 89).max() <= 80 * np.pi / 2 / 16 + 1, "means differ by 80 at most, over 16 pixels or more"


def test_all_tiles_get_the_same_latent_and_parameters(served: TestClient) -> None:
    white = np.full((16, 28, 3), 255, np.uint8)  # two tiles that share 4 columns
    result = pixels(send(served, "grain", white, "size=original&seed=5&strength=1").content)
    latent = np.random.default_rng(5).integers(0, 2, (16, 16, 1))
    np.testing.assert_array_equal(result[:, :12], np.repeat(255 * (1 - latent), 3, 2)[:, :12])
    np.testing.assert_array_equal(result[:, 16:], np.repeat(255 * (1 - latent), 3, 2)[:, 4:])


def test_variations_of_a_large_photo_are_those_of_their_seeds(served: TestClient) -> None:
    picture = random_picture(20, 40)
    answer = send(served, "grain", picture, "size=original&seed=3&n=3&format=json").json()
    for number, image in enumerate(answer["images"]):
        alone = send(served, "grain", picture, f"size=original&seed={3 + number}")
        np.testing.assert_array_equal(pixels(base64.b64decode(image["image"].split(",")[1])), pixels(alone.content))


def test_a_colouriser_keeps_the_luma_of_a_photo_that_it_saw_in_tiles(served: TestClient) -> None:
    gray = np.random.default_rng(0).integers(0, 256, (45, 70), dtype=np.uint8)
    response = send(served, "tint", gray, "")
    assert response.headers["x-fit"].startswith("tiles; ")
    colored = pixels(response.content)
    assert colored.shape == (45, 70, 3)
    assert np.abs(colored @ np.array([0.299, 0.587, 0.114]) - gray).max() <= 0.501


def test_a_photo_that_takes_too_many_tiles_is_refused_before_it_is_run(make_client: MakeClient, tiled_dir: Path) -> None:
    client = make_client(models_dir=(tiled_dir,), max_tiled_pixels=2 * 16 * 16)
    assert send(client, "grain", random_picture(16, 28)).status_code == 200
    for query in ("size=original&n=2", "size=original"):
        problem = assert_error(send(client, "grain", random_picture(16, 29), query), 413, "image_too_large")
        assert problem["limit"] == 512
        assert "INKWASH_MAX_TILED_PIXELS allows 512" in problem["detail"]
        assert f"takes {problem['tiles']} tiles of 16 x 16 pixels" in problem["detail"]
    assert send(client, "grain", random_picture(16, 29), "size=model").status_code == 200


class SlowSession:
    """Copies a photo, slowly, and remembers by its first pixel whose tile each run was."""

    provider = "SlowExecutionProvider"
    batch_limit = 1

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.runs: list[int] = []

    def run(self, feeds: Feeds) -> Array:
        self.runs.append(int(feeds["photo"].flat[0]))
        asyncio.run(asyncio.sleep(self.seconds))
        return np.asarray(feeds["photo"])

    def encode(self, styles: Array) -> Array:
        raise NotImplementedError


def slow_client(make_client: MakeClient, tiled_dir: Path, session: Session, **changes: object) -> TestClient:
    def load(_: Entry) -> Session:
        return session

    return make_client(load, models_dir=(tiled_dir,), **changes)


def test_a_picture_that_is_not_finished_in_time_is_told_how_far_it_came(make_client: MakeClient, tiled_dir: Path) -> None:
    session = SlowSession(0.05)
    client = slow_client(make_client, tiled_dir, session, deadline_seconds=0.4)
    problem = assert_error(send(client, "photo", np.zeros((300, 300, 3), np.uint8)), 504, "timeout")
    assert f"within 0.4 seconds, only {len(session.runs)} of its tiles" in problem["detail"]
    assert 1 <= len(session.runs) < 80  # of more than 150; a busy machine may be late to look at the clock


async def test_a_large_photo_leaves_turns_to_others_and_stops_when_its_client_goes(tiled_dir: Path) -> None:
    session = SlowSession(0.01)
    own = Settings(models_dir=(tiled_dir,), bundled_models=False, preload=False, threads=1)
    app = create_app(own, lambda _: session)
    large, small = png(np.full((160, 160, 3), 1, np.uint8)), png(np.full((16, 16, 3), 2, np.uint8))
    async with app.router.lifespan_context(app), _caller(app, "10.0.0.1") as greedy, _caller(app, "10.0.0.2") as modest:
        task = asyncio.create_task(greedy.post("/translate/photo?size=original", content=large))
        while len(session.runs) < 3:
            await asyncio.sleep(0.001)
        assert (await modest.post("/translate/photo", content=small)).status_code == 200
        assert session.runs.index(2) <= 8, "a few tiles were run while the small picture was read, and one before its turn"
        assert (await greedy.post("/translate/photo", content=small)).status_code == 200, "of the same address as well"
        assert len(session.runs) <= 16
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.sleep(0.05)
        stopped = len(session.runs)
        await asyncio.sleep(0.1)
        assert len(session.runs) == stopped < 169


@pytest.mark.parametrize(("model", "query"), [("photo", "size=original"), ("tint", ""), ("tint", "size=model")])
async def test_no_more_large_photos_are_in_memory_than_there_are_places(
    tiled_dir: Path, monkeypatch: pytest.MonkeyPatch, model: str, query: str
) -> None:
    held, most, lock = 0, 0, threading.Lock()

    def counted(original: Any, before: int, after: int) -> Any:
        def change(step: int) -> None:
            nonlocal held, most
            with lock:
                held += step
                most = max(most, held)

        def run(*arguments: Any) -> Any:
            change(before)
            try:
                return original(*arguments)
            finally:
                change(after)

        return run

    # In memory from when it is decoded until its answer is encoded, both in the pool.
    monkeypatch.setattr(translation_module, "_prepare", counted(translation_module._prepare, 1, 0))
    monkeypatch.setattr(routes_module, "_picture_answer", counted(routes_module._picture_answer, 0, -1))
    monkeypatch.setattr(translation_module, "LARGE_PIXELS", 30 * 30 - 1)
    own = Settings(models_dir=(tiled_dir,), bundled_models=False, preload=False, threads=1)
    app = create_app(own)
    async with app.router.lifespan_context(app), contextlib.AsyncExitStack() as stack:
        callers = [await stack.enter_async_context(_caller(app, f"10.0.0.{number}")) for number in range(5)]
        for side in (30, 29):
            photo, most = png(random_picture(side, 30)), 0
            posts = [caller.post(f"/translate/{model}?{query}", content=photo) for caller in callers for _ in range(4)]
            assert {response.status_code for response in await asyncio.gather(*posts)} == {200}
            assert most == LARGE_PICTURES if side == 30 else most > LARGE_PICTURES, "a small one waits for no place"


async def test_a_large_photo_that_gets_no_place_in_time_is_told(tiled_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(translation_module, "LARGE_PIXELS", 399)
    own = Settings(models_dir=(tiled_dir,), bundled_models=False, preload=False, threads=1, deadline_seconds=2)
    app = create_app(own, lambda _: SlowSession(0.01))
    async with app.router.lifespan_context(app), _caller(app, "10.0.0.1") as caller:
        engine = app.state.service.engine
        async with engine.place_for_large("http:10.0.0.1"), engine.place_for_large("http:10.0.0.1"):
            response = await caller.post("/translate/photo?size=original", content=png(random_picture(20, 20)))
            assert "No place for a large picture came within 2 seconds" in assert_error(response, 504, "timeout")["detail"]
            for query, side in (("size=original", 19), ("size=model", 20)):
                other = await caller.post(f"/translate/photo?{query}", content=png(random_picture(side, 20)))
                assert other.status_code == 200, "what is small, or made small, needs no place"


def _caller(app: object, address: str) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(app, client=(address, 1))  # type: ignore[arg-type]
    return httpx2.AsyncClient(transport=transport, base_url="http://testserver")


def test_tiles_share_runs_where_batches_pay(make_client: MakeClient, tiled_dir: Path) -> None:
    session = SlowSession(0)
    session.batch_limit = 4  # type: ignore[misc]
    client = slow_client(make_client, tiled_dir, session)
    picture = random_picture(16, 112)  # nine tiles
    np.testing.assert_array_equal(pixels(send(client, "photo", picture).content), picture)
    assert len(session.runs) < 9


def test_a_jpeg_is_decoded_at_its_own_size(served: TestClient) -> None:
    photo = encoded(Image.fromarray(random_picture(4, 5)).resize((150, 120)), "JPEG", quality=95)
    response = served.post("/translate/photo?size=original", content=photo)
    np.testing.assert_array_equal(pixels(response.content), pixels(photo))

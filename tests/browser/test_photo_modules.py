"""The pure parts of the photo tools, held against numpy, zipfile and the rules that they state."""

from __future__ import annotations

import base64
import io
import zipfile
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.browser.conftest import Call

Crop = dict[str, Any]
Floats = npt.NDArray[np.float64]


def random_crop(random: np.random.Generator, size: tuple[int, int]) -> Crop:
    """A crop that may reach far beyond the photo."""
    width, height = random.uniform(0.2, 1.6, 2) * max(size)
    x, y = random.uniform(-0.8, 0.8, 2) * max(size)
    rect = {"x": x, "y": y, "width": width, "height": height}
    angle = float(random.choice([0.0, random.uniform(-45, 45)]))
    return {"turns": int(random.integers(4)), "isMirrored": bool(random.integers(2)), "angle": angle, "rect": rect}


def frame_corners(crop: Crop) -> Floats:
    rect = crop["rect"]
    return np.array([(rect["x"] + fx * rect["width"], rect["y"] + fy * rect["height"]) for fx in (0, 1) for fy in (0, 1)])


def turned(points: Floats, degrees: float) -> Floats:
    radians = np.radians(degrees)
    matrix = np.array([[np.cos(radians), -np.sin(radians)], [np.sin(radians), np.cos(radians)]])
    return points @ matrix.T


def farthest_out(crop: Crop, size: tuple[int, int]) -> float:
    """How many pixels the frame's farthest corner lies outside the photo; negative inside."""
    width, height = size[::-1] if crop["turns"] % 2 else size
    reach = np.abs(turned(frame_corners(crop), -crop["angle"])) - np.array([width, height]) / 2
    return float(reach.max())


def extent(size: tuple[int, int]) -> dict[str, int]:
    return {"width": size[0], "height": size[1]}


def test_crop_kept_inside_leaves_the_photo_nowhere_and_good_ones_alone(call: Call, random: np.random.Generator) -> None:
    changed = 0
    for _ in range(60):
        size = (int(random.integers(20, 4000)), int(random.integers(20, 4000)))
        crop = random_crop(random, size)
        kept = call("return (await use('cropgeometry')).keepInside(a[0], a[1]);", crop, extent(size))
        assert farthest_out(kept, size) < 1e-6
        shapes = [one["rect"]["width"] / one["rect"]["height"] for one in (kept, crop)]
        assert shapes[0] == pytest.approx(shapes[1])
        again = call("return (await use('cropgeometry')).keepInside(a[0], a[1]);", kept, extent(size))
        assert [again["rect"][name] for name in "xy"] == pytest.approx([kept["rect"][name] for name in "xy"], abs=1e-6)
        changed += kept["rect"] != crop["rect"]
    assert changed > 10


def test_crop_matrix_is_mirror_then_quarter_turns_then_angle_then_frame(call: Call, random: np.random.Generator) -> None:
    for _ in range(30):
        size = (int(random.integers(20, 4000)), int(random.integers(20, 4000)))
        crop = random_crop(random, size)
        box = {"x": 3.0, "y": 7.0, "width": 200.0, "height": 90.0}
        a, b, c, d, e, f = call("return (await use('cropgeometry')).cropMatrix(...a);", crop, extent(size), box)
        points = random.uniform(0, 1, (5, 2)) * size
        centred = (points - np.array(size) / 2) * ([-1, 1] if crop["isMirrored"] else [1, 1])
        framed = turned(centred, 90 * crop["turns"] + crop["angle"])
        rect = crop["rect"]
        share = (framed - [rect["x"], rect["y"]]) / [rect["width"], rect["height"]]
        expected = share * [200, 90] + [3, 7]
        assert np.allclose(points @ np.array([[a, b], [c, d]]) + [e, f], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("move", "expected"),
    [
        ("turn(a[0], 1)", lambda u, v: (1 - v, u)),
        ("turn(a[0], -1)", lambda u, v: (v, 1 - u)),
        ("mirror(a[0])", lambda u, v: (1 - u, v)),
    ],
)
def test_turning_and_mirroring_change_what_is_seen_so(
    call: Call, random: np.random.Generator, move: str, expected: Any
) -> None:
    """Whatever was chosen before: a point at (u, v) of the cropped picture goes where a turned print would have it."""
    for _ in range(20):
        crop = random_crop(random, (300, 200))
        point = random.uniform(0, 1, 2) * [300, 200]
        before, after = call(
            f"""const crop = await use("cropgeometry");
            const seen = (c) => {{
              const m = crop.cropMatrix(c, {{width: 300, height: 200}}, {{x: 0, y: 0, width: 1, height: 1}});
              return [m[0] * a[1] + m[2] * a[2] + m[4], m[1] * a[1] + m[3] * a[2] + m[5]];
            }};
            return [seen(a[0]), seen(crop.{move})];""",
            crop, *point.tolist(),
        )  # fmt: skip
        assert after == pytest.approx(expected(*before))


@pytest.mark.parametrize("aspect", [None, 1.0, 1.5])
@pytest.mark.parametrize("handle", ["n", "ne", "e", "se", "s", "sw", "w", "nw"])
def test_pulled_handle_keeps_the_opposite_and_stays_inside(
    call: Call, random: np.random.Generator, handle: str, aspect: float | None
) -> None:
    for _ in range(8):
        size = (400, 300)
        shape = aspect or 1.2
        rect = {"x": -50 * shape, "y": -50.0, "width": 100 * shape, "height": 100.0}
        crop = {"turns": 0, "isMirrored": False, "angle": float(random.uniform(-30, 30)), "rect": rect}
        dx, dy = random.uniform(-500, 500, 2).tolist()
        pulled = call("return (await use('cropgeometry')).pullHandle(...a);", crop, handle, dx, dy, aspect, extent(size))
        assert farthest_out(pulled, size) < 1e-6
        new = pulled["rect"]
        if aspect:
            assert new["width"] / new["height"] == pytest.approx(aspect)
        assert min(new["width"], new["height"]) >= 16 - 1e-6
        if "e" in handle:
            assert new["x"] == pytest.approx(rect["x"])
        if "w" in handle:
            assert new["x"] + new["width"] == pytest.approx(rect["x"] + rect["width"])
        if handle.startswith("s"):
            assert new["y"] == pytest.approx(rect["y"])
        if handle.startswith("n"):
            assert new["y"] + new["height"] == pytest.approx(rect["y"] + rect["height"])


def test_handle_pulled_too_far_stops_at_the_edge(call: Call) -> None:
    crop = {"turns": 1, "isMirrored": True, "angle": 0, "rect": {"x": -50, "y": -50, "width": 100, "height": 100}}
    pulled = call("return (await use('cropgeometry')).pullHandle(a[0], 'se', 900, 20, null, a[1]);", crop, extent((400, 300)))
    assert pulled["rect"] == pytest.approx({"x": -50, "y": -50, "width": 200, "height": 120}, abs=1e-3)


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        {"turns": 4, "isMirrored": False, "angle": 0, "rect": {"x": 0, "y": 0, "width": 5, "height": 5}},
        {"turns": 0, "isMirrored": False, "angle": 50, "rect": {"x": 0, "y": 0, "width": 5, "height": 5}},
        {"turns": 0, "isMirrored": False, "angle": 0, "rect": {"x": 0, "y": 0, "width": 0, "height": 5}},
        {"turns": 0, "isMirrored": False, "angle": 0, "rect": {"x": 40, "y": 0, "width": 20, "height": 5}},
    ],
)
def test_crop_of_a_file_is_checked(call: Call, value: object) -> None:
    assert call("return (await use('cropgeometry')).isCrop(a[0], a[1]);", value, extent((100, 50))) is False
    whole = call("const g = await use('cropgeometry'); return g.isCrop(g.wholeCrop(a[0]), a[0]);", extent((100, 50)))
    assert whole is True


def test_zip_is_read_by_zipfile(call: Call, random: np.random.Generator) -> None:
    contents = {"one.jpg": random.bytes(70_000), "絵 2.png": random.bytes(1), "empty.png": b""}
    encoded = {name: base64.b64encode(content).decode() for name, content in contents.items()}
    answer = call(
        """const files = Object.entries(a[0]).map(([name, text]) => ({
          name, blob: new Blob([Uint8Array.from(atob(text), (char) => char.charCodeAt(0))]),
          modified: new Date(2024, 1, 29, 13, 45, 58),
        }));
        const zip = await (await use("zip")).makeZip(files);
        return btoa(String.fromCharCode(...new Uint8Array(await zip.arrayBuffer())));""",
        encoded,
    )
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(answer))) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == list(contents)
        assert {name: archive.read(name) for name in contents} == contents
        assert datetime(*archive.infolist()[0].date_time) == datetime(2024, 2, 29, 13, 45, 58)


def test_zip_of_too_much_is_refused(call: Call) -> None:
    text = call(
        """const {makeZip} = await use("zip");
        const one = {name: "a", blob: {size: 3e9, stream: () => new Blob([]).stream()}};
        return [await makeZip(Array(65536).fill(one)).catch(String), await makeZip([one, one]).catch(String)];"""
    )
    assert "65535" in text[0]
    assert "4294967295" in text[1]


def test_names_in_an_archive_are_unique_and_safe(call: Call) -> None:
    names = ["a.jpg", "A.JPG", "a.jpg", "a-2.jpg", "../../etc/passwd", "b:c?.png", "", ".hidden", "x" * 300 + ".png"]
    unique = call(
        "const {uniqueName} = await use('zip'); const taken = new Set(); return a[0].map((n) => uniqueName(n, taken));", names
    )
    assert unique[:4] == ["a.jpg", "A-2.JPG", "a-3.jpg", "a-2-2.jpg"]
    assert len({name.lower() for name in unique}) == len(names)
    assert not [name for name in unique if not name or set(name) & set('/\\:?*"<>|') or name.startswith(".") or len(name) > 124]
    assert unique[-1].endswith(".png")


def test_zoom_keeps_the_point_and_leaves_no_gap(call: Call, random: np.random.Generator) -> None:
    zoomed = 0
    for _ in range(40):
        picture = extent((int(random.integers(10, 5000)), int(random.integers(10, 5000))))
        frame = extent((int(random.integers(100, 1500)), int(random.integers(100, 1500))))
        steps = [[float(random.uniform(0, 1)), float(random.uniform(0, 1)), float(random.uniform(0.3, 4))] for _ in range(6)]
        states = call(
            """const zoom = new (await use("zoom")).Zoom(a[0], a[1]);
            return a[2].map(([u, v, factor]) => {
              const at = {x: u * a[1].width, y: v * a[1].height};
              const before = zoom.toPicture(at);
              zoom.zoomAt(at, factor);
              return {before, after: zoom.toPicture(at), scale: zoom.scale, offset: zoom.offset};
            });""",
            picture, frame, steps,
        )  # fmt: skip
        for state in states:
            for axis, side in (("x", "width"), ("y", "height")):
                length = picture[side] * state["scale"]
                offset = state["offset"][axis]
                if length <= frame[side]:
                    assert offset == pytest.approx((frame[side] - length) / 2)
                elif frame[side] - length + 1e-6 < offset < -1e-6:
                    assert state["after"][axis] == pytest.approx(state["before"][axis], abs=1e-6)
                    zoomed += 1
                else:
                    assert frame[side] - length - 1e-6 <= offset <= 1e-6
    assert zoomed > 30


BATCH = """const {Batch} = await use("batch");
  const {ApiError} = await use("api");
  const wait = (ms) => new Promise((done) => setTimeout(done, ms));
  const problem = (status, code, retryAfter) => new ApiError({status, code, title: code, detail: "", retryAfter});
  const files = (...names) => names.map((name) => new File([name], name));
  const finish = async (batch) => { while (batch.isRunning) await wait(5); };
"""


def test_batch_works_on_two_at_once_and_survives_a_failure(call: Call) -> None:
    states, most, results = call(
        BATCH
        + """let now = 0, most = 0;
        const batch = new Batch(async (file) => {
          most = Math.max(most, ++now);
          await wait(15);
          now--;
          if (file.name === "bad") throw new Error("bad");
          return file.name.toUpperCase();
        });
        batch.add(files("a", "bad", "b", "c"));
        batch.add(files("d"));
        await finish(batch);
        return [batch.items.map((item) => item.state), most, batch.items.map((item) => item.result)];"""
    )
    assert states == ["done", "failed", "done", "done", "done"]
    assert most == 2
    assert results == ["A", None, "B", "C", "D"]


@pytest.mark.parametrize("status", [429, 503])
def test_batch_waits_as_long_as_the_server_asks(call: Call, status: int) -> None:
    states, times = call(
        BATCH
        + """const times = [];
        const batch = new Batch(async (file) => {
          times.push(performance.now());
          if (times.length === 1) throw problem(a[0], "queue_full", 0.4);
          return file.name;
        });
        batch.add(files("a"));
        await wait(10);
        batch.add(files("b", "c"));
        await finish(batch);
        return [batch.items.map((item) => item.state), times];""",
        status,
    )
    assert states == ["done"] * 3
    assert len(times) == 4
    # Nothing is sent meanwhile, the files that came later neither.
    assert min(times[1:]) - times[0] >= 400


def test_cancelled_batch_keeps_what_is_done_and_aborts_the_rest(call: Call) -> None:
    states, aborted, after = call(
        BATCH
        + """let aborted = 0;
        const batch = new Batch((file, signal) => new Promise((done, fail) => {
          if (file.name === "quick" || file.name.startsWith("again")) return done(file.name);
          signal.addEventListener("abort", () => { aborted++; fail(new DOMException("", "AbortError")); });
        }));
        batch.add(files("quick", "slow", "slower", "never"));
        await wait(30);
        batch.cancel();
        await finish(batch);
        const states = batch.items.map((item) => item.state);
        batch.add(files("again"));
        await finish(batch);
        return [states, aborted, batch.items.at(-1).state];"""
    )
    assert states == ["done", "cancelled", "cancelled", "cancelled"]
    assert aborted == 2
    assert after == "done"

"""The page's pure functions, run in the browser on seeded random input and held against numpy, scipy and Pillow."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from tests.browser.conftest import Call


def test_flood_fill_equals_connected_components(call: Call, random: np.random.Generator) -> None:
    filled = 0
    for _ in range(20):
        height, width = (int(side) for side in random.integers(1, 24, 2))
        field = (random.random((height, width)) < 0.35).astype(int)
        x, y = int(random.integers(0, width)), int(random.integers(0, height))
        regions, _ = ndimage.label(field == field[y, x])
        expected = np.where(regions == regions[y, x], 9, field)
        data, rect = call(
            """const map = {width: a[0], height: a[1], data: Uint8Array.from(a[2])};
            const rect = (await use("raster")).floodFill(map, {x: a[3] + 0.5, y: a[4] + 0.5}, 9);
            return [[...map.data], rect];""",
            width, height, field.ravel().tolist(), x, y,
        )  # fmt: skip
        assert data == expected.ravel().tolist()
        rows, columns = np.nonzero(expected == 9)
        assert rect == {
            "x": columns.min(), "y": rows.min(), "width": np.ptp(columns) + 1, "height": np.ptp(rows) + 1,
        }  # fmt: skip
        filled = max(filled, len(rows))
    assert filled > 20


def test_segment_covers_the_pixels_within_its_radius_and_nothing_else(call: Call, random: np.random.Generator) -> None:
    for _ in range(20):
        x0, y0, x1, y1 = random.uniform(-10, 50, 4)
        diameter = float(random.uniform(1.5, 12))
        data = call(
            """const map = {width: 40, height: 40, data: new Uint8Array(1600)};
            (await use("raster")).drawSegment(map, {x: a[0], y: a[1]}, {x: a[2], y: a[3]}, a[4], 1);
            return [...map.data];""",
            x0, y0, x1, y1, diameter,
        )  # fmt: skip
        rows, columns = np.mgrid[0:40, 0:40] + 0.5
        direction = np.array([x1 - x0, y1 - y0])
        along = np.clip(((columns - x0) * direction[0] + (rows - y0) * direction[1]) / (direction @ direction), 0, 1)
        away = np.hypot(columns - x0 - along * direction[0], rows - y0 - along * direction[1])
        assert data == (away <= diameter / 2).ravel().astype(int).tolist()


def test_thinnest_segment_is_connected(call: Call, random: np.random.Generator) -> None:
    for _ in range(20):
        ends = random.uniform(0, 40, 4).tolist()
        data = call(
            """const map = {width: 40, height: 40, data: new Uint8Array(1600)};
            (await use("raster")).drawSegment(map, {x: a[0], y: a[1]}, {x: a[2], y: a[3]}, 1, 1);
            return [...map.data];""",
            *ends,
        )
        assert ndimage.label(np.array(data).reshape(40, 40), np.ones((3, 3)))[1] == 1


@pytest.mark.parametrize("kind", ["Uint8Array", "Uint32Array"])
def test_delta_undoes_and_redoes(call: Call, kind: str) -> None:
    forms = call(
        f"""const {{difference, applyDelta}} = await use("delta");
        let state = 7;
        const random = (n) => ((state = (state * 1103515245 + 12345) % 2147483648) >>> 12) % n;
        const forms = new Set();
        for (let round = 0; round < 40; round++) {{
          const width = 1 + random(20), height = 1 + random(20);
          const flat = random(2);
          const before = {kind}.from({{length: width * height}}, () => flat ? 3 : random(4));
          const rect = {{x: random(width), y: random(height)}};
          rect.width = 1 + random(width - rect.x); rect.height = 1 + random(height - rect.y);
          const after = {kind}.from({{length: rect.width * rect.height}}, () => flat ? 200 : random(255));
          const now = before.slice();
          for (let y = 0; y < rect.height; y++)
            now.set(after.subarray(y * rect.width, (y + 1) * rect.width), (rect.y + y) * width + rect.x);
          const delta = difference(before, width, after, rect);
          if (!delta) {{ forms.add("none"); continue; }}
          forms.add(delta.form);
          const changing = before.slice();
          applyDelta(changing, width, delta);
          if (changing.join() !== now.join()) return `redo ${{round}}`;
          applyDelta(changing, width, delta);
          if (changing.join() !== before.join()) return `undo ${{round}}`;
        }}
        return [...forms].sort();"""
    )
    assert {"raw", "runs"} <= set(forms)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("has_compression", [True, False])
def test_png_holds_exactly_what_was_given(
    call: Call, random: np.random.Generator, channels: int, has_compression: bool
) -> None:
    pixels = random.integers(0, 256, (150, 150, channels)).astype(np.uint8)
    encoded = call(
        """if (!a[2]) { globalThis.kept = CompressionStream; globalThis.CompressionStream = undefined; }
        const png = await (await use("png")).encodePng({width: 150, height: 150, channels: a[0], data: Uint8Array.from(a[1])});
        if (!a[2]) globalThis.CompressionStream = globalThis.kept;
        return [...png];""",
        channels, pixels.ravel().tolist(), has_compression,
    )  # fmt: skip
    picture = Image.open(io.BytesIO(bytes(encoded)))
    picture.load()
    assert np.array_equal(np.asarray(picture).reshape(pixels.shape), pixels)


def test_indexed_png_has_the_palettes_colours(call: Call, random: np.random.Generator) -> None:
    palette = ["#000000", "#12ab34", "#ffffff"]
    indices = random.integers(0, 3, (9, 7))
    encoded = call(
        """return [...await (await use("png")).encodePng(
          {width: 7, height: 9, channels: 1, data: Uint8Array.from(a[0]), palette: a[1]})];""",
        indices.ravel().tolist(), palette,
    )  # fmt: skip
    colors = np.array([[0, 0, 0], [0x12, 0xAB, 0x34], [255, 255, 255]])
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(bytes(encoded))).convert("RGB")), colors[indices])


def test_enlarged_lines_reduce_to_the_same_picture(call: Call, random: np.random.Generator) -> None:
    blobs = ndimage.gaussian_filter(random.random((96, 96)), 3) > 0.5
    coverage = (blobs.reshape(24, 4, 24, 4).mean(axis=(1, 3)) * 255).round().astype(int)
    fine = call(
        """return [...(await use("pixels")).enlargeCoverage(Uint8Array.from(a[0]), 24, 24, 4)];""", coverage.ravel().tolist()
    )
    reduced = np.array(fine).reshape(24, 4, 24, 4).mean(axis=(1, 3))
    assert np.abs(reduced - coverage).max() <= 2  # steps of uint8; what the passes leave, and rounding
    assert np.mean((np.array(fine) < 8) | (np.array(fine) > 247)) > 0.5


def test_mean_colour_weighs_by_alpha(call: Call, random: np.random.Generator) -> None:
    rgba = random.integers(0, 256, (8, 8, 4))
    rgba[:4, :4, 3] = 0
    out = call("""return [...(await use("pixels")).meanColor(Uint8ClampedArray.from(a[0]), 2, 2, 4)];""", rgba.ravel().tolist())
    blocks = rgba.reshape(2, 4, 2, 4, 4).transpose(0, 2, 1, 3, 4).reshape(4, 16, 4).astype(float)
    alpha = blocks[..., 3:]
    color = (blocks[..., :3] * alpha).sum(1) / np.maximum(alpha.sum(1), 1)
    expected = np.concatenate([color, alpha.mean(1)], axis=1)
    assert np.abs(np.array(out).reshape(4, 4) - expected).max() <= 0.5


def test_snapping_takes_the_nearest_class(call: Call, random: np.random.Generator) -> None:
    palette = ["#102030", "#f0a020", "#20c040", "#ffffff"]
    colors = np.array([[int(color[k : k + 2], 16) for k in (1, 3, 5)] for color in palette])
    rgba = random.integers(0, 256, (100, 4))
    rgba[:, 3] = np.where(random.random(100) < 0.2, 0, 255)
    rgba[:10, :3] = colors[1]
    snapped = call(
        """const out = (await use("pixels")).snapToPalette(Uint8ClampedArray.from(a[0]), a[1], 3);
        return [[...out.indices], out.snapped];""",
        rgba.ravel().tolist(), palette,
    )  # fmt: skip
    nearest = ((rgba[:, None, :3] - colors) ** 2).sum(-1).argmin(1)
    opaque = rgba[:, 3] == 255
    assert snapped[0] == np.where(opaque, nearest, 3).tolist()
    exact = (rgba[:, None, :3] == colors).all(-1).any(1)
    assert snapped[1] == pytest.approx((opaque & ~exact).sum() / opaque.sum())


def test_contain_keeps_the_shape_and_stays_inside(call: Call, random: np.random.Generator) -> None:
    for width, height, frame_width, frame_height in random.integers(1, 2000, (40, 4)).tolist():
        found = call("return (await use('geometry')).contain(...a);", width, height, frame_width, frame_height)
        assert found["width"] <= frame_width
        assert found["height"] <= frame_height
        assert found["x"] >= 0
        assert found["y"] >= 0
        scale = min(frame_width / width, frame_height / height)
        assert abs(found["width"] - max(1, width * scale)) <= 0.5 + 1e-9
        assert abs(found["height"] - max(1, height * scale)) <= 0.5 + 1e-9


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ({"height": 200, "width": 300}, {"height": 200, "width": 300}),
        ({"multiple_of": 8, "min": 16, "max": 4096}, {"height": 512, "width": 512}),
        ({"multiple_of": 48, "min": 50, "max": 300}, {"height": 288, "width": 288}),
    ],
)
def test_working_size_is_one_the_model_accepts(call: Call, size: dict[str, int], expected: dict[str, int]) -> None:
    assert call("return (await use('geometry')).workingSize(a[0]);", size) == expected


def test_frame_comes_back_as_it_was_sent(call: Call) -> None:
    answer = call(
        """const {encodeFrame, decodeFrame} = await use("frame");
        const inputs = [{name: "image", bytes: Uint8Array.of(1, 2, 3)}, {name: "hints", bytes: Uint8Array.of(4)}];
        const {header, picture} = decodeFrame(encodeFrame({id: 5, note: "線"}, inputs).buffer);
        return [header, [...picture]];"""
    )
    assert answer[0] == {"id": 5, "note": "線", "inputs": [{"name": "image", "bytes": 3}, {"name": "hints", "bytes": 1}]}
    assert answer[1] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("pressed", "key", "expected"),
    [
        ({"key": "z", "ctrlKey": True}, "Control+Z", True),
        ({"key": "Z", "ctrlKey": True, "shiftKey": True}, "Control+Z", False),
        ({"key": "z", "metaKey": True}, "Control+Z", True),
        ({"key": "b"}, "B", True),
        ({"key": "b", "ctrlKey": True}, "B", False),
        ({"key": "и", "code": "KeyB"}, "B", True),
        ({"key": "?", "shiftKey": True}, "?", True),
        ({"key": "+", "shiftKey": True}, "+", True),
        ({"key": "[", "altKey": True}, "[", False),
        ({"key": " "}, "Space", True),
    ],
)
def test_shortcuts_match(call: Call, pressed: dict[str, object], key: str, expected: bool) -> None:
    assert call("return (await use('shortcuts')).matches(new KeyboardEvent('keydown', a[0]), a[1]);", pressed, key) is expected


@pytest.mark.parametrize(
    ("text", "expected"), [("#A0b", "#aa00bb"), (" 12ab34 ", "#12ab34"), ("#12ab3", None), ("red", None), ("", None)]
)
def test_hex_colours_are_read(call: Call, text: str, expected: str | None) -> None:
    assert call("return (await use('palette')).parseHex(a[0]);", text) == expected


def test_markdown_never_becomes_markup(call: Call) -> None:
    source = "# A <b>t</b>\n\n<script>alert(1)</script> [x](javascript:alert) ![pic](https://a.org/p.png)\n\n- `a`\n- **b**"
    html = call("return (await use('markdown')).renderMarkdown(a[0]).map((block) => block.outerHTML).join('');", source)
    assert html == (
        "<h3>A &lt;b&gt;t&lt;/b&gt;</h3><p>&lt;script&gt;alert(1)&lt;/script&gt; x pic</p>"
        "<ul><li><code>a</code></li><li><strong>b</strong></li></ul>"
    )


def test_markdown_renders_what_cards_use(call: Call) -> None:
    source = "---\nlicense: x\n---\n## Use\nSee [home](https://example.org).\n\n"
    source += "| a | b |\n|---|---|\n| 1 | 2 |\n\n```\ncode <x>\n```\n1. one\n2. two"
    html = call("return (await use('markdown')).renderMarkdown(a[0]).map((block) => block.outerHTML).join('');", source)
    assert "<h3>Use</h3>" in html
    assert 'href="https://example.org"' in html
    assert "<th>a</th><th>b</th></tr><tr><td>1</td><td>2</td>" in html
    assert "code &lt;x&gt;" in html
    assert "<ol><li>one</li><li>two</li></ol>" in html

"""What photos may be besides PNG, JPEG and WebP: NumPy arrays of many channels and TIFF files."""

from __future__ import annotations

import base64
import contextlib
import io
import struct
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from server.__main__ import main
from server.app import create_app
from server.arrays import MAGIC, MAX_HEADER_BYTES
from server.errors import ApiError, BadImageError, ImageTooLargeError, ModelError
from server.imaging import ImageLimits, Picture, count_pixels, open_image, open_photo, to_gray, to_rgb
from server.providers import PROVIDERS
from server.session import SessionOptions
from server.settings import Settings
from server.tiff import MAX_PIECES
from server.translator import load_session
from tests.server import models
from tests.server.conftest import encoded, pixels, png
from tests.server.problem import assert_error
from tests.server.test_session import entry_of

LIMITS = ImageLimits(max_pixels=10_000, max_side=200)
GRAY = np.arange(256, dtype=np.uint8).reshape(16, 16)
COLORS = np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)


def npy(array: np.ndarray, version: tuple[int, int] | None = None) -> bytes:
    target = io.BytesIO()
    np.lib.format.write_array(target, array, version=version, allow_pickle=True)
    return target.getvalue()


def header(text: str, version: tuple[int, int] = (1, 0), values: bytes = b"") -> bytes:
    """An array's file with a header of any text."""
    size = {1: 2}.get(version[0], 4)
    return MAGIC + bytes(version) + len(text).to_bytes(size, "little") + text.encode("latin-1") + values


def bands(picture: Picture) -> np.ndarray:
    planes = [np.asarray(band) for band in picture.bands]
    return planes[0] if planes[0].ndim == 3 else np.stack(planes, axis=2)


# ------------------------------------------------------------------ NumPy arrays


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 16])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", ["uint8", "<u2", ">u2", "float16", "<f4", ">f4", "float64"])
def test_arrays_come_out_as_eight_bits(channels: int, order: Any, kind: str) -> None:
    wanted = np.random.default_rng(channels).integers(0, 256, (7, 9, channels), dtype=np.uint8)
    scale = {"u": {1: 1, 2: 257}.get(np.dtype(kind).itemsize, 0), "f": 1 / 255}[np.dtype(kind).kind]
    array = np.asarray((wanted * float(scale)).astype(kind), order=order)
    picture = open_photo(npy(array), LIMITS)
    assert (picture.width, picture.height) == (9, 7)
    np.testing.assert_array_equal(bands(picture), wanted)


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
def test_two_axes_are_a_gray_picture(version: tuple[int, int]) -> None:
    picture = open_photo(npy(GRAY, version), LIMITS)
    np.testing.assert_array_equal(np.asarray(to_gray(picture.image, 0)), GRAY)


def test_sixteen_bits_are_rounded_to_the_nearest_step() -> None:
    values = np.arange(0, 65536, 13, dtype=np.uint16).reshape(1, -1)
    picture = open_photo(npy(values), ImageLimits(10_000, 10_000))
    np.testing.assert_array_equal(np.asarray(picture.image), np.rint(values / 257).astype(np.uint8))


@pytest.mark.parametrize(
    "text",
    [
        "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3), }\n",
        '{"shape": (2,3), "fortran_order": False, "descr": "u1"}',
        "{ 'fortran_order':False,'descr':'|u1','shape':( 2, 3 ) }   ",
    ],
)
def test_headers_of_other_writers_are_read(text: str) -> None:
    picture = open_photo(header(text, values=bytes(range(6))), LIMITS)
    assert np.asarray(picture.image).tolist() == [[0, 1, 2], [3, 4, 5]]


PLAIN = "{'descr': '|u1', 'fortran_order': False, 'shape': %s, }"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (MAGIC, "truncated or of an unknown version"),
        (MAGIC + b"\x01", "truncated or of an unknown version"),
        (MAGIC + b"\x01\x00", "it must be complete"),
        (MAGIC + b"\x03\x00" + bytes(200), "unknown version"),
        (MAGIC + b"\x01\x00\x40\x00{", "header has 64 bytes; it must be complete"),
        (MAGIC + b"\x02\x00\xff\xff\xff\xff" + b"{" * 200, "header has 4294967295 bytes"),
        (header(" " * (MAX_HEADER_BYTES + 1)), f"header has {MAX_HEADER_BYTES + 1} bytes"),
        (header("(" * 1000), "not that of a plain array"),
        (header("{'descr': '|u1', 'shape': (2, 3)}"), "not that of a plain array"),
        (header("{'descr': '|u1', 'shape': (2, 3), 'shape': (2, 3)}"), "not that of a plain array"),
        (header("{'descr': [('a', '|u1')], 'fortran_order': False, 'shape': (2, 3)}"), "not that of a plain array"),
        (header("__import__('os').system('true')"), "not that of a plain array"),
        (header("{'descr': '|O', 'fortran_order': False, 'shape': (2, 3), }"), r"kind '\|O'; they must be uint8, uint16 or fl"),
        (header("{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3), }"), "kind '<i4'"),
        (header("{'descr': '<c8', 'fortran_order': False, 'shape': (2, 3), }"), "kind '<c8'"),
        (header("{'descr': '<<<u1', 'fortran_order': False, 'shape': (2, 3), }"), "kind '<<<u1'"),
        (header(PLAIN % "(-2, 3)"), "not that of a plain array"),
        (header(PLAIN % "(2 2, 3)"), "shape is None; it must be"),
        (header(PLAIN % "()"), "shape is None; it must be"),
        (header(PLAIN % "(6,)"), r"shape is \(6,\); it must be"),
        (header(PLAIN % "(1, 2, 3, 1)"), r"shape is \(1, 2, 3, 1\)"),
        (header(PLAIN % "(2, 0)"), r"shape is \(2, 0\)"),
        (header(PLAIN % "(2, 3, 0)"), r"shape is \(2, 3, 0\)"),
        (header(PLAIN % "(2, 3, 17)"), "1 to 16 channels"),
        (header(PLAIN % "(2, 3)", values=bytes(5)), "promises 6 bytes of values and 5 follow"),
        (header(PLAIN % "(2, 3)", values=bytes(7)), "promises 6 bytes of values and 7 follow"),
        (npy(np.array([[1, 2.5]])), r"floats are from 1 to 2\.5; they must be from 0 to 1"),
        (npy(np.array([[-0.1, 1]])), "floats are from -0.1 to 1"),
        (npy(np.array([[0, np.nan]])), "floats are from nan to nan"),
        (npy(np.array([[0, np.inf]])), "floats are from 0 to inf"),
        (npy(np.array([[{}, None]])), r"kind '\|O'"),
        (npy(np.zeros((2, 2), [("a", "u1")])), "not that of a plain array"),
    ],
)
def test_arrays_that_cannot_be_pixels_are_refused(content: bytes, reason: str) -> None:
    with pytest.raises(BadImageError, match=reason):
        open_photo(content, LIMITS)


@pytest.mark.parametrize(
    "shape", ["(101, 100)", "(201, 1)", "(1, 201)", "(99999999999999999999, 9)", "(2147483648, 2147483648, 16)"]
)
def test_arrays_that_are_too_large_are_known_by_their_header(shape: str) -> None:
    with pytest.raises(ImageTooLargeError, match="at most 10000 pixels in all and 200 a side"):
        open_photo(header(PLAIN % shape), LIMITS)


@given(st.binary(max_size=60), st.integers(0, 10_000), st.sampled_from(["u1", "<u2", "<f4"]))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_damaged_arrays_are_read_or_refused_but_never_crash(junk: bytes, place: int, kind: str) -> None:
    content = bytearray(npy((GRAY / 255 if kind == "<f4" else GRAY).astype(kind)))
    start = place % len(content)
    content[start : start + len(junk)] = junk
    with contextlib.suppress(ApiError):
        assert open_photo(bytes(content), LIMITS).image.width <= LIMITS.max_side


@given(st.text("{}()[]'\"descrfortran_odeshape:,|<>u1248 -0TrueFalse", max_size=MAX_HEADER_BYTES))
@settings(max_examples=300, deadline=500)
def test_hostile_headers_take_no_time(text: str) -> None:
    with contextlib.suppress(ApiError):
        open_photo(header(text), LIMITS)


@pytest.mark.parametrize("piece", [" ", ",", "'a':(", "(1,", "{'descr':'", "0,"])
def test_a_pattern_that_repeats_takes_no_time(piece: str) -> None:
    started = time.perf_counter()
    for text in (piece * (MAX_HEADER_BYTES // len(piece)), "{'descr': '|u1', 'shape': (2, 3)" + piece * 150):
        with pytest.raises(ApiError):
            open_photo(header(text), LIMITS)
    assert time.perf_counter() - started < 1


# ------------------------------------------------------------------ TIFF


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate"])
@pytest.mark.parametrize("picture", [GRAY, COLORS], ids=["gray", "rgb"])
def test_tiff_of_harmless_compressions_is_decoded(compression: str, picture: np.ndarray) -> None:
    opened = open_photo(encoded(picture, "TIFF", compression=compression), LIMITS)
    assert (opened.width, opened.height) == (picture.shape[1], picture.shape[0])
    np.testing.assert_array_equal(np.asarray(opened.image), picture)


@pytest.mark.parametrize("compression", ["jpeg", "packbits", "lzma", "zstd", "webp", "group4"])
def test_tiff_of_other_compressions_is_refused_by_its_table(compression: str) -> None:
    picture = Image.new("1" if compression == "group4" else "RGB", (16, 16))
    try:
        content = encoded(picture, "TIFF", compression=compression)
    except (OSError, RuntimeError):
        pytest.skip("this build of Pillow cannot write it")
    with pytest.raises(BadImageError, match=r"compressed by method \d+; send it uncompressed or with LZW or deflate"):
        open_photo(content, LIMITS)


@pytest.mark.parametrize("order", ["<", ">"])
def test_sixteen_bit_gray_tiff_is_scaled(order: str) -> None:
    content = raw_tiff(order, {256: 16, 257: 16, 258: 16, 262: 1, 277: 1}, (GRAY.astype(f"{order}u2") * 257).tobytes())
    np.testing.assert_array_equal(np.asarray(to_gray(open_photo(content, LIMITS).image, 0)), GRAY)


@pytest.mark.parametrize("order", ["<", ">"])
def test_sixteen_bit_rgb_tiff_is_scaled(order: str) -> None:
    tags = {256: 20, 257: 12, 258: (16, 16, 16), 262: 2, 277: 3}
    content = raw_tiff(order, tags, (COLORS.astype(f"{order}u2") * 257).tobytes())
    np.testing.assert_array_equal(np.asarray(to_rgb(open_photo(content, LIMITS).image, (0, 0, 0))), COLORS)


def raw_tiff(order: str, tags: dict[int, int | tuple[int, ...]], values: bytes, following: int = 0, **counts: int) -> bytes:
    """A TIFF of one uncompressed strip; `counts` claim more values than an entry has, by `t<tag>`."""
    every = {259: 1, 273: 0, 278: tags.get(257, 1), 279: len(values)} | tags
    head = 8 + 2 + 12 * len(every) + 4
    extra = b""
    entries = b""
    for tag, value in sorted(every.items()):
        numbers = value if isinstance(value, tuple) else (value,)
        count = counts.get(f"t{tag}", len(numbers))
        if len(numbers) > 1:
            entries += struct.pack(f"{order}HHLL", tag, 3, count, head + len(values) + len(extra))
            extra += struct.pack(f"{order}{len(numbers)}H", *numbers)
        else:
            place = head if tag == 273 else numbers[0]
            entries += struct.pack(f"{order}HHLL", tag, 4, count, place)
    magic = b"II*\x00" if order == "<" else b"MM\x00*"
    table = struct.pack(f"{order}H", len(every)) + entries + struct.pack(f"{order}L", following)
    return magic + struct.pack(f"{order}L", 8) + table + values + extra


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_a_tiff_is_applied(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = np.zeros((4, 6, 3), np.uint8)
    picture[0, 0] = 255
    opened = open_photo(encoded(picture, "TIFF", exif=exif), LIMITS)
    assert (opened.width, opened.height) == opened.image.size == ((4, 6) if orientation >= 5 else (6, 4))
    corner = {1: (0, 0), 2: (5, 0), 3: (5, 3), 4: (0, 3), 5: (0, 0), 6: (3, 0), 7: (3, 5), 8: (0, 5)}[orientation]
    assert opened.image.getpixel(corner) == (255, 255, 255)


def test_transparent_tiff_lies_on_the_background() -> None:
    image = Image.new("RGBA", (2, 1), (10, 20, 30, 255))
    image.putpixel((1, 0), (0, 0, 0, 0))
    opened = open_photo(encoded(image, "TIFF"), LIMITS).image
    assert list(to_rgb(opened, (9, 8, 7)).get_flattened_data()) == [(10, 20, 30), (9, 8, 7)]


def test_of_several_pages_the_first_is_taken_and_no_other_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [Image.new("RGB", (4, 4), color) for color in ((255, 0, 0), (0, 0, 255))]
    content = encoded(frames[0], "TIFF", save_all=True, append_images=frames[1:])
    looked: list[int] = []
    monkeypatch.setattr("PIL.TiffImagePlugin.TiffImageFile.seek", lambda _, frame: looked.append(frame))
    assert to_rgb(open_photo(content, LIMITS).image, (0, 0, 0)).getpixel((0, 0)) == (255, 0, 0)
    assert not any(looked)


def test_a_page_that_follows_itself_is_read_once() -> None:
    content = raw_tiff("<", {256: 16, 257: 16, 258: 8, 262: 1, 277: 1}, GRAY.tobytes(), following=8)
    np.testing.assert_array_equal(np.asarray(open_photo(content, LIMITS).image), GRAY)


PLAIN_TAGS: dict[int, int | tuple[int, ...]] = {256: 16, 257: 16, 258: 8, 262: 1, 277: 1}


@pytest.mark.parametrize(
    ("tags", "counts", "reason"),
    [
        ({}, {"t273": MAX_PIECES + 1}, rf"cut into {MAX_PIECES + 1} strips and may have {MAX_PIECES}"),
        ({324: 8}, {"t324": 2**32 - 1}, "cut into 4294967295 tiles"),
        ({322: 2**31, 323: 16}, {}, "tiles of 2147483648 pixels a side"),
        ({322: 0, 323: 16}, {}, "tiles of 0 pixels a side"),
        ({}, {"t259": 2}, "is damaged at its entry 259"),
        ({}, {"t256": 77}, "is damaged at its entry 256"),
        ({259: 7}, {}, "compressed by method 7"),
        ({259: 50000}, {}, "compressed by method 50000"),
        ({258: 32, 339: 3}, {}, "pixels of mode F with 32 bits"),
        ({258: 1}, {}, "pixels of mode 1 with 1 bits"),
        ({262: 3, 320: (1, 2)}, {}, "truncated or damaged|pixels of mode P"),
        ({262: 6, 277: 3, 258: (8, 8, 8)}, {}, "pixels of mode"),
        ({262: 0, 258: 16}, {}, "pixels of mode I;16"),
    ],
)
def test_a_tiff_that_is_more_than_plain_is_refused(
    tags: dict[int, int | tuple[int, ...]], counts: dict[str, int], reason: str
) -> None:
    with pytest.raises(BadImageError, match=reason):
        open_photo(raw_tiff("<", PLAIN_TAGS | tags, bytes(1024), **counts), LIMITS)


@pytest.mark.parametrize(("width", "height"), [(101, 100), (201, 1), (2**31, 2**31)])
def test_a_tiff_that_is_too_large_is_known_by_its_table(width: int, height: int) -> None:
    with pytest.raises(ImageTooLargeError):
        open_photo(raw_tiff("<", PLAIN_TAGS | {256: width, 257: height}, b""), LIMITS)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate"])
def test_a_truncated_tiff_is_refused(compression: str) -> None:
    content = encoded(COLORS, "TIFF", compression=compression)
    for length in range(0, len(content) - 1, 7):
        with pytest.raises(BadImageError):
            open_photo(content[:length], LIMITS)


@pytest.mark.parametrize(
    "content",
    [
        b"II*\x00",
        b"MM\x00*\x00\x00\x00\x08",
        b"II*\x00\xff\xff\xff\xff",
        b"II*\x00\x08\x00\x00\x00\xff\xff",
        b"II+\x00\x08\x00\x00\x00",
    ],
)
def test_what_is_hardly_a_tiff_is_refused(content: bytes) -> None:
    with pytest.raises(BadImageError):
        open_photo(content, LIMITS)


@given(st.binary(max_size=200), st.integers(0, 10_000), st.sampled_from(["raw", "tiff_lzw", "tiff_adobe_deflate"]))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_damaged_tiffs_are_decoded_or_refused_but_never_crash(junk: bytes, place: int, compression: str) -> None:
    content = bytearray(encoded(COLORS, "TIFF", compression=compression))
    start = place % len(content)
    content[start : start + len(junk)] = junk
    with contextlib.suppress(ApiError):
        assert open_photo(bytes(content), LIMITS).image.width <= LIMITS.max_side


@pytest.mark.parametrize(
    "content",
    [
        npy(COLORS),
        npy(COLORS[:, :, 0]),
        npy(np.zeros((12, 20, 7))),
        *(encoded(COLORS, name) for name in ("TIFF", "PNG", "JPEG", "WEBP")),
    ],
)
def test_pixels_are_counted_by_the_header_alone(content: bytes) -> None:
    assert count_pixels(content) == 240
    assert count_pixels(content[:300]) in (0, 240)


@pytest.mark.parametrize("content", [b"", b"II*\x00", MAGIC, b"hello", encoded(COLORS, "GIF")])
def test_pixels_of_what_cannot_be_read_are_none(content: bytes) -> None:
    assert count_pixels(content) == 0


@pytest.mark.parametrize("content", [npy(GRAY), encoded(GRAY, "TIFF")], ids=["npy", "tiff"])
def test_drawings_are_neither(content: bytes) -> None:
    with pytest.raises(BadImageError, match="not a PNG, JPEG or WebP"):
        open_image(content, LIMITS)


@pytest.mark.parametrize("image_format", ["GIF", "BMP", "PPM", "ICO"])
def test_photos_of_other_formats_are_refused(image_format: str) -> None:
    with pytest.raises(BadImageError, match="not a PNG, JPEG, WebP, TIFF or NumPy image"):
        open_photo(encoded(COLORS, image_format), LIMITS)


# ------------------------------------------------------------------ through the API


def relief_graph(size: int = 16) -> models.Graph:
    """Gives a photo back, and on top of it the last three of five channels of a relief, where there is one."""
    text = f"""<ir_version: 9, opset_import: ["": 17]>
    g (uint8[N,{size},{size},3] photo, uint8[N,{size},{size},5] relief) => (uint8[N,{size},{size},3] image) {{
      light = Cast <to = 1> (photo)
      all = Cast <to = 1> (relief)
      first, last = Split <axis = 3> (all, parts)
      higher = Max (light, last)
      image = Cast <to = 2> (higher)
    }}"""
    relief = models.photo_input("relief", size) | {"channels": 5, "background": [0] * 5, "optional": True}
    graph = models.photo_graph(size)
    return replace(graph, text=text, inputs=(*graph.inputs, relief), constants={"parts": np.array([2, 3], np.int64)})


@pytest.fixture(scope="module")
def photos_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("photos")
    graph = relief_graph()
    models.write_model(root / "relief", graph)
    models.write_model(root / "tiled", replace(graph, output=graph.output | {"tiling": {"overlap": 4}}))
    models.write_model(root / "tint", models.chroma_graph(16))
    models.write_model(root / "lines", models.identity_graph(16))
    return root


@pytest.fixture(scope="module")
def served(photos_dir: Path) -> Iterator[TestClient]:
    own = Settings(models_dir=(photos_dir,), bundled_models=False, preload=False, threads=1, max_pixels=4096)
    with TestClient(create_app(own), raise_server_exceptions=False) as client:
        yield client


PHOTO = np.random.default_rng(1).integers(0, 100, (16, 16, 3), dtype=np.uint8)
RELIEF = np.random.default_rng(2).integers(0, 256, (16, 16, 5), dtype=np.uint8)


@pytest.mark.parametrize("content_type", ["application/x-npy", "application/octet-stream", "image/tiff", ""])
@pytest.mark.parametrize("content", [npy(PHOTO), encoded(PHOTO, "TIFF")], ids=["npy", "tiff"])
def test_a_raw_body_may_be_an_array_or_a_tiff(served: TestClient, content: bytes, content_type: str) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    response = served.post("/translate/relief", content=content, headers=headers)
    assert response.status_code == 200, response.text
    np.testing.assert_array_equal(pixels(response.content), PHOTO)


def test_a_form_takes_an_array_of_many_channels_for_an_input_of_as_many(served: TestClient) -> None:
    response = served.post("/translate/relief", files={"image": png(PHOTO), "relief": ("relief.npy", npy(RELIEF))})
    assert response.status_code == 200, response.text
    np.testing.assert_array_equal(pixels(response.content), np.maximum(PHOTO, RELIEF[:, :, 2:]))


def test_json_takes_an_array_of_many_channels(served: TestClient) -> None:
    inputs = {name: base64.b64encode(npy(array)).decode() for name, array in (("photo", PHOTO), ("relief", RELIEF))}
    response = served.post("/translate/relief", json={"inputs": inputs})
    np.testing.assert_array_equal(pixels(response.content), np.maximum(PHOTO, RELIEF[:, :, 2:]))


def test_an_array_is_fitted_like_a_picture(served: TestClient) -> None:
    flat = np.full((32, 64, 5), (0, 0, 200, 100, 50), np.uint8)
    response = served.post("/translate/relief", files={"image": png(np.zeros((32, 64, 3), np.uint8)), "relief": npy(flat)})
    result = pixels(response.content)
    assert result.shape == (16, 16, 3)
    assert (result[4:12] == (200, 100, 50)).all()


def test_an_array_is_cut_into_tiles_with_the_photo(served: TestClient) -> None:
    generator = np.random.default_rng(3)
    photo, relief = (generator.integers(0, 256, (37, 50, channels), dtype=np.uint8) for channels in (3, 5))
    response = served.post("/translate/tiled?size=original", files={"image": npy(photo), "relief": npy(relief)})
    assert response.headers["x-fit"].startswith("tiles; ")
    np.testing.assert_array_equal(pixels(response.content), np.maximum(photo, relief[:, :, 2:]))


def test_a_sixteen_bit_scan_is_coloured_at_its_own_size(served: TestClient) -> None:
    scan = np.linspace(0, 65535, 40 * 60).reshape(40, 60).astype(np.uint16)
    for content in (npy(scan), encoded(Image.fromarray(scan), "TIFF")):
        response = served.post("/translate/tint", content=content)
        assert np.abs(pixels(response.content) @ np.array([0.299, 0.587, 0.114]) - scan / 257).max() <= 1.01


@pytest.mark.parametrize(
    ("files", "status", "code", "detail"),
    [
        ({"relief": png(PHOTO)}, 400, "bad_image", r"'relief' is a gray or RGB picture; send a NumPy array (height, width, 5)"),
        ({"relief": npy(RELIEF[:, :, :4])}, 400, "bad_image", "'relief' is an array of 4 channels; send a NumPy array"),
        ({"image": npy(RELIEF)}, 400, "bad_image", "'photo' is an array of 5 channels; send a gray or RGB picture"),
        ({"relief": npy(RELIEF)[:-1]}, 400, "bad_image", "promises 1280 bytes of values and 1279 follow"),
        ({"relief": npy(np.zeros((65, 64, 5), np.uint8))}, 413, "image_too_large", "64 x 65 pixels"),
        ({"relief": npy(np.array([[{}]]))}, 400, "bad_image", "kind '|O'"),
    ],
)
def test_arrays_that_do_not_fit_their_input_are_refused(
    served: TestClient, files: dict[str, bytes], status: int, code: str, detail: str
) -> None:
    response = served.post("/translate/relief", files={"image": png(PHOTO)} | files)
    assert detail in assert_error(response, status, code)["detail"]


@pytest.mark.parametrize("content", [npy(GRAY), encoded(GRAY, "TIFF")], ids=["npy", "tiff"])
def test_a_drawing_that_is_no_picture_is_refused(served: TestClient, content: bytes) -> None:
    problem = assert_error(served.post("/translate/lines", content=content), 400, "bad_image")
    assert "not a PNG, JPEG or WebP image" in problem["detail"]


def test_only_colouring_needs_a_luma(tmp_path: Path) -> None:
    graph = models.chroma_graph(4)
    five = graph.inputs[0] | {"kind": "photo", "channels": 5, "background": [0] * 5}
    with pytest.raises(ModelError, match=r"'gray' has 5 channels; output\.compose chroma needs the luma of 1 or 3"):
        load_session(entry_of(tmp_path, replace(graph, inputs=(five,))), SessionOptions(PROVIDERS["cpu"], threads=1), LIMITS)


# ------------------------------------------------------------------ on the command line


def command(photos_dir: Path, tmp_path: Path, *arguments: object) -> Any:
    common = ("--model", "relief", "--models", photos_dir, "--out", tmp_path / "out")
    environment = {"INKWASH_BUNDLED_MODELS": "false", "COLUMNS": "200"}
    return CliRunner().invoke(main, [str(word) for word in ("translate", *arguments, *common)], env=environment)


@pytest.mark.usefixtures("restored_logging")
def test_files_may_be_arrays_and_tiffs_with_a_further_input(photos_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(npy(PHOTO))
    (tmp_path / "b.tif").write_bytes(encoded(PHOTO, "TIFF"))
    (tmp_path / "relief.npy").write_bytes(npy(RELIEF))
    further = ("--input", f"relief={tmp_path / 'relief.npy'}")
    result = command(photos_dir, tmp_path, tmp_path / "a.npy", tmp_path / "b.tif", *further)
    assert result.exit_code == 0, result.output
    for name in ("a", "b"):
        written = pixels((tmp_path / f"out/{name}-relief.png").read_bytes())
        np.testing.assert_array_equal(written, np.maximum(PHOTO, RELIEF[:, :, 2:]))


@pytest.mark.usefixtures("restored_logging")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("relief", "--input is 'relief'; write NAME=FILE"),
        ("relief=", "--input is 'relief='; write NAME=FILE"),
        ("relief=gone.npy", "--input relief=gone.npy: No such file"),
        ("mask=gone.npy", "'mask' is not an input of 'relief'; its inputs are: photo, relief"),
        ("image=gone.npy", "'photo' is the main input; give it as a file by itself"),
    ],
)
def test_further_inputs_that_cannot_be_used_end_with_2(photos_dir: Path, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.npy").write_bytes(npy(PHOTO))
    result = command(photos_dir, tmp_path, tmp_path / "a.npy", "--input", text)
    assert result.exit_code == 2
    assert message in result.output

"""NumPy files on the page, held against NumPy itself and against the server's reader."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from server.arrays import read_header
from tests.browser.conftest import Call

READ = """const { readNpy } = await use('npy');
const bytes = Uint8Array.from(atob(a[0]), (char) => char.charCodeAt(0));
try {
  const { data, ...shape } = readNpy(bytes);
  return { ...shape, data: [...data] };
} catch (error) {
  return { key: error.key };
}"""


def npy(array: npt.NDArray[Any]) -> bytes:
    """A file as `numpy.save` writes it."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def read(call: Call, content: bytes) -> dict[str, Any]:
    answer: dict[str, Any] = call(READ, base64.b64encode(content).decode())
    return answer


@pytest.mark.parametrize("kind", ["|u1", "<u2", ">u2", "<f2", "<f4", ">f4", "<f8"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(5, 7), (4, 3, 1), (3, 6, 5)])
def test_every_kind_of_values_is_read_as_the_server_reads_it(
    call: Call, random: np.random.Generator, kind: str, order: str, shape: tuple[int, ...]
) -> None:
    full = np.iinfo(kind).max if np.dtype(kind).kind == "u" else 1
    array = np.array(random.uniform(0, 1, shape) * full, dtype=kind, order=order)  # type: ignore[call-overload]
    expected = read_header(npy(array)).pixels()
    found = read(call, npy(array))
    assert (found["height"], found["width"], found["channels"]) == expected.shape
    assert found["data"] == expected.ravel().tolist()


@pytest.mark.parametrize(
    ("content", "key"),
    [
        (npy(np.zeros((4, 4), np.uint8))[:-1], "open.array_header"),
        (npy(np.zeros((4, 4), np.int32)), "open.array_header"),
        (npy(np.zeros((4, 4), np.uint8))[:20], "open.array_header"),
        (npy(np.zeros((4, 4, 17), np.uint8)), "open.array_shape"),
        (npy(np.zeros(4, np.uint8)), "open.array_shape"),
        (npy(np.full((4, 4), 1.5)), "open.array_values"),
        (npy(np.full((4, 4), np.nan)), "open.array_values"),
    ],
)
def test_what_the_server_would_refuse_is_refused(call: Call, content: bytes, key: str) -> None:
    assert read(call, content) == {"key": key}


def test_written_file_is_read_by_numpy(call: Call, random: np.random.Generator) -> None:
    array = random.integers(0, 256, (9, 5, 3), np.uint8)
    image = {"width": 5, "height": 9, "channels": 3}
    written = call(
        "const { writeNpy } = await use('npy'); return [...writeNpy({ ...a[0], data: Uint8Array.from(a[1]) })];",
        image,
        array.ravel().tolist(),
    )
    assert np.array_equal(np.load(io.BytesIO(bytes(written))), array)
    assert np.array_equal(read_header(bytes(written)).pixels(), array)


@pytest.mark.parametrize(("width", "height"), [(4, 3), (8, 6), (5, 3)])
def test_shrinking_takes_the_mean_of_the_area(call: Call, random: np.random.Generator, width: int, height: int) -> None:
    array = random.integers(0, 256, (6, 8, 2), np.uint8)
    small = call(
        "const { shrink } = await use('npy');"
        "return [...shrink({ width: 8, height: 6, channels: 2, data: Uint8Array.from(a[0]) }, a[1], a[2]).data];",
        array.ravel().tolist(),
        width,
        height,
    )
    # Each value repeated so often that both sizes divide the result.
    fine = array.repeat(height, axis=0).repeat(width, axis=1).astype(float)
    expected = fine.reshape(height, 6, width, 8, 2).mean(axis=(1, 3))
    assert np.abs(np.array(small).reshape(height, width, 2) - expected).max() <= 0.51  # rounding

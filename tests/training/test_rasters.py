"""Picture files of any depth: what comes out is what a server would make of the same file."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from server.imaging import ImageLimits, open_photo, to_gray, to_rgb
from server.manifest import Size
from training.rasters import Raster, RasterError, as_gray, as_rgb, read_raster, square, square_lines

LIMITS = ImageLimits(max_pixels=10**6, max_side=4096)


def _ramp(dtype: type, channels: int = 1) -> np.ndarray:  # type: ignore[type-arg]
    """All of the scale from left to right, other steps in each channel, (16, 300, C)."""
    highest = np.iinfo(dtype).max
    x = np.linspace(0, highest, 300)
    planes = [np.tile(x * (k + 1) % (highest + 1), (16, 1)) for k in range(channels)]
    return np.stack(planes, axis=-1).astype(dtype)


@pytest.mark.parametrize("suffix", ["png", "tif", "npy"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_numbers_are_those_of_a_server(tmp_path: Path, suffix: str, dtype: type, channels: int) -> None:
    values, path = _ramp(dtype, channels), tmp_path / f"x.{suffix}"
    if suffix == "npy":
        np.save(path, values)
    elif suffix == "tif":
        tifffile.imwrite(path, values.squeeze(), photometric="rgb" if channels == 3 else "minisblack")
    elif channels == 3 and dtype is np.uint16:
        pytest.skip("Pillow writes no PNG of 16-bit RGB")
    else:
        Image.fromarray(values.squeeze()).save(path)
    opened = open_photo(path.read_bytes(), LIMITS).image
    served = np.asarray(to_gray(opened, 255) if channels == 1 else to_rgb(opened, (255, 255, 255)))
    np.testing.assert_array_equal(read_raster(path).pixels, served.reshape(*served.shape[:2], channels))


@pytest.mark.parametrize("suffix", ["tif", "npy"])
@pytest.mark.parametrize("channels", [2, 4, 5, 16])
def test_many_channels_are_kept_apart(tmp_path: Path, suffix: str, channels: int) -> None:
    values, path = _ramp(np.uint16, channels), tmp_path / f"x.{suffix}"
    if suffix == "npy":
        np.save(path, values)
    else:
        tifffile.imwrite(path, values, photometric="minisblack", planarconfig="contig")
    pixels = read_raster(path).pixels
    assert pixels.shape == values.shape
    assert np.abs(pixels.astype(float) - values / 257).max() <= 0.5


def test_planes_of_a_tiff_become_channels(tmp_path: Path) -> None:
    values = _ramp(np.uint8, 5)
    tifffile.imwrite(tmp_path / "x.tif", np.moveaxis(values, -1, 0), photometric="minisblack", planarconfig="separate")
    np.testing.assert_array_equal(read_raster(tmp_path / "x.tif").pixels, values)


def test_bands_as_pages_are_refused_and_overviews_are_not(tmp_path: Path) -> None:
    values = _ramp(np.uint8)[..., 0]
    tifffile.imwrite(tmp_path / "pages.tif", np.stack([values] * 5), photometric="minisblack")
    with tifffile.TiffWriter(tmp_path / "overview.tif") as writer:
        writer.write(values, photometric="minisblack")
        writer.write(values[::2, ::2], photometric="minisblack", subfiletype=1)
    with pytest.raises(RasterError, match="has 5 pages; save them as channels"):
        read_raster(tmp_path / "pages.tif")
    np.testing.assert_array_equal(read_raster(tmp_path / "overview.tif").pixels[..., 0], values)


def test_transparent_parts_lie_on_white(tmp_path: Path) -> None:
    image = Image.new("RGBA", (4, 2), (200, 0, 0, 255))
    image.paste((0, 0, 0, 0), (2, 0, 4, 2))
    image.save(tmp_path / "x.png")
    pixels = read_raster(tmp_path / "x.png").pixels
    assert (pixels[:, :2] == (200, 0, 0)).all()
    assert (pixels[:, 2:] == 255).all()


def test_pictures_stand_upright(tmp_path: Path) -> None:
    image, exif = Image.new("RGB", (6, 2), "white"), Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "x.jpg", exif=exif)
    assert read_raster(tmp_path / "x.jpg").pixels.shape == (6, 2, 3)


def test_part_of_the_scale_that_is_used_is_told(tmp_path: Path) -> None:
    np.save(tmp_path / "deep.npy", np.array([[1000, 4000]], np.uint16))
    np.save(tmp_path / "unit.npy", np.array([[0.25, 0.5]], np.float32))
    Image.new("L", (4, 4), 9).save(tmp_path / "plain.png")
    assert read_raster(tmp_path / "deep.npy").values == pytest.approx((1000 / 65535, 4000 / 65535))
    assert read_raster(tmp_path / "unit.npy").values == (0.25, 0.5)
    assert read_raster(tmp_path / "plain.png").values is None


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.zeros((4, 4), np.int16), "values of kind int16"),
        (np.zeros((4, 4, 17), np.uint8), r"has the shape \(4, 4, 17\)"),
        (np.zeros(4, np.uint8), r"has the shape \(4,\)"),
        (np.full((4, 4), 1.5, np.float32), "floats from 1.5 to 1.5, not from 0 to 1"),
        (np.full((4, 4), np.nan, np.float32), "floats from nan"),
    ],
)
def test_arrays_that_are_no_pictures_say_why(tmp_path: Path, values: np.ndarray, reason: str) -> None:  # type: ignore[type-arg]
    np.save(tmp_path / "x.npy", values)
    with pytest.raises(RasterError, match=reason):
        read_raster(tmp_path / "x.npy")


@pytest.mark.parametrize("name", ["x.png", "x.tif", "x.npy", "x.jpg"])
def test_damaged_files_cannot_be_read(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"not a picture at all")
    with pytest.raises(RasterError, match="cannot be read"):
        read_raster(tmp_path / name)


def test_objects_in_an_array_are_not_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(RasterError, match="cannot be read"):
        read_raster(tmp_path / "x.npy")


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_square_is_centred_and_channels_stay_in_place(channels: int) -> None:
    pixels = np.zeros((40, 80, channels), np.uint8)
    pixels[:, 10:70] = np.arange(1, channels + 1) * 40  # more than the square: the filter looks beyond it
    cut = square(pixels, 20)
    assert cut.shape == (20, 20, channels)
    assert (cut == np.arange(1, channels + 1) * 40).all()


def test_nearest_makes_no_values_between() -> None:
    pixels = np.random.default_rng(0).choice([0, 7], (90, 90, 1)).astype(np.uint8)
    assert set(np.unique(square(pixels, 32, Image.Resampling.NEAREST))) == {0, 7}


def test_thin_lines_are_shrunk_as_a_server_shrinks_them() -> None:
    from server.drawings import line_pixels
    from server.imaging import Picture, fit_into
    from server.manifest import ImageInput, InputKind

    drawing = np.full((640, 640, 1), 255, np.uint8)
    drawing[100:540, 300:302], drawing[300:302, 100:540] = 0, 0
    size = Size(height=128, width=128)
    spec = ImageInput(
        name="image", kind=InputKind.LINE, channels=1, size=size, background=(255,), ink="dark", line_width_px=2.0
    )
    served = line_pixels(Picture((Image.fromarray(drawing[..., 0]),), 640, 640), fit_into(640, 640, size), spec)
    np.testing.assert_array_equal(square_lines(drawing, 128), served)
    assert square_lines(drawing, 128).min() < square(drawing, 128).min()


def test_gray_and_rgb_become_one_another_and_many_channels_do_not() -> None:
    gray = np.full((2, 2, 1), 90, np.uint8)
    np.testing.assert_array_equal(as_gray(as_rgb(gray)), gray)
    for convert in (as_gray, as_rgb):
        with pytest.raises(RasterError, match="has 5 channels"):
            convert(np.zeros((2, 2, 5), np.uint8))


def test_halves_keep_the_range() -> None:
    raster = Raster(np.arange(8, dtype=np.uint8).reshape(1, 8, 1), (0.0, 0.5))
    assert raster.part(4, 8).pixels.ravel().tolist() == [4, 5, 6, 7]
    assert raster.part(4, 8).values == (0.0, 0.5)

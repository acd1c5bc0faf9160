"""Perceptual hashes: what changes of a picture they forgive, and what they do not."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from tests.training.builder.web import scene
from training.builder.likeness import Fingerprint, Gallery, fingerprint

TOLERANCE = 6


def _bits(first: Fingerprint, second: Fingerprint) -> int:
    return (first.upright ^ second.upright).bit_count()


def _saved_again(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer)


@pytest.mark.parametrize("seed", range(8))
def test_fingerprint_forgives_size_compression_brightness_and_gray(seed: int) -> None:
    image = scene(seed, side=300)
    original = fingerprint(image)
    changed = [
        image.resize((150, 150)),
        _saved_again(image, quality=30),
        ImageEnhance.Brightness(image).enhance(0.8),
        image.convert("L"),
    ]
    assert [_bits(original, fingerprint(other)) <= TOLERANCE for other in changed] == [True] * 4


def test_fingerprints_of_other_pictures_are_far() -> None:
    prints = [fingerprint(scene(seed, side=100)) for seed in range(60)]
    nearest = min(_bits(prints[i], prints[j]) for i in range(60) for j in range(i))
    assert nearest > 2 * TOLERANCE


@pytest.mark.parametrize("size", [(64, 64), (90, 61)])
def test_mirrored_hash_is_that_of_the_mirrored_picture(size: tuple[int, int]) -> None:
    image = scene(3).resize(size)
    turned = fingerprint(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    assert (fingerprint(image).mirrored ^ turned.upright).bit_count() <= 2  # rounding of the small picture
    assert (fingerprint(image).upright ^ turned.upright).bit_count() > TOLERANCE


def test_hexadecimal_is_what_a_gallery_takes() -> None:
    gallery = Gallery(0)
    gallery.add("one", fingerprint(scene(1)).hexadecimal)
    match = gallery.match(fingerprint(scene(1)))
    assert match is not None
    assert (match.id, match.bits, match.is_mirrored) == ("one", 0, False)


def test_gallery_finds_the_nearest_within_its_tolerance() -> None:
    gallery = Gallery(4)
    gallery.add("far", f"{0b111111:016x}")
    gallery.add("near", f"{0b11:016x}")
    gallery.add("near too", f"{0b110:016x}")
    opposite = (1 << 64) - 1
    match = gallery.match(Fingerprint(0, opposite))
    assert match is not None
    assert (match.id, match.bits) == ("near", 2)
    assert gallery.match(Fingerprint(0b11111 << 20, opposite)) is None


def test_gallery_finds_mirrored_pictures() -> None:
    gallery = Gallery(TOLERANCE)
    gallery.add("one", fingerprint(scene(5)).hexadecimal)
    match = gallery.match(fingerprint(scene(5).transpose(Image.Transpose.FLIP_LEFT_RIGHT)))
    assert match is not None
    assert match.is_mirrored


def test_gallery_of_no_tolerance_finds_nothing() -> None:
    gallery = Gallery(-1)
    gallery.add("one", fingerprint(scene(1)).hexadecimal)
    assert gallery.match(fingerprint(scene(1))) is None


def test_gallery_grows() -> None:
    gallery = Gallery(0)
    numbers = np.random.default_rng(0).integers(0, 1 << 62, 1000)
    for index, number in enumerate(numbers):
        gallery.add(str(index), f"{int(number):016x}")
    found = [gallery.match(Fingerprint(int(number), 0)) for number in numbers]
    assert [match.id if match else None for match in found] == [str(index) for index in range(1000)]

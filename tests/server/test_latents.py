"""Latents: drawn from seeds, parsed out of what people write, and mixed."""

from __future__ import annotations

import math
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.catalog import read_entry
from server.errors import BadParameterError
from server.latents import (
    MAX_TERMS,
    MAX_WEIGHT,
    SEED_LIMIT,
    STYLE_ALONE,
    Mix,
    checked_mix,
    draw_latent,
    joined_with_style,
    made_latent,
    mixed_latent,
    parse_mix,
    seed_latent,
)
from server.manifest import Latent, LatentDistribution, Manifest
from tests.server import models

MANY = 20_000
"""Numbers in a latent; enough for figures of one draw to be those of the distribution within a few hundredths."""


def latent_of(distribution: LatentDistribution, *shape: int) -> Latent:
    return Latent(shape=shape or (MANY,), distribution=distribution)


NORMAL = latent_of(LatentDistribution.NORMAL)
BERNOULLI = latent_of(LatentDistribution.BERNOULLI)


def random_mix(generator: np.random.Generator) -> Mix:
    """Up to sixteen terms of weights of any size, zeros among them."""
    count = int(generator.integers(1, MAX_TERMS + 1))
    weights = generator.choice([0.0, 1e-9, 0.3, 1.0, 7.5, 1e6], count) * generator.random(count)
    weights[0] = 0.5
    return parse_mix([{"seed": seed, "weight": float(weight)} for seed, weight in enumerate(weights)])


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return read_entry(models.write_demo_many(tmp_path_factory.mktemp("many"), 16)).manifest


@pytest.fixture(scope="module")
def noise(models_dir: Path) -> Manifest:
    return read_entry(models_dir / "noise").manifest


def test_a_seed_gives_the_same_latent_every_time() -> None:
    for distribution in LatentDistribution:
        first, again, other = (draw_latent((4, 4), distribution, seed) for seed in (5, 5, 6))
        np.testing.assert_array_equal(first, again)
        assert (first != other).any()
        assert first.dtype == np.float32


def test_latents_are_drawn_as_the_protocol_says() -> None:
    np.testing.assert_array_equal(
        draw_latent((2, 3), LatentDistribution.BERNOULLI, 7), np.random.default_rng(7).integers(0, 2, (2, 3)).astype(np.float32)
    )
    np.testing.assert_array_equal(
        draw_latent((2, 3), LatentDistribution.NORMAL, 7), np.random.default_rng(7).standard_normal((2, 3), dtype=np.float32)
    )


def test_bernoulli_is_a_fair_coin() -> None:
    drawn = draw_latent((10_000,), LatentDistribution.BERNOULLI, 1)
    assert set(drawn) == {0.0, 1.0}
    assert abs(drawn.mean() - 0.5) < 0.02  # four standard deviations


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("7", "7:1"),
        ("7:0.6,12:0.4", "7:0.6,12:0.4"),
        ("12:.4 , 7:6e-1", "7:0.6,12:0.4"),
        ("style", "style:1"),
        ("style:0.30,4294967295:2", "4294967295:2,style:0.3"),
        ("7:1,12:2,7:3", "7:4,12:2"),
        ("7:1,style:0", "7:1"),
        ("0,1:0", "0:1"),
        ("007:1", "7:1"),
        ("7:1e-7", "7:1e-07"),
    ],
)
def test_a_mix_has_one_text(text: str, canonical: str) -> None:
    assert str(parse_mix(text)) == canonical
    assert str(parse_mix(canonical)) == canonical


def test_a_list_says_the_same_as_text() -> None:
    listed = [{"seed": 7, "weight": 0.6}, {"style": True, "weight": 0.3}, {"seed": 12}]
    assert parse_mix(listed) == parse_mix("7:0.6,style:0.3,12")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("", "the term ''; a term is a seed"),
        ("7,,8", "the term ''"),
        ("seven:1", "the term 'seven:1'; a term is a seed, a whole number from 0 to 4294967295, or 'style'"),
        ("4294967296", "from 0 to 4294967295"),
        ("-1:1", "a whole number"),
        ("7:", "a weight is a number from 0 to 1000000"),
        ("7:-1", "the term '7:-1'; a weight"),
        ("7:nan", "a weight"),
        ("7:inf", "a weight"),
        ("7:1e999", "a weight"),
        ("7:1_0", "a weight"),
        ("7:1:2", "a weight"),
        ("7:1000001", "a weight"),
        ("٧:1", "a whole number"),
        ("7:1000000,8:1,7:1000000", "several terms of seed 7, whose weights are 2000000 in all; they may be 1000000, so make"),
        ("style:1e6,style:.5", "several terms of 'style', whose weights are 1000000.5 in all"),
        ([{"seed": 7, "weight": 600_000}] * 2, "several terms of seed 7, whose weights are 1200000 in all"),
        ("7:0,8:0", "no term with a weight of more than 0"),
        (",".join(map(str, range(17))), "has 17 terms; it may have 16"),
        ([], "no term with a weight"),
        (7, "is 7; write it as text"),
        ({"seed": 7}, "write it as text"),
        (["7:1"], "a term is {"),
        ([{}], "a term is {"),
        ([{"seed": 7, "style": True}], "a term is {"),
        ([{"seed": 7, "amount": 1}], "a term is {"),
        ([{"seed": "7"}], "a whole number"),
        ([{"seed": True}], "a whole number"),
        ([{"seed": 7.5}], "a whole number"),
        ([{"seed": -1}], "a whole number"),
        ([{"seed": 7, "weight": True}], "a weight"),
        ([{"seed": 7, "weight": "1"}], "a weight"),
        ([{"seed": 7, "weight": None}], "a weight"),
        ([{"seed": 7, "weight": math.nan}], "a weight"),
        ([{"seed": 7, "weight": 10**400}], "a weight"),
        ([{"style": False, "weight": 1}], "can only be true"),
        ([{"style": "data:..."}], "the picture is sent by itself"),
    ],
)
def test_a_bad_mix_is_refused_by_term_rule_and_remedy(given: object, said: str) -> None:
    with pytest.raises(BadParameterError) as caught:
        parse_mix(given)
    assert said in caught.value.detail
    assert caught.value.members == {"parameter": "mix"}
    assert len(caught.value.detail) < 400


WEIGHTS = st.one_of(st.floats(0, MAX_WEIGHT), st.integers(0, int(MAX_WEIGHT)), st.sampled_from([MAX_WEIGHT, 5e-324, 1 / 3, 0]))
SOURCES = st.one_of(st.integers(0, 3), st.integers(0, SEED_LIMIT - 1), st.just("style"))
TERMS = st.lists(st.tuples(SOURCES, WEIGHTS), min_size=1, max_size=MAX_TERMS)


@given(TERMS, st.booleans(), st.sampled_from(LatentDistribution))
@settings(max_examples=300, deadline=None)
def test_the_text_of_any_mix_is_accepted_again_and_means_the_same(
    terms: list[tuple[int | str, float]], is_text: bool, distribution: LatentDistribution
) -> None:
    text = ",".join(f"{source}:{weight!r}" for source, weight in terms)
    listed = [{"style": True, "weight": w} if s == "style" else {"seed": s, "weight": w} for s, w in terms]
    try:
        mix = parse_mix(text if is_text else listed)
    except BadParameterError:
        totals = [math.fsum(w for s, w in terms if s == source) for source, _ in terms]
        assert not any(totals) or max(totals) > MAX_WEIGHT
        return
    again = parse_mix(str(mix))
    assert str(again) == str(mix)
    style = np.linspace(-1, 1, 8, dtype=np.float32)
    latent = latent_of(distribution, 8)
    assert mixed_latent(again, latent, style).tobytes() == mixed_latent(mix, latent, style).tobytes()


def nested(depth: int) -> list[object]:
    """A list in a list in a list."""
    outer: list[object] = []
    for _ in range(depth):
        outer = [outer]
    return outer


MILLION = 10**6


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (",".join("1" * MILLION), "has 1999999 characters; it may have 4096, so leave out terms or digits"),
        ("," * 4000, "has 4001 terms; it may have 16"),
        ([1] * MILLION, "has 1000000 terms; it may have 16"),
        ([[1] * MILLION], "the term [1, 1, 1, 1, ...]; a term is {"),
        (["x" * MILLION], "a term is {"),
        ([dict.fromkeys(map(str, range(MILLION)), 0)], "the term {'0': 0, '1': 0, '2': 0, '3': 0, ...}; a term is {"),
        ([{"seed": [1] * MILLION}], "the term {'seed': [1, 1, 1, 1, ...]}; a term is a seed"),
        ([{"seed": 7, "weight": dict.fromkeys(range(MILLION))}], "a weight is a number"),
        ([{"style": "x" * MILLION}], "can only be true"),
        (dict.fromkeys(map(str, range(MILLION))), "'mix' is {'0': None, "),
        ([nested(100_000)], "the term [[[...]]]; a term is {"),
        ([{"seed": nested(100_000)}], "the term {'seed': [[...]]}; a term is a seed"),
    ],
    ids=lambda value: value[:24] if isinstance(value, str) else type(value).__name__,
)
def test_a_huge_or_deep_mix_is_refused_at_little_cost(given: object, said: str) -> None:
    """It is read in the event loop: what it takes does not grow with what is sent."""
    tracemalloc.start()
    try:
        with pytest.raises(BadParameterError) as caught:
            parse_mix(given)
        _, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert said in caught.value.detail
    assert len(caught.value.detail) < 400
    assert most_bytes < 100_000


@pytest.mark.parametrize("distribution", LatentDistribution)
@pytest.mark.parametrize("weight", ["", ":1", ":0.3", ":1e-300", ":1000000"])
def test_one_term_is_the_latent_of_its_seed_to_the_bit(distribution: LatentDistribution, weight: str) -> None:
    for seed in (0, 7, 2**32 - 1):
        mixed = mixed_latent(parse_mix(f"{seed}{weight},9:0"), latent_of(distribution, 4, 5), None)
        assert mixed.tobytes() == draw_latent((4, 5), distribution, seed).tobytes()
        assert mixed.dtype == np.float32


@pytest.mark.parametrize("number", range(12))
def test_a_normal_mix_keeps_the_variance_of_one_draw(number: int) -> None:
    mixed = mixed_latent(random_mix(np.random.default_rng(number)), NORMAL, None)
    assert abs(float(mixed.mean())) < 0.04  # five standard deviations of the mean of so many numbers
    assert abs(float(mixed.var()) - 1) < 0.06  # likewise of their variance, sqrt(2 / 20000) each


@pytest.mark.parametrize("number", range(12))
def test_a_bernoulli_mix_is_a_mask_between_0_and_1_of_the_same_expectation(number: int) -> None:
    mixed = mixed_latent(random_mix(np.random.default_rng(number)), BERNOULLI, None)
    assert mixed.min() >= 0
    assert mixed.max() <= 1
    assert abs(float(mixed.mean()) - 0.5) < 0.02


@pytest.mark.parametrize("latent", [NORMAL, BERNOULLI])
def test_the_order_of_terms_does_not_matter(latent: Latent) -> None:
    generator = np.random.default_rng(3)
    terms = [f"{seed}:{weight:.3f}" for seed, weight in zip((5, 2, 5, 9, 5, 1), generator.random(6), strict=True)]
    first = mixed_latent(parse_mix(",".join(terms)), latent, None)
    for _ in range(5):
        generator.shuffle(terms)
        assert mixed_latent(parse_mix(",".join(terms)), latent, None).tobytes() == first.tobytes()


def test_a_common_factor_of_the_weights_does_not_matter() -> None:
    first, halved = (mixed_latent(parse_mix(text), NORMAL, None) for text in ("1:3,2:4", "1:1.5,2:2"))
    np.testing.assert_allclose(first, halved, rtol=0, atol=1e-6)


def test_the_way_between_two_seeds_is_a_great_circle() -> None:
    """Each point is at the angle of its weights, from 0 to a right angle, and as long as its ends."""
    start, end = (draw_latent((MANY,), LatentDistribution.NORMAL, seed).astype(np.float64) for seed in (1, 2))
    for angle in np.linspace(0, math.pi / 2, 7):
        mixed = mixed_latent(parse_mix(f"1:{math.cos(angle):.9f},2:{abs(math.sin(angle)):.9f}"), NORMAL, None)
        np.testing.assert_allclose(mixed, math.cos(angle) * start + math.sin(angle) * end, atol=1e-5)
        cosine = float(mixed @ start / np.linalg.norm(mixed) / np.linalg.norm(start))
        assert abs(math.acos(min(1.0, cosine)) - angle) < 0.04  # two draws are at right angles to about 1 / sqrt(20000)


def test_a_style_is_one_more_latent() -> None:
    style = np.full((MANY,), 3, np.float32)
    np.testing.assert_array_equal(mixed_latent(STYLE_ALONE, NORMAL, style), style)
    half = mixed_latent(parse_mix("1:3,style:4"), NORMAL, style)
    np.testing.assert_allclose(half, 0.6 * draw_latent((MANY,), LatentDistribution.NORMAL, 1) + 0.8 * style, atol=1e-6)
    np.testing.assert_array_equal(
        mixed_latent(parse_mix("1:1,style:0"), NORMAL, None), draw_latent((MANY,), LatentDistribution.NORMAL, 1)
    )


def test_a_model_without_latent_has_nothing_to_mix(models_dir: Path) -> None:
    manifest = read_entry(models_dir / "copy").manifest
    assert made_latent(manifest, 1, None) is None
    with pytest.raises(BadParameterError, match="'copy' has no latent that could be mixed; leave 'mix' out"):
        checked_mix(manifest, "1")


def test_a_request_gets_its_mix_or_else_its_seed(noise: Manifest) -> None:
    drawn, mixed = made_latent(noise, 4, None), made_latent(noise, 4, parse_mix("5"))
    np.testing.assert_array_equal(drawn, seed_latent(noise, 4))
    np.testing.assert_array_equal(mixed, seed_latent(noise, 5))


def test_a_term_for_a_style_needs_a_model_that_takes_styles(noise: Manifest, many: Manifest) -> None:
    assert checked_mix(many, "1,style").style == 1
    with pytest.raises(BadParameterError, match="the term 'style', and 'noise' takes no styles; leave the term out"):
        checked_mix(noise, "1,style")


def test_a_term_and_a_picture_for_a_style_go_together() -> None:
    mix, styled = parse_mix("1"), parse_mix("1,style:0")
    assert joined_with_style(None, has_style=False) is None
    assert joined_with_style(None, has_style=True) == STYLE_ALONE
    assert joined_with_style(mix, has_style=False) is mix
    assert joined_with_style(styled, has_style=True) is styled
    with pytest.raises(BadParameterError, match="no picture 'style' came along; send one or drop the term"):
        joined_with_style(styled, has_style=False)
    with pytest.raises(BadParameterError, match=r"'mix' \(1:1\) has no term 'style'; add one or drop the picture"):
        joined_with_style(mix, has_style=True)

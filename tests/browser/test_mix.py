"""The arithmetic of mixes, run in the browser and held against numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.browser.conftest import Call

Vector = npt.NDArray[np.float64]
Terms = list[dict[str, Any]]

DIMENSIONS = 4096
"""So many that independent draws are nearly orthogonal."""


def latent(terms: Terms, distribution: str = "normal") -> Vector:
    """What the server makes of a mix; the style is a draw like any other here."""
    weights = np.array([term["weight"] for term in terms], float)
    parts = [np.random.default_rng(1 if term["what"] == "style" else term["what"] + 2) for term in terms]
    if distribution == "normal":
        return sum_of(weights, [part.standard_normal(DIMENSIONS) for part in parts]) / float(np.sqrt((weights**2).sum()))
    return sum_of(weights, [part.integers(0, 2, DIMENSIONS).astype(float) for part in parts]) / float(weights.sum())


def sum_of(weights: Vector, parts: list[Vector]) -> Vector:
    return (weights[:, None] * np.array(parts)).sum(axis=0)


def blend(call: Call, mixes: list[Terms], shares: list[float], distribution: str = "normal") -> Terms:
    blended: Terms = call('return (await use("mix")).blend(a[0], a[1], a[2]);', mixes, shares, distribution)
    return blended


def seeds(*numbers: int | str) -> list[Terms]:
    return [[{"what": number, "weight": 1}] for number in numbers]


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("7", "7"),
        ("0007", "7"),
        ("style", "style"),
        ("7:3", "7"),
        ("12:0.4, 7:0.6", "7:0.6,12:0.4"),
        ("7,7,12", "7:2,12:1"),
        ("style:.5,4294967295:1", "4294967295:1,style:0.5"),
        ("7:1,12:0", "7"),
        ("1:0.00001,2:0.00001", "1:1,2:1"),
        ("1:0.01,2:0.0001", "1:1,2:0.01"),
        ("1:0.05,2:0.0003", "1:0.05,2:0.0003"),
        ("1:1000000,2:500000", "1:1000000,2:500000"),
        ("1:600000,1:600000,2:600000", "1:1,2:0.5"),
        (f"1:1{'0' * 30},2:2{'0' * 30}", "2:1,1:0.5"),
    ],
)
def test_mix_is_read_and_written_in_one_way(call: Call, text: str, canonical: str) -> None:
    read = 'const {parseMix, mixText} = await use("mix"); return mixText(parseMix(a[0]));'
    assert call(read, text) == canonical
    assert call(read, canonical) == canonical


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "7:",
        "7:-1",
        "7:0",
        "4294967296",
        "1.5",
        "7;8",
        "styles",
        "7:1e999",
        f"7:{'9' * 400},8:1",
        ",".join(map(str, range(17))),
    ],
)
def test_what_is_no_mix_is_refused(call: Call, text: str) -> None:
    assert call('return (await use("mix")).parseMix(a[0]);', text) is None


def test_blend_of_mixes_is_the_mix_of_their_latents(call: Call, random: np.random.Generator) -> None:
    for distribution in ("normal", "bernoulli"):
        mixes = [
            [
                {"what": int(seed), "weight": float(weight)}
                for seed, weight in zip(chosen, random.uniform(0.2, 3, 3), strict=True)
            ]
            for chosen in (random.permutation(5)[:3] for _ in range(4))
        ]
        shares = random.uniform(0.1, 1, 4)
        wanted = sum_of(shares, [latent(mix, distribution) for mix in mixes])
        found = latent(blend(call, mixes, shares.tolist(), distribution), distribution)
        # Weights have four decimals, and unequal masks of one seed are not independent.
        assert np.corrcoef(wanted, found)[0, 1] > 0.9999


def test_blend_merges_terms_and_keeps_the_length_of_one(call: Call) -> None:
    mixes: list[Terms] = [[{"what": 1, "weight": 3}, {"what": 2, "weight": 4}], [{"what": 2, "weight": 9}]]
    blended = blend(call, mixes, [0.5, 0.5])
    assert [term["what"] for term in blended] == [2, 1]
    assert sum(term["weight"] ** 2 for term in blended) == pytest.approx(1, abs=1e-3)
    # 0.5 * (0.6, 0.8) + 0.5 * (0, 1), scaled to the length of one.
    assert [term["weight"] for term in blended] == pytest.approx(np.array([0.9, 0.3]) / np.hypot(0.9, 0.3), abs=1e-4)


def test_blend_drops_what_nobody_could_see_and_what_is_too_much(call: Call) -> None:
    assert blend(call, seeds(5, 6), [1, 1e-3]) == [{"what": 5, "weight": 1}]
    many = blend(call, seeds(*range(20)), [1 + k / 20 for k in range(20)])
    assert len(many) == 16
    assert {term["what"] for term in many} == set(range(4, 20))


def test_edge_of_the_pad_is_the_great_circle_at_an_even_pace(call: Call) -> None:
    ends = [latent(mix) for mix in seeds(1, 2)]
    for share in np.linspace(0, 1, 9).tolist():
        shares = call('return (await use("mix")).cornerShares({x: a[0], y: 0}, "normal");', share)
        here = latent(blend(call, seeds(1, 2, 3, 4), shares))
        angles = [np.degrees(np.arccos(np.clip(np.corrcoef(here, end)[0, 1], -1, 1))) for end in ends]
        # Draws of 4096 numbers are orthogonal within about one degree.
        assert angles[0] == pytest.approx(90 * share, abs=2.5)
        assert angles[1] == pytest.approx(90 * (1 - share), abs=2.5)


@pytest.mark.parametrize("distribution", ["normal", "bernoulli"])
def test_corners_of_the_pad_are_the_variations_themselves(call: Call, distribution: str) -> None:
    for k, (x, y) in enumerate([(0, 0), (1, 0), (0, 1), (1, 1)]):
        shares = call('return (await use("mix")).cornerShares(a[0], a[1]);', {"x": x, "y": y}, distribution)
        assert blend(call, seeds(1, 2, 3, 4), shares, distribution) == [{"what": k + 1, "weight": 1}]
    middle = call('return (await use("mix")).cornerShares({x: 0.5, y: 0.5}, a[0]);', distribution)
    assert np.ptp(middle) == pytest.approx(0)


def test_neighbours_stay_near_and_differ(call: Call) -> None:
    base: Terms = [{"what": 1, "weight": 0.8}, {"what": 2, "weight": 0.6}]
    near = [call('return (await use("mix")).near(a[0], a[1], "normal");', base, seed) for seed in (10, 11)]
    likeness = [np.corrcoef(latent(base), latent(mix))[0, 1] for mix in near]
    assert likeness == pytest.approx([0.9, 0.9], abs=0.05)
    assert np.corrcoef(*(latent(mix) for mix in near))[0, 1] == pytest.approx(0.81, abs=0.05)


def test_file_names_tell_weights_in_percent(call: Call) -> None:
    name = 'const {mixName, parseMix} = await use("mix"); return mixName(parseMix(a[0]));'
    assert call(name, "41") == "41"
    assert call(name, "41:0.8,7:0.6") == "41x80_7x60"


def test_kept_places_stay_when_the_others_are_replaced(call: Call) -> None:
    before, after = call(
        """const {Places} = await use("places");
        const places = new Places();
        let next = 0;
        const make = () => [{what: next++, weight: 1}];
        const seeds = () => places.mixes.map(([{what}]) => what);
        places.reset(make);
        places.toggle(2);
        const before = seeds();
        places.refill(make, 5);
        return [before, seeds()];"""
    )
    assert before == list(range(8))
    assert after == [8, 9, 2, 10, 11, 5, 12, 13]


def test_places_that_need_a_style_go_with_it_even_if_kept(call: Call) -> None:
    left = call(
        """const {Places} = await use("places");
        const places = new Places();
        let next = 0;
        places.reset(() => [{what: next++ ? 3 : "style", weight: 1}]);
        places.toggle(0);
        places.toggle(1);
        places.restyle(() => [{what: 9, weight: 1}], false);
        return places.all.map(({mix, isKept}) => [mix[0].what, isKept]);"""
    )
    assert left == [[9, False], [3, True], *[[9, False]] * 6]

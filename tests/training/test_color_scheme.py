"""Colour schemes: measured of targets, remembered for seeds, and decisive where lines leave a colour open."""

from __future__ import annotations

import math

import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor

from tests.training.conftest import TINY, BuildConfig, tiny_pairs
from training.batches import PairedBatches, held_out_batch
from training.color_scheme import dominant_colors
from training.encoding import decode_picture, encode_hints, encode_picture
from training.families.pix2pix import Pix2Pix, with_scheme, with_spread
from training.families.protocol import Batch
from training.networks.scheme_memory import HUES, PLACES, SCHEME_BITS, SchemeMemory
from training.source import SourceSpec

LINE = SourceSpec("line")
RED, GREEN, BLUE, YELLOW, GRAY, WHITE = (
    torch.tensor(color) for color in ([1.0, -1, -1], [-1.0, 1, -1], [-1.0, -1, 1], [1.0, 1, -1], [0.0, 0, 0], [1.0, 1, 1])
)


def _striped(*stripes: tuple[Tensor, int]) -> Tensor:
    """A picture (1, 3, 64, 64) of vertical stripes, each of a colour and a width."""
    columns = torch.cat([color[:, None].expand(3, width) for color, width in stripes], dim=1)
    return columns[None, :, None, :].expand(1, 3, 64, 64)


def test_colors_come_by_their_shares() -> None:
    scheme = dominant_colors(_striped((BLUE, 16), (RED, 40), (GREEN, 8)), 3)
    assert torch.allclose(scheme, torch.cat([RED, BLUE, GREEN])[None])


def test_paper_counts_for_little() -> None:
    assert torch.allclose(dominant_colors(_striped((WHITE, 56), (RED, 8)), 2), torch.cat([RED, WHITE])[None])


@pytest.mark.parametrize("color", [WHITE, GREEN])
def test_a_picture_of_one_color_has_that_color_alone(color: Tensor) -> None:
    assert torch.allclose(dominant_colors(_striped((color, 64)), 3), color.repeat(3)[None])


def test_shades_are_averaged() -> None:
    shades = _striped((RED, 32), (0.9 * RED, 16), (BLUE, 16))
    assert torch.allclose(dominant_colors(shades, 2), torch.cat([(2 * RED + 0.9 * RED) / 3, BLUE])[None], atol=1e-6)


def _all_bits() -> Tensor:
    """Every choice, (64, 6)."""
    numbers = torch.arange(HUES * PLACES)
    return torch.stack([(numbers >> bit) & 1 for bit in range(SCHEME_BITS)], dim=1).float()


def test_each_choice_of_bits_is_a_place_and_halves_are_means() -> None:
    memory = SchemeMemory(1)
    memory.schemes.copy_(torch.randn(HUES * PLACES, 3))
    assert torch.equal(memory(_all_bits()), memory.schemes)
    between = torch.zeros(2, SCHEME_BITS)
    between[:, 1] = torch.tensor([0.5, 0.25])
    half, quarter = memory(between)
    assert torch.allclose(half, (memory.schemes[0] + memory.schemes[2]) / 2)
    assert (quarter - memory.schemes[0]).norm() < 0.1 * (quarter - memory.schemes[2]).norm(), "drawn to the nearer one"


def test_rare_hues_are_remembered_as_long_as_common_ones() -> None:
    memory = SchemeMemory(1)
    memory.remember(torch.stack([BLUE] * PLACES + [YELLOW] * 100))
    chosen = memory(_all_bits())
    assert torch.equal(chosen[5 * PLACES : 6 * PLACES], BLUE.expand(PLACES, 3))
    assert (chosen == YELLOW).all(dim=1).sum() == PLACES * (HUES - 1), "hues that never came have the others' latest"


def test_places_of_hues_that_never_come_are_shared_by_those_that_do() -> None:
    memory = SchemeMemory(1)
    shades = [0.1 * k * RED for k in range(5, 5 + PLACES - 1)]
    memory.remember(torch.stack([BLUE, *shades]))
    absent = memory.schemes[3 * PLACES : 4 * PLACES]
    assert torch.equal(absent, torch.stack([BLUE, *shades]))


def test_each_hue_has_places_of_its_own() -> None:
    angles = torch.arange(HUES) * (2 * math.pi / HUES)
    colors = torch.stack([torch.cos(angles - turn) for turn in (0, 2 * math.pi / 3, 4 * math.pi / 3)], dim=1)
    memory = SchemeMemory(1)
    memory.remember(colors.repeat_interleave(PLACES, 0))
    assert memory.counts.tolist() == [PLACES] * HUES
    assert torch.allclose(memory.schemes, colors.repeat_interleave(PLACES, 0))


def test_schemes_that_are_mostly_gray_are_kept_only_where_there_are_no_others() -> None:
    memory = SchemeMemory(2)
    memory.remember(torch.cat([GRAY, RED])[None])
    assert torch.equal(memory.schemes, torch.cat([GRAY, RED]).expand_as(memory.schemes))
    memory.remember(torch.stack([torch.cat([RED, GRAY])] * PLACES))
    memory.remember(torch.cat([GRAY, BLUE])[None])
    assert memory.counts.tolist() == [PLACES, *[0] * (HUES - 1)]
    assert torch.equal(memory.schemes, torch.cat([RED, GRAY]).expand(HUES * PLACES, 6))


def _config(tiny_config: BuildConfig, **options: object) -> BuildConfig:
    return lambda **sections: tiny_config(color_scheme={"colors": 1, "swap_share": 0.0, **options}, **sections)


def _two_colors() -> Batch:
    """The same square drawn four times, red twice and blue twice."""
    source, target = tiny_pairs(1)
    batch = held_out_batch(source.repeat(4, 0), target.repeat(4, 0), LINE, torch.device("cpu"), has_hints=False)
    inside = batch["source"] < 0
    colors = torch.stack([RED, RED, BLUE, BLUE])[:, :, None, None]
    batch["target"] = torch.where(inside, colors, batch["target"])
    batch["scheme"] = dominant_colors(batch["target"], 1)
    return batch


def test_the_seed_chooses_what_lines_leave_open(tiny_config: BuildConfig, fabric: Fabric) -> None:
    torch.manual_seed(0)
    family, batch = Pix2Pix(_config(tiny_config)(), LINE, fabric), _two_colors()
    for _ in range(150):
        family.step(batch)
    served = family.exportable()
    assert served.latent is not None
    image, inside = torch.from_numpy(tiny_pairs(1)[0]), batch["source"][0, 0] < 0
    seen = set()
    for bits in (torch.zeros(SCHEME_BITS), torch.tensor([0.0, 0, 0, 1, 0, 1])):  # places 0 and 40: red and blue
        latent = torch.cat([torch.ones(served.latent.shape[0] - SCHEME_BITS), bits])[None]
        seen.add(int(served.module(image, latent)[0][inside].float().mean(dim=0).argmax()))
    assert seen == {0, 2}


def test_a_share_is_told_the_scheme_of_another_picture(tiny_config: BuildConfig, fabric: Fabric) -> None:
    batch = _two_colors()
    own = Pix2Pix(_config(tiny_config)(), LINE, fabric)
    assert torch.equal(own._told_scheme(batch), batch["scheme"])  # type: ignore[arg-type]
    other = Pix2Pix(_config(tiny_config, swap_share=1.0)(), LINE, fabric)
    other.networks["schemes"].remember(GREEN[None])  # type: ignore[operator]
    assert torch.equal(other._told_scheme(batch), GREEN.expand(4, 3))  # type: ignore[arg-type]


def test_schemes_of_recolored_pictures_are_not_for_seeds(tiny_config: BuildConfig, fabric: Fabric) -> None:
    """Which are among those that have hints."""
    family, batch = Pix2Pix(_config(tiny_config)(hints={"enabled": True}), LINE, fabric), _two_colors()
    batch["hints"] = torch.zeros(4, 4, TINY, TINY)
    batch["hints"][2:, 3, 8, 8] = 1
    family.step(batch)
    assert torch.equal(family.networks["schemes"].schemes, batch["scheme"][:1].expand(HUES * PLACES, 3))


def test_batches_hold_the_scheme_of_the_target_as_it_is_learned(tiny_config: BuildConfig) -> None:
    hints = {"enabled": True, "none_share": 0.0, "recolor_share": 1.0}
    config = tiny_config(color_scheme={"colors": 2}, hints=hints)
    batch = PairedBatches(*tiny_pairs(), config, LINE, device=torch.device("cpu")).batch(0)
    assert torch.equal(batch["scheme"], dominant_colors(batch["target"], 2))
    plain = PairedBatches(*tiny_pairs(), tiny_config(), LINE, device=torch.device("cpu")).batch(0)
    assert "scheme" not in plain


def test_served_graph_shows_the_same_as_training(tiny_config: BuildConfig, fabric: Fabric) -> None:
    torch.manual_seed(0)
    config = _config(tiny_config)(hints={"enabled": True, "spread": True}, generator={"finish_channels": 4, "input_skip": True})
    family = Pix2Pix(config, LINE, fabric)
    family.networks["schemes"].remember(BLUE[None])  # type: ignore[operator]
    served = family.exportable()
    assert served.latent is not None
    noise_size = family.networks["average"].noise_size
    assert served.latent.shape == (int(noise_size) + SCHEME_BITS,)  # type: ignore[arg-type]
    image = torch.full((1, TINY, TINY, 1), 255, dtype=torch.uint8)
    hints = torch.zeros(1, TINY, TINY, 4, dtype=torch.uint8)
    hints[:, 4:8, 4:8] = torch.tensor([255, 0, 0, 255], dtype=torch.uint8)
    latent = torch.ones(1, *served.latent.shape)
    condition = torch.cat([encode_picture(image), encode_hints(hints)], 1)
    shown = with_scheme(with_spread(condition, LINE), BLUE[None])
    expected = decode_picture(served.module.generator(shown, latent[:, :-SCHEME_BITS]))  # type: ignore[operator]
    assert torch.equal(served.module(image, hints, latent), expected)


def test_last_layer_sees_no_scheme(tiny_config: BuildConfig, fabric: Fabric) -> None:
    """Which is the same all over a picture."""
    config = _config(tiny_config)(generator={"finish_channels": 4, "input_skip": True})
    state = Pix2Pix(config, LINE, fabric).networks["generator"].state_dict()
    assert state["encoder.0.convolution.weight"].shape[1] == 4
    assert state["last.features.skip.weight"].shape[:2] == (4, 1)


def test_seeds_need_pictures_without_hints(tiny_config: BuildConfig, fabric: Fabric) -> None:
    with pytest.raises(ValueError, match=r"'hints.none_share' is 0, but with color_scheme.colors seeds choose"):
        Pix2Pix(_config(tiny_config)(hints={"enabled": True, "none_share": 0.0}), LINE, fabric)

"""The colouriser family: every published variant learns, and what is exported is what was trained."""

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from tests.training.conftest import TINY, BuildConfig, tiny_pairs
from training.batches import held_out_batch
from training.colorspace import luma_of
from training.families.colorizer import Colorizer, _Picture, _Take
from training.families.protocol import Batch
from training.networks.patchgan import random_window
from training.serving import translate
from training.source import SourceSpec

GRAY = SourceSpec("gray")
VARIANTS = {
    "rgb": {"color": {"generator": "rgb"}},
    "rgb seeing gray": {"color": {"generator": "rgb", "discriminator_sees_gray": True}},
    "cbcr judged in rgb": {"color": {"generator": "cbcr"}, "loss": {"lambda_chroma": 75, "lambda_l1": 25}},
    "ycbcr": {"color": {"generator": "ycbcr", "discriminator": "ycbcr"}},
    "cbcr at half the side": {"color": {"generator": "cbcr", "shrink": 2}, "loss": {"lambda_chroma": 75, "lambda_l1": 25}},
}


def _batch() -> Batch:
    return held_out_batch(*tiny_pairs(4, "gray"), GRAY, torch.device("cpu"), has_hints=False)


def _family(tiny_config: BuildConfig, fabric: Fabric, variant: str) -> Colorizer:
    torch.manual_seed(0)
    return Colorizer(tiny_config(family="colorizer", **VARIANTS[variant]), GRAY, fabric)


@pytest.mark.parametrize("variant", VARIANTS)
def test_variant_overfits_one_batch(variant: str, tiny_config: BuildConfig, fabric: Fabric) -> None:
    family, batch = _family(tiny_config, fabric, variant), _batch()
    first = family.step(batch)["chroma_l1"]
    for _ in range(90):
        last = family.step(batch)["chroma_l1"]
    assert last < first / 2.5


def test_losses_are_told_apart(tiny_config: BuildConfig, fabric: Fabric) -> None:
    losses = _family(tiny_config, fabric, "cbcr judged in rgb").step(_batch())
    assert set(losses) == {"discriminator_real", "discriminator_fake", "adversarial", "l1", "chroma_l1"}


@pytest.mark.parametrize(("variant", "channels"), [("rgb", 3), ("rgb seeing gray", 4), ("ycbcr", 3)])
def test_discriminator_sees_what_the_variant_says(
    variant: str, channels: int, tiny_config: BuildConfig, fabric: Fabric
) -> None:
    family = _family(tiny_config, fabric, variant)
    seen: list[torch.Tensor] = []
    family.networks["discriminator"].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    batch = _batch()
    family.step(batch)
    assert {pictures.shape[1] for pictures in seen} == {channels}
    first_channel = luma_of(batch["target"]) if variant == "ycbcr" else batch["target"][:, :1]
    expected = batch["source"] if variant == "rgb seeing gray" else first_channel
    assert torch.allclose(seen[0][: len(expected), :1], expected, atol=1e-5)


def test_half_the_side_is_half_the_side_for_both_networks(tiny_config: BuildConfig, fabric: Fabric) -> None:
    family = _family(tiny_config, fabric, "cbcr at half the side")
    sides: list[int] = []
    for name in ("generator", "discriminator"):
        family.networks[name].register_forward_pre_hook(lambda _, inputs: sides.append(inputs[0].shape[-1]))
    family.step(_batch())
    assert set(sides) == {TINY // 2}


@pytest.mark.parametrize("variant", ["cbcr judged in rgb", "cbcr at half the side"])
def test_served_picture_keeps_the_gray_photos_luma(variant: str, tiny_config: BuildConfig, fabric: Fabric) -> None:
    family = _family(tiny_config, fabric, variant)
    with torch.no_grad():
        for parameter in family.networks["average"].get_submodule("last").parameters():
            parameter *= 0.1  # pale colours: none leaves RGB, where clamping would change the luma
    exportable = family.exportable()
    gray = np.random.default_rng(0).integers(60, 196, (2, TINY, TINY, 1), dtype=np.uint8)
    made = translate(exportable, {"image": gray}, seeds=[0, 1])
    assert exportable.compose == "chroma"
    assert made.shape == (2, TINY, TINY, 3)
    weighted = made.astype(np.float64) @ [0.299, 0.587, 0.114]
    assert np.abs(weighted - gray[..., 0]).max() <= 1  # rounding to bytes


def test_preview_is_what_is_served(tiny_config: BuildConfig, fabric: Fabric) -> None:
    config = {**VARIANTS["cbcr at half the side"], "generator": {"noise_levels": 0}}
    torch.manual_seed(0)
    family = Colorizer(tiny_config(family="colorizer", **config), GRAY, fabric)
    assert family.exportable().latent is None
    shown = family.preview(_batch()).numpy().astype(int)
    served = translate(family.exportable(), {"image": tiny_pairs(4, "gray")[0]}, seeds=range(4)).astype(int)
    assert np.abs(shown - served).max() <= 1


def test_weights_of_an_exported_module_are_taken_over(tiny_config: BuildConfig, fabric: Fabric) -> None:
    first, second = (_family(tiny_config, fabric, "rgb") for _ in range(2))
    first.step(_batch())
    weights = first.exportable().module.state_dict()
    second.start_from({name: weight for name, weight in weights.items() if not name.endswith("images_seen")})
    pairs = zip(second.networks["average"].parameters(), first.networks["average"].parameters(), strict=True)
    assert all(torch.equal(own, given) for own, given in pairs)


def test_lines_cannot_be_colourised(tiny_config: BuildConfig, fabric: Fabric) -> None:
    with pytest.raises(ValueError, match="'line'"):
        Colorizer(tiny_config(family="colorizer"), SourceSpec("line"), fabric)


def test_gray_and_colour_move_as_one_before_the_discriminator(tiny_config: BuildConfig, fabric: Fabric) -> None:
    color = {"discriminator_sees_gray": True, "generator": "rgb"}
    config = {"discriminator": {"augment": ["translation", "cutout"]}, "color": color}
    family = Colorizer(tiny_config(family="colorizer", **config), GRAY, fabric)
    seen: list[torch.Tensor] = []
    family.networks["discriminator"].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    picture = torch.rand(4, 1, TINY, TINY).expand(-1, 4, -1, -1)
    gray, rgb = picture[:, :1], picture[:, 1:]
    family._judging_objective(_Take(gray, _Picture.of_rgb(rgb), torch.zeros(0), rgb, random_window((TINY, TINY), 0)))
    (judged,) = seen
    assert (judged == judged[:, :1]).all()
    assert (judged != torch.cat([picture, picture])).flatten(1).any(dim=1).all()


def test_colour_is_not_changed_where_the_discriminator_sees_ycbcr(tiny_config: BuildConfig, fabric: Fabric) -> None:
    config = {"discriminator": {"augment": ["color"]}, "color": {"generator": "ycbcr", "discriminator": "ycbcr"}}
    with pytest.raises(ValueError, match=r"'discriminator\.augment' holds 'color'.*discriminator is 'ycbcr'"):
        Colorizer(tiny_config(family="colorizer", **config), GRAY, fabric)


def test_several_inputs_cannot_be_colourised(tiny_config: BuildConfig, fabric: Fabric) -> None:
    with pytest.raises(ValueError, match="takes one input, but the data set has 2; use 'pix2pix'"):
        Colorizer(tiny_config(family="colorizer"), SourceSpec("gray", others=(SourceSpec("gray", name="relief"),)), fabric)


def test_graph_takes_its_input_by_the_name_in_the_data_set(tiny_config: BuildConfig, fabric: Fabric) -> None:
    family = Colorizer(tiny_config(family="colorizer"), SourceSpec("gray", name="scan"), fabric)
    assert family.exportable().image_names == ("scan",)

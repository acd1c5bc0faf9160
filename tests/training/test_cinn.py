"""Conditional invertible networks: the laws of a flow, the family, and both of its served graphs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.nn import functional as F

from tests.training.conftest import TINY, TINY_CINN, BuildConfig
from tests.training.synthetic import make_dataset
from training.colorspace import luma_of, rgb_to_ycbcr, shrink
from training.datasets import PairedDataset
from training.encoding import encode_picture
from training.export import export_run
from training.families.chroma import guess_loss
from training.families.cinn import (
    CinnNetwork,
    ConditionalInvertible,
    StyleEncoder,
    likelihood_losses,
    negative_log_likelihood,
)
from training.families.colorizer import Colorizer
from training.guided import guided_upsample
from training.networks.conditioning import ConditionNetwork
from training.networks.flow import ConditionalFlow, FlowLevel
from training.onnx_graph import read_weights
from training.prepare import prepare
from training.recipes import digits
from training.session import Placement, run_training
from training.source import SourceSpec
from training.trained import open_trained

GRAY = SourceSpec("gray")
LEVELS = (FlowLevel(2, 8, 8), FlowLevel(2, 8, 6))


def _flow(channels: int = 2, side: int = 8) -> ConditionalFlow:
    """A flow whose couplings all do something, in float64."""
    torch.manual_seed(0)
    dense = FlowLevel(2, 8, 4)
    flow = ConditionalFlow(channels, side, LEVELS, dense=dense, condition_channels=3, vector_channels=5, clamp=1.5)
    for weight in flow.parameters():
        weight.data += 0.1 * torch.randn_like(weight)
    return flow.double()


def _conditions(count: int, flow: ConditionalFlow) -> tuple[list[Tensor], Tensor]:
    generator = torch.Generator().manual_seed(3)
    maps = [torch.randn(count, 3, side, side, generator=generator).double() for side in flow.sides]
    return maps, torch.randn(count, 5, generator=generator).double()


# --- laws


def test_inverse_undoes_the_flow() -> None:
    flow = _flow().float()
    maps, vector = _conditions(4, flow)
    maps, vector = [level.float() for level in maps], vector.float()
    picture = torch.randn(4, 2, 8, 8)
    latent, _ = flow(picture, maps, vector)
    assert latent.shape == (4, flow.latent_size) == (4, picture[0].numel())
    assert not torch.allclose(latent.reshape(picture.shape), picture, atol=0.1)
    torch.testing.assert_close(flow.inverse(latent, maps, vector), picture, rtol=0, atol=1e-4)
    torch.testing.assert_close(flow(flow.inverse(latent, maps, vector), maps, vector)[0], latent, rtol=0, atol=1e-4)


def test_log_determinant_is_that_of_the_jacobian() -> None:
    flow = _flow()
    maps, vector = _conditions(1, flow)
    picture = torch.randn(1, 2, 8, 8, dtype=torch.float64)
    _, log_det = flow(picture, maps, vector)
    jacobian = torch.autograd.functional.jacobian(lambda given: flow(given, maps, vector)[0], picture)
    expected = torch.linalg.slogdet(jacobian.reshape(flow.latent_size, flow.latent_size)).logabsdet
    assert abs(float(expected)) > 1
    torch.testing.assert_close(log_det, expected[None], rtol=1e-6, atol=1e-6)


def test_condition_and_every_number_of_the_latent_matter() -> None:
    flow = _flow()
    maps, vector = _conditions(1, flow)
    latent = torch.randn(1, flow.latent_size, dtype=torch.float64, requires_grad=True)
    picture = flow.inverse(latent, maps, vector)
    (gradient,) = torch.autograd.grad(picture.square().sum(), latent)
    assert bool((gradient != 0).all())
    for changed in ([maps[0] + 1, maps[1]], [maps[0], maps[1] + 1]):
        assert not torch.allclose(flow.inverse(latent, changed, vector), picture)
    assert not torch.allclose(flow.inverse(latent, maps, vector + 1), picture)


def test_flow_begins_as_its_wavelets_alone() -> None:
    flow = ConditionalFlow(2, 8, LEVELS, dense=FlowLevel(1, 8, 4), condition_channels=3, vector_channels=5, clamp=1.5)
    maps, vector = _conditions(2, flow)
    picture = torch.randn(2, 2, 8, 8)
    with torch.no_grad():
        latent, log_det = flow(picture, [level.float() for level in maps], vector.float())
    # Rebalanced by one half, each of the levels divides by two what it transforms.
    counts = (128, 128, 24)
    torch.testing.assert_close(log_det, torch.full((2,), -math.log(2) * sum(counts)))
    assert float(latent.square().sum()) < float(picture.square().sum())


def test_permutations_hang_on_the_seed_and_leave_numpy_alone() -> None:
    def build(seed: int) -> list[Tensor]:
        flow = ConditionalFlow(
            2, 8, LEVELS, dense=FlowLevel(2, 8, 4), condition_channels=3, vector_channels=5, clamp=1.5, seed=seed
        )
        return [value for name, value in flow.named_buffers() if name.endswith("perm")]

    np.random.seed(5)
    expected = np.random.random(3)
    np.random.seed(5)
    first = build(1)
    np.testing.assert_array_equal(np.random.random(3), expected)
    assert all(torch.equal(one, other) for one, other in zip(first, build(1), strict=True))
    assert any(not torch.equal(one, other) for one, other in zip(first, build(2), strict=True))


def test_likelihood_is_that_of_a_normal_distribution() -> None:
    latent = torch.randn(5, 12)
    normal = torch.distributions.Normal(0.0, 1.0)
    log_det = torch.linspace(-1, 1, 5)
    expected = -(normal.log_prob(latent).sum(dim=1) + log_det) / 12
    torch.testing.assert_close(negative_log_likelihood(latent, log_det), expected)
    losses = likelihood_losses(latent, log_det)
    parts = 0.5 * losses["latent_square"] + 0.5 * math.log(2 * math.pi) - losses["log_det"]
    torch.testing.assert_close(losses["nll"], parts)


def test_guesses_are_judged_at_their_own_scale() -> None:
    values = torch.randn(2, 2, 8, 8)
    right = [F.avg_pool2d(values, 2), F.avg_pool2d(values, 4)]
    assert float(guess_loss(right, values)) == pytest.approx(0, abs=1e-12)
    assert float(guess_loss([right[0], right[1] + 1], values)) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("side", "levels", "words"),
    [
        (12, LEVELS, "12 pixels a side; with 2 levels it must be a multiple of 8"),
        (8, (FlowLevel(1, 8, 9),), "keeps 9 channels"),
    ],
)
def test_flow_that_does_not_fit_is_refused(side: int, levels: tuple[FlowLevel, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ConditionalFlow(2, side, levels, dense=FlowLevel(1, 8, 4), condition_channels=3, vector_channels=5, clamp=1.5)


def test_condition_smaller_than_its_maps_is_refused() -> None:
    options = {"base_channels": 4, "max_channels": 8, "encoder_levels": 2, "map_channels": 4, "vector_channels": 4}
    with pytest.raises(ValueError, match="A condition of 16 pixels gives no map of 16 pixels"):
        ConditionNetwork(1, 16, [16, 8], **options)


# --- upsampling


def test_guided_upsampling_keeps_what_is_even() -> None:
    guide = torch.rand(1, 1, 32, 32) * 2 - 1
    small = torch.full((1, 2, 8, 8), 0.3)
    torch.testing.assert_close(guided_upsample(small, guide), torch.full((1, 2, 32, 32), 0.3))


def test_guided_upsampling_follows_the_guide() -> None:
    """Colour that changes with the light keeps its edge, which bilinear enlargement would blur."""
    guide = torch.full((1, 1, 64, 64), -0.5)
    guide[..., 30:] = 0.5  # not where a small pixel ends
    chroma = torch.cat([0.4 * guide, -0.2 * guide], dim=1)
    small = shrink(chroma, 8)
    guided = (guided_upsample(small, guide) - chroma).abs()
    blurred = (F.interpolate(small, size=64, mode="bilinear") - chroma).abs()
    assert float(guided.mean()) < 0.25 * float(blurred.mean())


# --- family


def _config(build: BuildConfig, **sections: Any) -> Any:
    return build(family="cinn", **{**TINY_CINN, **sections})


def _batch(seed: int = 0, count: int = 4) -> dict[str, Tensor]:
    """Pictures of two colours, the one that is lighter in the middle."""
    generator = torch.Generator().manual_seed(seed)
    target = torch.full((count, 3, TINY, TINY), -0.6)
    for k in range(count):
        top, left = torch.randint(2, 14, (2,), generator=generator).tolist()
        target[k, :, top : top + 16, left : left + 16] = torch.tensor([0.8, -0.2, 0.1])[:, None, None]
    target += 0.02 * torch.randn(target.shape, generator=generator)
    return {"source": luma_of(target), "target": target.clamp(-1, 1)}


def _family(build: BuildConfig, fabric: Fabric, **sections: Any) -> ConditionalInvertible:
    torch.manual_seed(0)
    return ConditionalInvertible(_config(build, **sections), GRAY, fabric)


def test_likelihood_of_the_training_set_rises(tiny_config: BuildConfig, fabric: Fabric) -> None:
    family = _family(tiny_config, fabric)
    batch = _batch()
    before = family.likelihood(batch).mean()
    losses = [family.step(batch) for _ in range(80)]
    assert set(losses[0]) == {"nll", "latent_square", "log_det", "guess"}
    assert float(family.likelihood(batch).mean()) < float(before) - 0.5
    assert losses[-1]["nll"] < losses[0]["nll"] - 0.5
    assert losses[-1]["log_det"] > losses[0]["log_det"]
    assert losses[-1]["guess"] < 0.5 * losses[0]["guess"]


def test_samples_of_a_trained_flow_have_the_colours_of_its_photos(tiny_config: BuildConfig, fabric: Fabric) -> None:
    family = _family(tiny_config, fabric)
    batch = _batch()
    for _ in range(150):
        family.step(batch)
    picture = encode_picture(family.preview(batch))
    error = (rgb_to_ycbcr(picture) - rgb_to_ycbcr(batch["target"]))[:, 1:].abs().mean()
    gray = rgb_to_ycbcr(batch["target"])[:, 1:].abs().mean()
    assert float(error) < 0.5 * float(gray)


def test_no_guess_is_made_where_it_has_no_weight(tiny_config: BuildConfig, fabric: Fabric) -> None:
    family = _family(tiny_config, fabric, cinn={**TINY_CINN["cinn"], "lambda_guess": 0.0})
    assert "guess" not in family.step(_batch())


def test_encoder_of_a_colouriser_is_taken_over(tiny_config: BuildConfig, fabric: Fabric) -> None:
    colorizer = Colorizer(tiny_config(family="colorizer"), GRAY, fabric)
    weights = colorizer.exportable().module.state_dict()
    sizes = {"base_channels": 8, "max_channels": 32}
    family = _family(tiny_config, fabric, cinn={**TINY_CINN["cinn"], **sizes})
    before = {name: value.clone() for name, value in family.networks.state_dict().items()}
    family.start_from(weights)
    after = family.networks.state_dict()
    for part in ("network", "average"):
        name = "condition.encoder.1.convolution.weight"
        assert torch.equal(after[f"{part}.{name}"], weights["generator.encoder.1.convolution.weight"])
        assert torch.equal(after[f"{part}.condition.bottom.weight"], before[f"{part}.condition.bottom.weight"])
    with pytest.raises(ValueError, match="not those of this network"):
        _family(tiny_config, fabric).start_from(weights)
    with pytest.raises(ValueError, match="neither a model of family 'cinn'"):
        family.start_from({"detector.weight": torch.zeros(1)})


@pytest.mark.parametrize(
    ("source", "cinn", "words"),
    [
        (SourceSpec("labels", classes=3), {}, "'chroma', which goes under a gray photo, but the data set's input is 'labels'"),
        (GRAY, {"target": "picture"}, r"'cinn\.shrink' is 2; whole pictures are modelled at their own size"),
        (GRAY, {"shrink": 3}, r"'cinn\.shrink' is 3, which does not divide augment\.image_size 32"),
    ],
)
def test_source_and_sizes_that_do_not_fit_are_refused(
    source: SourceSpec, cinn: dict[str, Any], words: str, tiny_config: BuildConfig
) -> None:
    with pytest.raises(ValueError, match=words):
        CinnNetwork(_config(tiny_config, cinn={**TINY_CINN["cinn"], **cinn}), source)


# --- what is served


def test_style_encoder_gives_the_colours_back(tiny_config: BuildConfig, fabric: Fabric) -> None:
    """At the default temperature, of the flow's own size; enlargement is all that is lost."""
    family = _family(tiny_config, fabric)
    for _ in range(5):
        family.step(_batch())
    exportable = family.exportables()[""]
    photo = torch.randint(90, 160, (2, 8, 8, 3), dtype=torch.uint8)
    photo = photo.repeat_interleave(4, dim=1).repeat_interleave(4, dim=2)  # colours as coarse as the flow's
    assert isinstance(exportable.encoder, StyleEncoder)
    network = exportable.encoder.network
    picture = encode_picture(photo)
    with torch.no_grad():
        latent = exportable.encoder(photo)
        maps, vector = network.condition(luma_of(picture))
        overall, detail = (parameter.default for parameter in exportable.parameters)
        found = network.flow.inverse(network.with_scaled_detail(latent * overall, detail), maps, vector)
    torch.testing.assert_close(found, network.values_of(picture), rtol=0, atol=1e-4)


def test_exported_graphs_are_those_of_the_family(tmp_path: Path, tiny_config: BuildConfig) -> None:
    make_dataset(tmp_path / "data", "gray")
    config = _config(tiny_config, optimizer={"total_images": 32})
    run_training(config, tmp_path / "run", Placement(accelerator="cpu"))
    (exported,) = export_run(open_trained(tmp_path / "run"), tmp_path / "models")
    assert exported.parity.largest <= 1
    weights = read_weights(exported.folder / "model.onnx")
    assert any(name.startswith("network.flow.") for name in weights)
    # A new run goes on from the exported model; what only training has stays new.
    family = ConditionalInvertible(config, GRAY, Fabric(accelerator="cpu"))
    family.start_from(weights)
    held_out = PairedDataset.open(tmp_path / "data", "val")
    batch = {
        "source": encode_picture(torch.from_numpy(np.array(held_out.source))),
        "target": encode_picture(torch.from_numpy(np.array(held_out.target))),
    }
    lacking = {name: weight for name, weight in weights.items() if not name.endswith("stages.1.1.perm_inv")}
    with pytest.raises(ValueError, match=r"lacks the permutation 'flow\.stages\.1\.1\.perm_inv'"):
        family.start_from(lacking)
    trained = open_trained(tmp_path / "run").exportables[""].encoder
    assert isinstance(trained, StyleEncoder)
    with torch.no_grad():
        latent, log_det, _ = trained.network(trained.network.values_of(batch["target"]), batch["source"])
    torch.testing.assert_close(family.likelihood(batch), negative_log_likelihood(latent, log_det), rtol=1e-2, atol=1e-2)


# --- a toy: labels to digits


def test_digits_are_alike_within_a_class_and_never_the_same() -> None:
    first, again = (digits.draw_digit(7, 32, np.random.default_rng(1)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    inked = [[digits.draw_digit(d, 32, np.random.default_rng(k)).max(axis=2) > 90 for k in range(12)] for d in (1, 8)]
    means = [np.mean(masks, axis=0) for masks in inked]
    within = np.mean([np.abs(mask - mean).mean() for masks, mean in zip(inked, means, strict=True) for mask in masks])
    across = np.mean([np.abs(mask - means[1 - k]).mean() for k, masks in enumerate(inked) for mask in masks])
    assert 0 < within < across


def test_digits_are_prepared_without_a_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digits, "COUNTS", {"train": 20, "val": 10})
    info = prepare("digits", None, tmp_path / "data", 32)
    assert (info.counts, info.inputs[0].kind, len(info.inputs[0].palette)) == ({"train": 20, "val": 10}, "labels", 10)
    held_out = PairedDataset.open(tmp_path / "data", "val")
    assert sorted({int(label) for label in np.unique(held_out.source)}) == list(range(10))


def test_label_decides_what_a_trained_flow_writes(tiny_config: BuildConfig, fabric: Fabric) -> None:
    """Squares left or right, by the label: samples lie where their label says, and differ in colour."""
    options = {**TINY_CINN["cinn"], "target": "picture", "shrink": 1, "noise": 0.05, "couplings": (3, 3)}
    labels = SourceSpec("labels", classes=2)
    torch.manual_seed(0)
    config = tiny_config(family="cinn", **{**TINY_CINN, "cinn": options})
    family = ConditionalInvertible(config, labels, fabric)
    generator = torch.Generator().manual_seed(0)
    which = torch.arange(8) % 2
    target = torch.full((8, 3, TINY, TINY), -0.8)
    for k, label in enumerate(which.tolist()):
        target[k, :, 8:24, 16 * label : 16 * label + 16] = torch.rand(3, 1, 1, generator=generator)
    batch = {"source": F.one_hot(which, 2).float()[..., None, None].expand(8, 2, TINY, TINY).contiguous(), "target": target}
    for _ in range(150):
        losses = family.step(batch)
    assert losses["nll"] < 0
    pictures = family.preview(batch).float()[:, 8:24].mean(dim=(1, 3))  # (N, W)
    left, right = pictures[:, :16].mean(dim=1), pictures[:, 16:].mean(dim=1)
    assert bool((left[which == 0] > right[which == 0]).all())
    assert bool((left[which == 1] < right[which == 1]).all())

"""Conditional variational autoencoder: its bound, what it learns, and both of its served graphs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor

from tests.training.conftest import TINY, TINY_CVAE, BuildConfig
from tests.training.synthetic import make_dataset
from training.colorspace import luma_of, rgb_to_ycbcr
from training.config import CONFIG_FOLDER, load_config
from training.encoding import encode_picture
from training.export import export_run
from training.families.cinn import CinnNetwork
from training.families.colorizer import Colorizer
from training.families.cvae import ConditionalAutoencoder, CvaeNetwork, PosteriorMean
from training.networks.vae import condition_sides, gaussian_nll, kl_to_standard_normal
from training.onnx_graph import read_weights
from training.session import Placement, run_training
from training.source import SourceSpec
from training.trained import open_trained

GRAY = SourceSpec("gray")


def _config(build: BuildConfig, **sections: Any) -> Any:
    return build(family="cvae", **{**TINY_CVAE, **sections})


def _family(build: BuildConfig, fabric: Fabric, **cvae: Any) -> ConditionalAutoencoder:
    torch.manual_seed(0)
    return ConditionalAutoencoder(_config(build, cvae={**TINY_CVAE["cvae"], **cvae}), GRAY, fabric)


def _batch(count: int = 4) -> dict[str, Tensor]:
    """The same gray square in every picture, red in half of them and blue in the others: its light does not tell."""
    target = torch.zeros(count, 3, TINY, TINY)
    for k in range(count):
        chroma = torch.tensor([-0.1, 0.5] if k % 2 else [0.5, -0.1])
        square = torch.stack([torch.zeros(()), chroma[0], chroma[1]])
        rgb = _rgb(square)
        target[k, :, 8:24, 8:24] = rgb[:, None, None]
    return {"source": torch.zeros(count, 1, TINY, TINY), "target": target}


def _rgb(ycbcr: Tensor) -> Tensor:
    from training.colorspace import ycbcr_to_rgb

    return ycbcr_to_rgb(ycbcr.reshape(1, 3, 1, 1)).flatten()


# --- laws


def test_parts_of_the_bound_are_those_of_the_distributions() -> None:
    mean, log_variance = torch.randn(5, 3), torch.randn(5, 3)
    posterior, prior = torch.distributions.Normal(mean, (0.5 * log_variance).exp()), torch.distributions.Normal(0.0, 1.0)
    expected = torch.distributions.kl_divergence(posterior, prior).sum(dim=1)
    torch.testing.assert_close(kl_to_standard_normal(mean, log_variance), expected)
    values, middle, log_scale = torch.randn(2, 2, 4, 4), torch.randn(2, 2, 4, 4), torch.tensor([0.3, -0.7]).reshape(2, 1, 1)
    expected = -torch.distributions.Normal(middle, log_scale.exp()).log_prob(values)
    torch.testing.assert_close(gaussian_nll(values, middle, log_scale), expected)


def test_bound_is_above_the_true_likelihood(tiny_config: BuildConfig, fabric: Fabric) -> None:
    """Of a latent of one number the likelihood can be summed up along it."""
    family = _family(tiny_config, fabric, latent_size=1)
    batch = _batch(2)
    for _ in range(30):
        family.step(batch)
    network = family.networks["average"]
    assert isinstance(network, CvaeNetwork)
    values = network.values_of(batch["target"])
    grid = torch.linspace(-6, 6, 2001)
    with torch.no_grad():
        maps, vector = network.condition(batch["source"][:1])
        count = len(grid)
        spread = [level.expand(count, -1, -1, -1) for level in maps]
        decoded = network.decoder(grid[:, None], spread, vector.expand(count, -1))
        prior = -0.5 * grid.square() - 0.5 * math.log(2 * math.pi) + math.log(float(grid[1] - grid[0]))
        for picture, bound in zip(values, family.likelihood_bound(batch), strict=True):
            log_p = -gaussian_nll(picture, decoded, network.log_scale).double().sum(dim=(1, 2, 3)) + prior.double()
            exact = -torch.logsumexp(log_p, dim=0) / picture.numel()
            assert float(bound) > float(exact) - 1e-6
            assert float(bound) < float(exact) + 1.0


def test_sides_that_do_not_halve_are_refused() -> None:
    assert condition_sides(64, 3) == [32, 16, 8]
    with pytest.raises(ValueError, match="20 pixels a side; with 2 levels it must be a multiple of 8"):
        condition_sides(20, 2)


def test_published_configuration_is_as_large_as_the_flow() -> None:
    """The comparison is one of methods: both have as many weights, and the same condition network."""
    ours, theirs = (load_config(CONFIG_FOLDER / f"{name}.toml") for name in ("colorize-vae", "colorize-many"))
    autoencoder, flow = CvaeNetwork(ours, GRAY), CinnNetwork(theirs, GRAY)
    counts = [sum(weight.numel() for weight in network.parameters() if weight.requires_grad) for network in (autoencoder, flow)]
    assert counts[0] == pytest.approx(counts[1], rel=0.05)
    shapes = [{name: value.shape for name, value in network.condition.state_dict().items()} for network in (autoencoder, flow)]
    assert shapes[0] == shapes[1]


# --- family


def test_bound_falls_and_its_parts_are_told(tiny_config: BuildConfig, fabric: Fabric) -> None:
    family = _family(tiny_config, fabric)
    batch = _batch()
    before = family.likelihood_bound(batch).mean()
    losses = [family.step(batch) for _ in range(100)]
    assert set(losses[0]) == {"reconstruction", "kl", "guess"}
    assert float(family.likelihood_bound(batch).mean()) < float(before) - 0.5
    assert losses[-1]["reconstruction"] < losses[0]["reconstruction"] - 0.5
    torch.testing.assert_close(family.likelihood_bound(batch), family.likelihood_bound(batch))


def test_latent_says_what_the_light_does_not(tiny_config: BuildConfig, fabric: Fabric) -> None:
    """Red and blue under one light: the posterior tells them apart, and samples are of both colours."""
    family = _family(tiny_config, fabric)
    batch = _batch()
    for _ in range(200):
        family.step(batch)
    network = family.networks["average"]
    assert isinstance(network, CvaeNetwork)
    with torch.no_grad():
        again = rgb_to_ycbcr(network.sample(network.latent_of(batch["target"]), batch["source"]))[:, 1:, 8:24, 8:24]
        true = rgb_to_ycbcr(batch["target"])[:, 1:, 8:24, 8:24]
        assert float((again - true).abs().mean()) < 0.25 * float(true.abs().mean())
        drawn = rgb_to_ycbcr(network.sample(torch.randn(64, network.latent_size), batch["source"][:1].expand(64, -1, -1, -1)))
    redness = (drawn[:, 2] - drawn[:, 1])[:, 8:24, 8:24].mean(dim=(1, 2))
    assert float(redness.min()) < -0.2
    assert float(redness.max()) > 0.2


def test_encoder_of_a_colouriser_is_taken_over(tiny_config: BuildConfig, fabric: Fabric) -> None:
    weights = Colorizer(tiny_config(family="colorizer"), GRAY, fabric).exportable().module.state_dict()
    family = _family(tiny_config, fabric, base_channels=8, max_channels=32)
    family.start_from(weights)
    after = family.networks.state_dict()
    for part in ("network", "average"):
        taken = after[f"{part}.condition.encoder.1.convolution.weight"]
        assert torch.equal(taken, weights["generator.encoder.1.convolution.weight"])
    with pytest.raises(ValueError, match="not those of this network"):
        _family(tiny_config, fabric).start_from(weights)
    with pytest.raises(ValueError, match="neither a model of family 'cvae'"):
        family.start_from({"detector.weight": torch.zeros(1)})


@pytest.mark.parametrize(
    ("source", "cvae", "words"),
    [
        (SourceSpec("labels", classes=3), {}, "colours gray photos, but the data set's input is 'labels'; prepare a gray set"),
        (GRAY, {"shrink": 3}, r"'cvae\.shrink' is 3, which does not divide augment\.image_size 32"),
    ],
)
def test_source_and_sizes_that_do_not_fit_are_refused(
    source: SourceSpec, cvae: dict[str, Any], words: str, tiny_config: BuildConfig
) -> None:
    with pytest.raises(ValueError, match=words):
        CvaeNetwork(_config(tiny_config, cvae={**TINY_CVAE["cvae"], **cvae}), source)


# --- what is served


def test_style_latent_is_the_posterior_mean_at_the_default_temperature(tiny_config: BuildConfig, fabric: Fabric) -> None:
    family = _family(tiny_config, fabric, temperature=0.5)
    family.step(_batch())
    encoder = family.exportables()[""].encoder
    assert isinstance(encoder, PosteriorMean)
    photo = torch.randint(0, 256, (2, TINY, TINY, 3), dtype=torch.uint8)
    picture = encode_picture(photo)
    with torch.no_grad():
        maps, vector = encoder.network.condition(luma_of(picture))
        mean, _ = encoder.network.posterior(encoder.network.values_of(picture), maps, vector)
        torch.testing.assert_close(encoder(photo) * 0.5, mean)


def test_new_run_goes_on_from_an_exported_model(tmp_path: Path, tiny_config: BuildConfig) -> None:
    make_dataset(tmp_path / "data", "gray")
    config = _config(tiny_config, optimizer={"total_images": 32})
    run_training(config, tmp_path / "run", Placement(accelerator="cpu"))
    trained = open_trained(tmp_path / "run")
    (exported,) = export_run(trained, tmp_path / "models")
    assert exported.parity.largest <= 1
    family = ConditionalAutoencoder(config, GRAY, Fabric(accelerator="cpu"))
    family.start_from(read_weights(exported.folder / "model.onnx"))
    expected, found = trained.exportables[""].module.state_dict(), family.exportables()[""].module.state_dict()
    name = "network.decoder.last.2.weight"
    torch.testing.assert_close(found[name], expected[name], rtol=1e-3, atol=1e-4)  # stored in float16

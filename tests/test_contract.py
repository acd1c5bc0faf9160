"""The contract between both halves: what any family trains and exports, the server serves without knowing the family."""

from __future__ import annotations

import functools
import io
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from server.app import create_app
from server.manifest import Manifest
from server.settings import Settings
from tests.training.conftest import TINY_CINN, TINY_CVAE
from tests.training.synthetic import SIDE, make_dataset, make_several, make_unpaired
from training import linework
from training.config import TrainConfig, parse_config
from training.export import export_run
from training.families import FAMILIES
from training.session import Placement, run_training
from training.trained import open_trained

STEPS, BATCH = 2, 2
KINDS = {
    "pix2pix": ("line", "labels", "several"),
    "colorizer": ("gray",),
    "cyclegan": ("photo-ab", "photo-ba"),
    "edges": ("photo",),
    "cinn": ("gray",),
    "cvae": ("gray",),
}
"""Kinds of pictures that each family translates, of unpaired ones with the way; a family without a row fails here.
"several" are three inputs: labels, gray, and an array of five channels."""


@dataclass(frozen=True)
class Served:
    """A model that was trained and exported, and a client of a server that serves it."""

    client: TestClient
    manifest: Manifest
    folder: Path

    @property
    def main(self) -> str:
        """The name of the main input."""
        return self.manifest.inputs[0].name

    def sample(self) -> bytes:
        """The main input of the first sample."""
        return self.files()[self.main]

    def files(self) -> dict[str, bytes]:
        """Every input of the first sample, as parts of a request."""
        return {name: (self.folder / path).read_bytes() for name, path in self.manifest.samples[0].inputs.items()}


def _config(data: Path, family: str, kind: str) -> TrainConfig:
    unet = {"base_channels": 8, "max_channels": 32, "levels": 4, "upsampling": "resize", "noise": "channel"}
    drawn = kind == "line"  # with all that a generator may have
    resnet = {"base_channels": 8, "max_channels": 32, "residual_blocks": 2, "upsampling": "resize"}
    judged = {"discriminator": {"base_channels": 8, "layers": 1}}
    networks = {
        "cyclegan": {"resnet": resnet, **judged},
        "cinn": {"cinn": {**TINY_CINN["cinn"], "couplings": (1, 1), "dense_couplings": 1}},
        "cvae": {"cvae": TINY_CVAE["cvae"]},
        "edges": {"edges": {"channels": (8, 16, 16), "blocks": (0, 1, 1)}},
    }
    return parse_config(
        {
            "name": f"{family}-{kind}",
            "family": family,
            "data": str(data),
            "title": {"en": "Squares", "ja": "四角"},
            "description": {"en": "Two steps old.", "ja": "二歩だけ学習しました。"},
            **networks.get(family, {"generator": {**unet, "finish_channels": 8 if drawn else 0}, **judged}),
            "optimizer": {"batch_size": BATCH, "total_images": STEPS * BATCH},
            "augment": {"image_size": SIDE},
            "hints": {"enabled": drawn, "spread": drawn},
            "color_scheme": {"colors": 2 if drawn else 0},
        }
    )


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], list[Path]]:
    """Trains two steps and exports; every model of a run is there, so that one run serves both ways of unpaired photos."""

    @functools.cache
    def make(family: str, kind: str) -> list[Path]:
        root = tmp_path_factory.mktemp("trained")
        if kind == "several":
            make_several(root / "data")
        elif family == "cyclegan":
            make_unpaired(root / "data")
        else:
            make_dataset(root / "data", kind)
        run_training(_config(root / "data", family, kind), root / "run", Placement(accelerator="cpu"))
        with pytest.MonkeyPatch.context() as patch:
            # Lines are followed step by step, each a part of the graph: a few steps are exported in a tenth of the time.
            patch.setattr(linework, "GROWTH_STEPS", 2)
            patch.setattr(linework, "SPECK_PX", 2)
            return [model.folder for model in export_run(open_trained(root / "run"), root / "models")]

    return make


@pytest.fixture(scope="module", params=[(family, kind) for family in FAMILIES for kind in KINDS[family]], ids="-".join)
def served(
    request: pytest.FixtureRequest, export: Callable[[str, str], list[Path]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """Serves a model, two steps old, beside a broken one."""
    family, kind = request.param
    models = tmp_path_factory.mktemp("contract")
    kind, _, way = kind.partition("-")
    exported = export(family, kind)[1 if way == "ba" else 0]
    folder = shutil.copytree(exported, models / exported.name)
    shutil.copytree(exported, models / "broken")
    (models / "broken" / "manifest.json").write_text('{"format_version": 1}', "utf-8")
    settings = Settings(models_dir=(models,), bundled_models=False, preload=False, threads=1)
    with TestClient(create_app(settings)) as client:
        manifest = Manifest.model_validate_json((folder / "manifest.json").read_text("utf-8"))
        yield Served(client, manifest, folder)


def _translate(served: Served, seed: int, **files: bytes) -> np.ndarray:  # type: ignore[type-arg]
    response = served.client.post(f"/translate/{served.manifest.id}", params={"seed": seed}, files=files)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "image/png"
    return np.asarray(Image.open(io.BytesIO(response.content)))


def test_trained_model_answers_with_a_picture(served: Served) -> None:
    picture = _translate(served, 1, **served.files())
    assert picture.shape == ((SIDE, SIDE) if served.manifest.output.line else (SIDE, SIDE, 3))
    # A tracer that is two steps old may see no border yet.
    assert picture.std() > 0 or served.manifest.output.line


def test_declared_parameters_are_accepted_within_their_range(served: Served) -> None:
    path = f"/translate/{served.manifest.id}"
    for parameter in served.manifest.parameters:
        assert served.client.post(path, params={parameter.name: parameter.max}, files=served.files()).status_code == 200
        refused = served.client.post(path, params={parameter.name: parameter.max + 1}, files=served.files())
        assert refused.status_code == 422
    if served.manifest.output.line:
        assert served.manifest.output.line.width_parameter in [parameter.name for parameter in served.manifest.parameters]


def test_server_gives_the_picture_that_the_exporter_wrote(served: Served) -> None:
    sample = served.manifest.samples[0]
    files = {name: (served.folder / path).read_bytes() for name, path in sample.inputs.items()}
    answer = _translate(served, sample.seed, **files)
    if served.manifest.output.compose == "chroma":
        # Its colour is laid along the photo's edges, under the photo's own luma.
        photo = np.asarray(Image.open(io.BytesIO(served.sample()))).astype(float)
        assert np.abs(answer @ [0.299, 0.587, 0.114] - photo).max() <= 1
    else:
        np.testing.assert_array_equal(answer, np.asarray(Image.open(served.folder / sample.output)))


def test_self_test_of_the_exported_model_passes(served: Served) -> None:
    _translate(served, 1, **served.files())
    statuses = {entry["id"]: entry["status"] for entry in served.client.get("/models").json()["models"]}
    assert statuses[served.manifest.id] == "ready"


def test_seeds_reproduce_and_vary(served: Served) -> None:
    first, again, other = (_translate(served, seed, **served.files()) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert served.manifest.latent is None or (first != other).any()


def test_hints_change_the_picture(served: Served) -> None:
    if served.manifest.input("hints") is None:
        assert served.manifest.inputs[0].kind != "line"
        return
    dabs = Image.new("RGBA", (SIDE, SIDE), (0, 0, 0, 0))
    dabs.paste((20, 200, 30, 255), (8, 8, 24, 24))
    file = io.BytesIO()
    dabs.save(file, "PNG")
    plain = _translate(served, 1, image=served.sample())
    assert (_translate(served, 1, image=served.sample(), hints=file.getvalue()) != plain).any()


def test_every_input_is_needed_and_decides(served: Served) -> None:
    files = served.files()
    if len(files) == 1:
        assert not [spec.name for spec in served.manifest.inputs if not spec.optional and spec.name != served.main]
        return
    assert [(spec.name, spec.kind, spec.channels) for spec in served.manifest.inputs] == [
        ("geology", "labels", 1),
        ("relief", "gray", 1),
        ("bands", "photo", 5),
    ]
    picture = _translate(served, 1, **files)
    last = served.manifest.samples[-1]
    for name in files:
        other = (served.folder / last.inputs[name]).read_bytes()
        assert (_translate(served, 1, **{**files, name: other}) != picture).any()
        rest = {key: content for key, content in files.items() if key != name}
        refused = served.client.post(f"/translate/{served.manifest.id}", files=rest)
        assert refused.status_code == 422
        assert f"needs the input '{name}'" in refused.json()["detail"]


def test_broken_folder_beside_it_is_reported(served: Served) -> None:
    listing = served.client.get("/models").json()
    (broken,) = listing["broken"]
    assert broken["id"] == "broken"
    assert "manifest.json is not valid" in broken["reason"]
    assert served.manifest.id in [entry["id"] for entry in listing["models"]]


def test_model_card_and_samples_are_served(served: Served) -> None:
    model = f"/models/{served.manifest.id}"
    assert "What it learned from" in served.client.get(f"{model}/card").text
    assert served.client.get(f"{model}/preview").headers["content-type"] == "image/png"
    assert served.client.get(f"{model}/samples/0", params={"part": served.main}).content == served.sample()

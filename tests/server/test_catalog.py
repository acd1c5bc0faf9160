from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.catalog import read_catalog
from server.errors import ConfigurationError, UnknownModelError
from tests.server import models


def test_models_of_several_folders_are_found(models_dir: Path, tmp_path: Path) -> None:
    models.write_model(tmp_path / "mine", models.identity_graph())
    catalog = read_catalog([tmp_path], bundled=models_dir)
    assert next(iter(catalog.entries)) == "mine"
    assert "demo-lines" in catalog.entries
    assert catalog.broken == ()


def test_a_model_folder_itself_may_be_named(models_dir: Path) -> None:
    assert list(read_catalog([models_dir / "copy"]).entries) == ["copy"]


def test_the_first_of_two_models_with_one_id_is_served(models_dir: Path, tmp_path: Path) -> None:
    models.write_model(tmp_path / "copy", models.identity_graph(8))
    catalog = read_catalog([tmp_path], bundled=models_dir)
    assert catalog["copy"].folder == tmp_path / "copy"
    assert catalog.broken == (), "the other one is sound"
    assert len(catalog.shadowed) == 1
    assert str(models_dir / "copy") in catalog.shadowed[0]
    assert "is served instead" in catalog.shadowed[0]


def test_a_folder_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="INKWASH_MODELS_DIR"):
        read_catalog([tmp_path / "nowhere"])


def test_a_bundled_folder_that_does_not_exist_is_empty(tmp_path: Path) -> None:
    assert len(read_catalog([], bundled=tmp_path / "nowhere")) == 0


def spoil(folder: Path, name: str) -> None:
    manifest = folder / "manifest.json"
    if name == "no manifest":
        manifest.unlink()
    elif name == "no graph":
        (folder / "model.onnx").unlink()
    elif name == "not json":
        manifest.write_text("{")
    elif name == "not text":
        manifest.write_bytes(b"\xff\xfe\x00")
    elif name == "field":
        manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"license": 3}))
    else:
        manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"format_version": 99}))


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("no manifest", "manifest.json is missing"),
        ("no graph", "model.onnx is missing"),
        ("not json", "manifest.json is not valid"),
        ("not text", "manifest.json"),
        ("field", "license"),
        ("version", "format_version"),
    ],
)
def test_a_broken_folder_is_reported_and_the_others_are_served(tmp_path: Path, fault: str, reason: str) -> None:
    models.write_model(tmp_path / "good", models.identity_graph())
    spoil(models.write_model(tmp_path / "bad", models.identity_graph()), fault)
    catalog = read_catalog([tmp_path])
    assert list(catalog.entries) == ["good"]
    assert [broken.id for broken in catalog.broken] == ["bad"]
    assert reason in catalog.broken[0].reason


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A folder outside the tests' own, seen by a user to whom permissions apply: root may read everything."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for model in ("good", "other"):
            models.write_model(folder / model, models.identity_graph())
        folder.chmod(0o755)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        try:
            yield folder
        finally:
            os.seteuid(user)
            folder.chmod(0o755)
            for path in folder.rglob("*"):
                path.chmod(0o755)


def forbid(path: Path, mode: int) -> None:
    user = os.geteuid()
    os.seteuid(os.getuid())
    path.chmod(mode)
    os.seteuid(user)


@pytest.mark.parametrize("mode", [0o000, 0o644, 0o311], ids=["nothing", "not entered", "not listed"])
def test_a_models_folder_that_cannot_be_read_is_an_error_with_its_name(unprivileged: Path, mode: int) -> None:
    forbid(unprivileged, mode)
    with pytest.raises(ConfigurationError, match=f"'{unprivileged}' cannot be read .Permission denied.; .*permission"):
        read_catalog([unprivileged])


@pytest.mark.parametrize("name", ["", "manifest.json", "model.onnx"])
def test_a_model_that_cannot_be_read_is_broken_and_the_others_are_served(unprivileged: Path, name: str) -> None:
    forbid(unprivileged / "good" / name, 0o000)
    catalog = read_catalog([unprivileged])
    assert list(catalog.entries) == ["other"]
    assert [broken.id for broken in catalog.broken] == ["good"]
    assert "cannot be read" in catalog.broken[0].reason
    assert "Permission denied" in catalog.broken[0].reason


def test_hidden_folders_and_files_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    assert read_catalog([tmp_path]).broken == ()


def test_an_unknown_model_is_told_with_the_list(models_dir: Path) -> None:
    with pytest.raises(UnknownModelError, match=r"no model 'cats'; the models are: copy") as caught:
        read_catalog([models_dir])["cats"]
    assert "copy" in str(caught.value.members["models"])


def test_a_file_outside_the_folder_is_not_given(tmp_path: Path) -> None:
    folder = models.write_model(tmp_path / "linked", models.identity_graph())
    (tmp_path / "secret.png").write_bytes(b"x")
    (folder / "preview.png").symlink_to(tmp_path / "secret.png")
    entry = read_catalog([folder])["linked"]
    assert entry.file("preview.png") is None
    assert entry.file("../secret.png") is None
    assert entry.file("model.onnx") is not None

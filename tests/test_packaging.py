"""What is installed and shipped: the wheel, the pinned versions, the container files."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from server.settings import Settings, variable

SHIPPED = ("pyproject.toml", "README.md", "LICENSE", "server", "static", "models", "training")
MAPPED = {"server._static": "static", "server._models": "models"}


@pytest.fixture(scope="module")
def project(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def pins(root: Path) -> dict[str, str]:
    lines = (root / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pairs}


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy, so that nothing is left in the tree."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for name in SHIPPED:
        copy = shutil.copytree if (root / name).is_dir() else shutil.copy2
        source.mkdir(exist_ok=True)
        copy(root / name, source / name)
    build = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", build, str(folder)], cwd=source, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def compose(root: Path, name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((root / name).read_text(encoding="utf-8"))
    return dict(content["services"]["inkwash"])


def shipped_files(root: Path, folder: str) -> set[str]:
    """Files of a folder as git would ship them."""
    files = (root / folder).rglob("*")
    return {path.relative_to(root / folder).as_posix() for path in files if path.is_file() and "__pycache__" not in path.parts}


def test_every_package_is_listed(root: Path, project: dict[str, Any]) -> None:
    found = {
        path.parent.relative_to(root).as_posix().replace("/", ".")
        for package in ("server", "training")
        for path in (root / package).rglob("*.py")
    }
    assert set(project["tool"]["setuptools"]["packages"]) == found | set(MAPPED)


@pytest.mark.parametrize(("package", "folder"), MAPPED.items())
def test_wheel_holds_page_and_models(wheel: Path, root: Path, package: str, folder: str) -> None:
    prefix = package.replace(".", "/") + "/"
    names = {name.removeprefix(prefix) for name in zipfile.ZipFile(wheel).namelist() if name.startswith(prefix)}
    assert names == shipped_files(root, folder)


def test_wheel_holds_templates_locales_and_configs(wheel: Path, root: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("server/templates", "server/locales", "training/configs"):
        wanted = {f"{folder}/{name}" for name in shipped_files(root, folder)}
        assert wanted, f"{folder} is empty"
        assert wanted <= names


def test_wheel_holds_nothing_else_at_its_top(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"server", "training"}


def test_installed_server_finds_its_own_models(wheel: Path, tmp_path: Path, root: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    command = [sys.executable, "-m", "server", "models"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
    for folder in (root / "models").glob("*/manifest.json"):
        assert folder.parent.name in result.stdout


def test_every_requirement_is_pinned_to_a_version_it_allows(project: dict[str, Any], pins: dict[str, str]) -> None:
    extras = project["project"]["optional-dependencies"]
    for text in (*project["project"]["dependencies"], *(line for lines in extras.values() for line in lines)):
        requirement = Requirement(text)
        pinned = pins.get(canonicalize_name(requirement.name))
        assert pinned, f"{requirement.name} is missing from constraints.txt"
        assert requirement.specifier.contains(pinned), f"{text} does not allow {pinned}, which constraints.txt pins"


def test_constraints_hold_exact_public_versions_only(root: Path) -> None:
    lines = (root / "constraints.txt").read_text(encoding="utf-8").splitlines()
    for line in (line for line in lines if line and not line.startswith("#")):
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9A-Za-z.]*", line), line


def test_onnxruntime_comes_from_exactly_one_extra(project: dict[str, Any]) -> None:
    def runtimes(lines: list[str]) -> set[str]:
        return {name for name in (Requirement(line).name for line in lines) if name.startswith("onnxruntime")}

    extras = project["project"]["optional-dependencies"]
    assert runtimes(project["project"]["dependencies"]) == set()
    assert (runtimes(extras["cpu"]), runtimes(extras["gpu"])) == ({"onnxruntime"}, {"onnxruntime-gpu"})
    assert runtimes(extras["train"]) == set()


def test_server_needs_no_torch(project: dict[str, Any]) -> None:
    extras = project["project"]["optional-dependencies"]
    names = {Requirement(line).name for line in (*project["project"]["dependencies"], *extras["cpu"], *extras["gpu"])}
    assert not names & {"torch", "onnx", "lightning-fabric"}


def test_compose_locks_the_container_down(root: Path) -> None:
    service = compose(root, "docker-compose.yml")
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert [mount for mount in service["volumes"] if not mount.endswith(":ro")] == []
    assert service["tmpfs"]
    assert service["pids_limit"] > 0


def test_only_the_override_asks_for_a_gpu(root: Path) -> None:
    assert "deploy" not in compose(root, "docker-compose.yml")
    override = compose(root, "docker-compose.gpu.yml")
    (device,) = override["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]
    assert override["environment"]["INKWASH_DEVICE"] == "cuda"
    assert override["build"]["args"]["EXTRA"] == "gpu"


def test_compose_waits_longer_than_the_server_takes_to_stop(root: Path) -> None:
    grace = int(compose(root, "docker-compose.yml")["stop_grace_period"].removesuffix("s"))
    assert grace > Settings.model_fields["shutdown_grace_seconds"].default


def test_image_does_not_run_as_root(root: Path) -> None:
    lines = (root / "Dockerfile").read_text(encoding="utf-8").splitlines()
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", users[-1]), "a number, so that orchestrators can tell it is not root"


def test_container_files_name_settings_that_exist(root: Path) -> None:
    known = {variable(name) for name in Settings.model_fields}
    for name in ("Dockerfile", "docker-compose.yml", "docker-compose.gpu.yml", "Makefile"):
        used = set(re.findall(r"\bINKWASH_[A-Z_]+", (root / name).read_text(encoding="utf-8")))
        assert used <= known, f"{name} names {sorted(used - known)}"

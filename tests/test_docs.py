"""Documents say what is true: links lead somewhere, examples run, settings, errors and commands are described."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from server.settings import Settings, variable
from tests.bench.process import ServerProcess

LOCAL_FOLDER = re.compile(r"(?<![\w.:/{}<>])/(?:root|home|Users)/[\w.]+")
"""A path that exists on one person's machine only."""
TEXT_SUFFIXES = {".md", ".py", ".js", ".ts", ".css", ".html", ".json", ".toml", ".txt", ".yml", ".yaml", ".svg", ""}
CURL_ADDRESS = "http://127.0.0.1:8000"


def documents(root: Path) -> list[Path]:
    return sorted([*root.glob("*.md"), *(root / "docs").rglob("*.md"), *(root / "models").glob("*/README.md")])


def tracked_files(root: Path) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    return [root / name for name in listed.stdout.split("\0") if name and (root / name).is_file()]


def anchor(heading: str) -> str:
    """What a heading is called in a link, as code hosts make it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def anchors(document: Path) -> set[str]:
    return {anchor(heading) for heading in re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)}


def local_links(document: Path) -> Iterator[tuple[Path, str]]:
    """Target file and anchor of every link that stays in the repository."""
    text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"[a-z]+:", target):
            path, _, fragment = target.partition("#")
            yield (document.parent / path if path else document), fragment


def shell_blocks(document: Path) -> list[str]:
    return re.findall(r"```sh\n(.*?)```", document.read_text(encoding="utf-8"), flags=re.DOTALL)


def shell_commands(block: str) -> list[str]:
    """Commands of a block: lines that a backslash or a pipe continues are one; comments are dropped."""
    joined = re.sub(r"\\\n\s*|(?<=\|)\n\s*", " ", block)
    return [line for line in joined.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def curl_commands(root: Path) -> list[str]:
    return [command for block in shell_blocks(root / "README.md") for command in shell_commands(block) if "curl " in command]


def all_prose(root: Path) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in documents(root))


def test_links_lead_to_files_and_headings_that_exist(root: Path) -> None:
    for document in documents(root):
        for target, fragment in local_links(document):
            assert target.exists(), f"{document.relative_to(root)} links to {target}, which does not exist"
            assert not fragment or fragment in anchors(target), (
                f"{document.relative_to(root)} links to {target.name}#{fragment}"
            )


def test_architecture_names_only_what_exists(root: Path) -> None:
    text = (root / "ARCHITECTURE.md").read_text(encoding="utf-8")
    paths = re.findall(r"`([\w.-]+/(?:[\w./-]*)?)`", text)
    assert len(paths) > 20, "the code map names files as `folder/file`"
    missing = [path for path in paths if not (root / path).exists()]
    assert not missing


def test_architecture_names_every_module(root: Path) -> None:
    text = (root / "ARCHITECTURE.md").read_text(encoding="utf-8")
    modules = [path for package in ("server", "training") for path in (root / package).glob("*.py") if path.stem != "__init__"]
    missing = [name for path in modules if f"`{(name := path.relative_to(root).as_posix())}`" not in text]
    assert not missing


def test_every_setting_is_documented(root: Path) -> None:
    prose = all_prose(root)
    missing = [name for name in map(variable, Settings.model_fields) if f"`{name}`" not in prose]
    assert not missing


def test_documents_name_only_settings_that_exist(root: Path) -> None:
    known = {variable(name) for name in Settings.model_fields}
    for document in documents(root):
        named = set(re.findall(r"\bINKWASH_[A-Z_]*[A-Z]\b", document.read_text(encoding="utf-8")))
        assert named <= known, f"{document.relative_to(root)} names {sorted(named - known)}"


def commands(app: typer.Typer) -> list[str]:
    return list(getattr(get_command(app), "commands", {}))


def test_every_command_is_documented(root: Path) -> None:
    from server.__main__ import main as server_app
    from training.__main__ import app as training_app

    prose = all_prose(root)
    wanted = [f"inkwash {name}" for name in commands(server_app)] + [f"inkwash-train {name}" for name in commands(training_app)]
    assert len(wanted) >= 7
    missing = [name for name in wanted if name not in prose]
    assert not missing


def test_make_targets_in_documents_exist(root: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (root / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for document in documents(root):
        named = set(re.findall(r"(?:^|`)make ([a-z-]+)", document.read_text(encoding="utf-8"), re.MULTILINE))
        assert named <= targets, f"{document.relative_to(root)} names {sorted(named - targets)}"


def test_nothing_tracked_names_a_folder_of_one_machine(root: Path) -> None:
    for path in tracked_files(root):
        if path.suffix in TEXT_SUFFIXES and "LICENSE" not in path.name:
            found = LOCAL_FOLDER.search(path.read_text(encoding="utf-8", errors="replace"))
            assert not found, f"{path.relative_to(root)} names {found.group()}"


def test_bundled_graphs_name_no_line_of_code_that_made_them(root: Path) -> None:
    graphs = list((root / "models").glob("*/model.onnx"))
    assert graphs
    for graph in graphs:
        content = graph.read_bytes()
        assert b"stack_trace" not in content, graph.parent.name
        assert b".py" not in content, graph.parent.name


def test_readme_shows_every_form_of_the_api(root: Path) -> None:
    text = "\n".join(curl_commands(root))
    for form in ("--data-binary @models/", "-F image=@", "application/json", "n=4", "seed=-1"):
        assert form in text


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_readme_examples_run_as_written(root: Path, tmp_path: Path) -> None:
    (tmp_path / "models").symlink_to(root / "models")
    with ServerProcess(root / "models") as server:
        address = f"http://{server.host}:{server.port}"
        for command in curl_commands(root):
            output = run_example(command.replace(CURL_ADDRESS, address), tmp_path)
            assert output or "--output" in command
            if "--fail" not in command:
                assert_problem(output)
    pictures = {path.name: path.read_bytes()[:3] for path in tmp_path.glob("*.[jp]*g")}
    png = b"\x89PN"
    assert pictures == {"cat.png": png, "dahlia.png": png, "cup.png": png, "houses.jpg": b"\xff\xd8\xff"}


def run_example(command: str, folder: Path) -> str:
    """Runs one command of the README in `folder` and returns what it printed."""
    quiet = command.replace("curl ", "curl --silent --show-error ", 1)
    environment = {**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    script = ["bash", "-o", "pipefail", "-c", quiet]
    result = subprocess.run(script, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, f"{command}\n{result.stderr}"
    return result.stdout


def assert_problem(output: str) -> None:
    """The README's failing example shows the shape of every error: status, code and a sentence."""
    problem = json.loads(output)
    assert (problem["status"], problem["code"]) == (422, "bad_parameter")
    assert "seed" in problem["detail"]

"""The rules that keep the parts apart. The layers themselves are in pyproject.toml, under importlinter."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

PYTHON_ROOTS = ("server", "training")
VAGUE_NAMES = {"utils.py", "util.py", "helpers.py", "helper.py", "common.py", "misc.py"}
TEXT_SUFFIXES = {".js", ".ts", ".css", ".html", ".svg", ".json", ".webmanifest"}
IMPORT = re.compile(r"""^(?:import\b[^;'"]*|export\s*(?:\*|\{[^}]*\})\s*from\s*)["']([^"']+)["']""", re.MULTILINE)
NAMESPACES = ("http://www.w3.org/",)
"""Names of XML vocabularies, which nothing ever fetches."""


def python_files(root: Path) -> Iterator[Path]:
    for package in PYTHON_ROOTS:
        yield from sorted((root / package).rglob("*.py"))


def imported_modules(path: Path) -> set[str]:
    """Full names of what a file imports anywhere, inside functions too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def importers(root: Path, package: str, wanted: str) -> set[str]:
    """Files of a package that import `wanted` or something inside it."""
    files = (root / package).rglob("*.py")
    return {
        path.relative_to(root).as_posix()
        for path in files
        if any(name == wanted or name.startswith(f"{wanted}.") for name in imported_modules(path))
    }


def page_files(root: Path) -> list[Path]:
    folders = (root / "static", root / "server" / "templates", root / "training" / "builder" / "pages")
    return sorted(path for folder in folders for path in folder.rglob("*") if path.suffix in TEXT_SUFFIXES)


def test_imports_run_downwards(root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(root)
    status = lint_imports(cache_dir=None, no_cache=True)
    assert status == EXIT_STATUS_SUCCESS, capsys.readouterr().out


def test_onnxruntime_is_imported_by_one_server_module(root: Path) -> None:
    assert importers(root, "server", "onnxruntime") == {"server/session.py"}


def test_training_knows_of_the_server_only_the_manifest(root: Path) -> None:
    users = importers(root, "training", "server")
    assert users == importers(root, "training", "server.manifest")
    assert len(users) <= 1, f"only one training module may import the manifest, not {sorted(users)}"


@pytest.mark.parametrize("package", ["families", "recipes"])
def test_rows_of_a_table_do_not_import_one_another(root: Path, package: str) -> None:
    """A row is a module that the package's table imports; what several rows share is a module that imports no row."""
    folder = root / "training" / package
    listed = imported_modules(folder / "__init__.py")
    files = {path.stem: path for path in folder.glob("*.py") if path.stem != "__init__"}
    rows = {name for name in files if f"training.{package}.{name}" in listed} - {"protocol", "recipe"}
    assert len(rows) >= 2
    for name, path in files.items():
        wrong = imported_modules(path) & {f"training.{package}.{row}" for row in rows - {name}}
        assert not wrong, f"{path.name} imports {sorted(wrong)}; move what both need below them"


def test_manifest_stands_on_the_standard_library_and_pydantic(root: Path) -> None:
    outside = {name.split(".")[0] for name in imported_modules(root / "server" / "manifest.py")}
    assert outside <= {"__future__", "enum", "typing", "pydantic"}


def test_nothing_is_called_after_a_heap(root: Path) -> None:
    assert not [path for path in python_files(root) if path.name in VAGUE_NAMES]


def test_page_files_are_found(root: Path) -> None:
    assert {path.suffix for path in page_files(root)} >= {".js", ".css", ".html"}


def test_page_names_no_other_origin(root: Path) -> None:
    for path in page_files(root):
        addresses = re.findall(r"""(?:https?:|wss?:)?//[\w.-]+\.[a-z]{2,}[^\s"'`)<]*""", _without_comments(path))
        foreign = [address for address in addresses if not address.startswith(NAMESPACES)]
        assert not foreign, (
            f"{path.relative_to(root)} names {foreign[0]}; everything the page loads must come from its own server"
        )


def test_page_modules_import_files_that_exist(root: Path) -> None:
    for path in sorted((root / "static").rglob("*.js")):
        statements = IMPORT.findall(_without_comments(path))
        for target in statements:
            assert target.startswith(("./", "../")), f"{path.name} imports '{target}', which no browser can resolve"
            assert (path.parent / target).is_file(), f"{path.name} imports '{target}', which does not exist"


def _without_comments(path: Path) -> str:
    """Links in comments are for readers; only code and markup can fetch."""
    text = path.read_text(encoding="utf-8")
    text = re.sub(r"/\*.*?\*/|<!--.*?-->|\{#.*?#\}", "", text, flags=re.DOTALL)
    return re.sub(r"(?m)(?:^|\s)//.*$", "", text) if path.suffix in {".js", ".ts"} else text

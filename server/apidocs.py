"""The page at /docs: OpenAPI as plain HTML with forms to try each route, under the same strict CSP as the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from server.files import FileStore

ASSETS = Path(__file__).parent / "templates" / "apidocs"

Schema = Mapping[str, Any]


@dataclass(frozen=True)
class Field:
    """One parameter of an operation, as a form shows it."""

    name: str
    place: str
    is_required: bool
    kind: str
    choices: tuple[str, ...]
    hint: str


@dataclass(frozen=True)
class Operation:
    """One route and method."""

    method: str
    path: str
    summary: str
    description: str
    tag: str
    fields: tuple[Field, ...]
    body_types: tuple[str, ...]
    answers: tuple[tuple[str, str], ...]

    @property
    def anchor(self) -> str:
        return f"{self.method}-{self.path.strip('/').replace('/', '-').replace('{', '').replace('}', '')}".lower()


def render_docs(schema: Schema, files: FileStore) -> str:
    """HTML of the whole page."""
    environment = Environment(loader=FileSystemLoader(ASSETS), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    groups: dict[str, list[Operation]] = {}
    for operation in operations(schema):
        groups.setdefault(operation.tag, []).append(operation)
    links = {name: f"/docs/{name}?v={files.version(name)}" for name in ("docs.css", "docs.js")}
    return environment.get_template("docs.html").render(info=schema["info"], groups=groups, links=links)


def operations(schema: Schema) -> Iterator[Operation]:
    """Every operation of an OpenAPI document, in its order."""
    for path, methods in schema["paths"].items():
        for method, entry in methods.items():
            yield Operation(
                method=method.upper(),
                path=path,
                summary=entry.get("summary", ""),
                description=entry.get("description", ""),
                tag=(entry.get("tags") or ["other"])[0],
                fields=tuple(_field(parameter) for parameter in entry.get("parameters", ())),
                body_types=tuple(entry.get("requestBody", {}).get("content", {})),
                answers=tuple((status, answer.get("description", "")) for status, answer in entry.get("responses", {}).items()),
            )


def _field(parameter: Schema) -> Field:
    options = parameter.get("schema", {})
    kind = options.get("type") or next(
        (item["type"] for item in options.get("anyOf", ()) if item.get("type") != "null"), "string"
    )
    low, high = options.get("minimum"), options.get("maximum")
    bounds = f"{low} to {high}" if low is not None and high is not None else ""
    hint = " ".join(part for part in (parameter.get("description", ""), bounds) if part)
    required = bool(parameter.get("required", False))
    return Field(parameter["name"], parameter["in"], required, kind, tuple(options.get("enum", ())), hint)

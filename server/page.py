"""The one HTML page: its template, its words, and what it must know before the first request. It serves no API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, TemplateNotFound
from markupsafe import Markup

from server.errors import NotFoundError
from server.files import FileStore
from server.schemas import ModelList

LANGUAGES = ("en", "ja")
DRAWN_KINDS = ("line", "labels")
"""What one draws or paints comes before photos: the page opens with the first model."""
TEMPLATE = "page.html"
_PACKAGE = Path(__file__).parent


def static_folder() -> Path:
    """`static/` of a checkout, else the copy inside the installed package."""
    installed = _PACKAGE / "_static"
    return installed if installed.is_dir() else _PACKAGE.parent / "static"


def embed_json(value: object) -> Markup:
    """JSON that may stand inside a script element: nothing in it can end the element or start another."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


@dataclass(frozen=True)
class Page:
    """Renders the page in a language."""

    static: FileStore
    version: str
    environment: Environment

    def render(self, language: str, models: ModelList) -> str:
        """The page's HTML.

        Raises:
            NotFoundError: the template is not installed.
        """
        words = load_words(language)
        listed = models.model_dump(mode="json")
        boot: dict[str, object] = {
            "version": self.version,
            "lang": language,
            "languages": list(LANGUAGES),
            "messages": words,
            "models": sorted(listed["models"], key=lambda model: model["kind"] not in DRAWN_KINDS),
            "device": models.device,
            "tracer": models.tracer,
        }
        try:
            template = self.environment.get_template(TEMPLATE)
        except TemplateNotFound:
            raise NotFoundError("The page is not installed here; the API is, and /docs describes it.") from None
        return template.render(lang=language, t=words, boot=embed_json(boot), asset=self.asset, version=self.version)

    def asset(self, path: str) -> str:
        """The address of a static file, which changes with its content."""
        return f"/static/{path}?v={self.static.version(path)}"


def make_page(static: FileStore, version: str) -> Page:
    """The page over the templates of this package; an edited template shows at the next request."""
    loader = FileSystemLoader(_PACKAGE / "templates")
    return Page(static, version, Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True))


def load_words(language: str) -> Mapping[str, str]:
    """The page's words in a language, English where one is missing."""
    return {**_read_words("en"), **_read_words(language)}


def _read_words(language: str) -> dict[str, str]:
    path = _PACKAGE / "locales" / f"{language}.json"
    if language not in LANGUAGES or not path.is_file():
        return {}
    words: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return words

"""The page, its files, the description of the API, and the headers around everything."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from jinja2 import DictLoader, Environment

from server.apidocs import operations
from server.envelope import content_security_policy
from server.errors import NotFoundError
from server.files import FileStore
from server.page import Page, embed_json
from server.schemas import ModelList
from tests.server.conftest import MakeClient
from tests.server.problem import assert_error


def boot_of(html: str) -> dict[str, object]:
    found = re.search(r'<script type="application/json" id="boot">(.*?)</script>', html, re.DOTALL)
    assert found
    boot: dict[str, object] = json.loads(found[1])
    return boot


def test_the_page_knows_the_models_before_its_first_request(client: TestClient) -> None:
    response = client.get("/")
    assert response.status_code == 200
    boot = boot_of(response.text)
    models, listed = boot["models"], client.get("/models").json()["models"]
    assert isinstance(models, list)
    assert sorted(models, key=lambda model: model["id"]) == listed
    is_drawn = [model["kind"] in ("line", "labels") for model in models]
    assert is_drawn == sorted(is_drawn, reverse=True)  # the page opens with something to draw
    assert (boot["lang"], boot["languages"], boot["device"]) == ("en", ["en", "ja"], "cpu")


@pytest.mark.parametrize(
    ("query", "accept", "language"),
    [("", "ja", "ja"), ("?lang=en", "ja", "en"), ("?lang=ja", "en", "ja"), ("?lang=xx", "ja", "ja")],
)
def test_the_page_speaks_the_readers_language(client: TestClient, query: str, accept: str, language: str) -> None:
    response = client.get(f"/{query}", headers={"Accept-Language": accept})
    assert response.headers["content-language"] == language
    assert f'<html lang="{language}"' in response.text
    assert boot_of(response.text)["lang"] == language


def test_every_file_that_the_page_names_is_there_and_names_its_version(client: TestClient) -> None:
    html = client.get("/").text
    addresses = re.findall(r'(?:href|src)="(/static/[^"]+)"', html)
    assert addresses
    for address in addresses:
        assert re.search(r"\?v=[0-9a-f]{12}$", address), address
        assert client.get(address).status_code == 200


def test_embedded_json_cannot_end_its_script() -> None:
    text = embed_json({"title": "</script><script>alert(1)</script><!-- & \u2028"})
    assert not re.search(r"[<>&\u2028]", text)
    assert json.loads(text)["title"].startswith("</script>")


def page_over(tmp_path: Path, templates: dict[str, str]) -> Page:
    return Page(FileStore(tmp_path), "1", Environment(loader=DictLoader(templates), autoescape=True))


def test_an_address_changes_with_its_files_content(tmp_path: Path) -> None:
    page = page_over(tmp_path, {})
    assert page.asset("a.css") == "/static/a.css?v=0"
    (tmp_path / "a.css").write_text("a")
    first = page.asset("a.css")
    (tmp_path / "a.css").write_text("bb")
    assert page.asset("a.css") != first


def test_a_missing_template_is_an_error_in_words(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="page is not installed"):
        page_over(tmp_path, {}).render("en", ModelList(models=[], broken=[], device="cpu"))


def test_titles_are_escaped_in_the_page(tmp_path: Path) -> None:
    page = page_over(tmp_path, {"page.html": "{{ lang }}|{{ boot }}"})
    assert page.render("<b>", ModelList(models=[], broken=[], device="cpu")).startswith("&lt;b&gt;|{")


def test_text_is_compressed_for_those_who_take_it(client: TestClient) -> None:
    address = re.findall(r'href="(/static/css/[^"]+)"', client.get("/").text)[0]
    plain = client.get(address, headers={"Accept-Encoding": "identity"})
    packed = client.get(address, headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == plain.content
    assert int(packed.headers["content-length"]) < len(plain.content)
    assert plain.headers["vary"] == "Accept-Encoding"


def test_files_are_revalidated_and_an_edit_is_seen(tmp_path: Path, make_client: MakeClient) -> None:
    store = FileStore(tmp_path)
    (tmp_path / "a.js").write_text("let a = 1;" * 100)
    first = store.version("a.js")
    assert gzip.decompress(store._read("a.js").compressed or b"") == (tmp_path / "a.js").read_bytes()
    (tmp_path / "a.js").write_text("let b = 2;")
    assert store.version("a.js") != first
    client = make_client()
    response = client.get("/favicon.ico")
    assert client.get("/favicon.ico", headers={"If-None-Match": f'W/{response.headers["etag"]}, "x"'}).status_code == 304


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "a/../../secret", "link"])
def test_nothing_outside_the_folder_is_given(tmp_path: Path, path: str) -> None:
    (tmp_path / "secret").write_text("x")
    (tmp_path / "files").mkdir()
    (tmp_path / "files/link").symlink_to(tmp_path / "secret")
    with pytest.raises(NotFoundError):
        FileStore(tmp_path / "files")._read(path)


def test_a_file_is_kept_in_memory_once_whatever_address_asks_for_it(tmp_path: Path) -> None:
    (tmp_path / "js").mkdir()
    (tmp_path / "js/main.js").write_text("x")
    store = FileStore(tmp_path)
    for alias in ("js/main.js", "js/../js/main.js", "x1/../js/main.js", "./js//main.js"):
        assert store._read(alias) is store._read("js/main.js")
    assert len(store._cache) == 1


@pytest.mark.parametrize("name", ["%00", "a%00b.js", "x" * 300, "x/" * 3000])
def test_a_name_that_no_file_can_have_is_not_found(client: TestClient, name: str) -> None:
    assert_error(client.get(f"/static/{name}"), 404, "not_found")


@pytest.mark.parametrize("path", ["/", "/models", "/docs", "/nothing", "/static/nothing", "/openapi.json", "/metrics"])
def test_every_answer_has_the_security_headers(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    for rule in ("default-src 'self'", "script-src 'self'", "object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"):
        assert rule in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert "camera=(self)" in headers["permissions-policy"]
    assert "server" not in headers


def test_sockets_may_go_to_this_host_only() -> None:
    assert b"connect-src 'self' ws://a.example:81 wss://a.example:81;" in content_security_policy("a.example:81")
    assert b"connect-src 'self' ws://[::1]:8000 " in content_security_policy("[::1]:8000")
    for odd in ("", "evil; script-src *", "a b", "a,b"):
        assert b"connect-src 'self';" in content_security_policy(odd)


def test_head_is_answered_like_get(client: TestClient) -> None:
    response = client.head("/models")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"


def test_the_description_of_the_api_is_sound(client: TestClient) -> None:
    schema = client.get("/openapi.json").json()
    assert schema["openapi"].startswith("3.")
    text = json.dumps(schema)
    for reference in set(re.findall(r'"#/components/schemas/([^"]+)"', text)):
        assert reference in schema["components"]["schemas"], reference
    described = {(operation.method, operation.path) for operation in operations(schema)}
    assert ("POST", "/translate/{model}") in described
    assert ("GET", "/models/{model}/samples/{number}") in described
    names = [operation.anchor for operation in operations(schema)]
    assert len(set(names)) == len(names)


def test_the_docs_page_shows_every_operation_and_loads_nothing_from_elsewhere(client: TestClient) -> None:
    html = client.get("/docs").text
    for operation in operations(client.get("/openapi.json").json()):
        assert f'data-path="{operation.path}"' in html
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', html)
    assert not re.search(r"<script(?![^>]*src=)|style=|\son\w+=", html), "a strict policy forbids inline code and styles"
    for address in re.findall(r'(?:src|href)="(/docs/[^"]+)"', html):
        assert client.get(address).status_code == 200

"""Fetching against a local server: what is retried, what is not, who is waited for, and what is bounded."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from http.client import HTTPMessage
from pathlib import Path

import pytest

from tests.training.builder.web import Clock, Web, serve
from training.builder.fetching import Fetcher, NetworkSettings, Shelf, checked_address, seconds_of
from training.builder.journal import BuildError
from training.builder.pointers import UnreachableError, UnusableError


@pytest.fixture
def web() -> Iterator[Web]:
    with serve(Web()) as running:
        yield running


@pytest.fixture
def told() -> list[str]:
    return []


def _fetcher(clock: Clock, told: list[str], max_bytes: int = 1000) -> Fetcher:
    return Fetcher(NetworkSettings(timeout_seconds=5), max_bytes, told.append, clock.sleep, clock)


@pytest.fixture
def fetcher(web: Web, told: list[str]) -> Fetcher:
    return _fetcher(web.clock, told)


def test_get_returns_the_bytes(web: Web, fetcher: Fetcher) -> None:
    web.files["/a.jpg"] = b"bytes"
    assert fetcher.get(web.url("/a.jpg")) == b"bytes"


@pytest.mark.parametrize("fault", [500, 503, 429, 408, 0])
def test_get_tries_again_and_pauses_longer_each_time(web: Web, fetcher: Fetcher, fault: int) -> None:
    web.files["/a.jpg"], web.faults["/a.jpg"] = b"bytes", [fault] * 3
    assert fetcher.get(web.url("/a.jpg")) == b"bytes"
    assert web.clock.sleeps == [1, 2, 4]


def test_get_gives_up_after_its_tries(web: Web, fetcher: Fetcher) -> None:
    web.faults["/a.jpg"] = [503] * 9
    with pytest.raises(UnreachableError, match=r"^127\.0\.0\.1:\d+ answers 503$"):
        fetcher.get(web.url("/a.jpg"))
    assert web.asked["/a.jpg"] == 4
    assert web.clock.sleeps == [1, 2, 4]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 451])
def test_get_does_not_ask_twice_for_what_is_refused(web: Web, fetcher: Fetcher, status: int) -> None:
    web.faults["/a.jpg"] = [status]
    with pytest.raises(UnusableError) as caught:
        fetcher.get(web.url("/a.jpg"))
    assert caught.value.reason == f"address answers {status}"
    assert web.asked["/a.jpg"] == 1


@pytest.mark.parametrize("header", ["Retry-After", "X-RateLimit-Reset"])
def test_get_waits_as_long_as_it_is_asked_to(web: Web, fetcher: Fetcher, told: list[str], header: str) -> None:
    web.files["/a.jpg"], web.faults["/a.jpg"], web.headers[header] = b"bytes", [429], "42"
    assert fetcher.get(web.url("/a.jpg")) == b"bytes"
    assert web.clock.sleeps == [42]
    assert told == [f"127.0.0.1:{web.port} asks to wait 42 seconds."]


def test_get_does_not_wait_for_hours(web: Web, fetcher: Fetcher) -> None:
    web.faults["/a.jpg"], web.headers["Retry-After"] = [429], "7200"
    with pytest.raises(UnreachableError, match="come back in 7,200 seconds"):
        fetcher.get(web.url("/a.jpg"))
    assert web.clock.sleeps == []


def test_get_stops_waiting_when_the_run_ends(web: Web) -> None:
    web.faults["/a.jpg"] = [503] * 9
    fetcher = Fetcher(NetworkSettings(), 1000, print, sleep=bool)  # as an event that is set
    with pytest.raises(UnreachableError, match="the run was ended"):
        fetcher.get(web.url("/a.jpg"))
    assert web.asked["/a.jpg"] == 1


def test_get_of_a_host_that_is_not_there_names_it_and_leaves_it_alone_after_a_while(told: list[str]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{unused.getsockname()[1]}"
    clock = Clock()
    fetcher = _fetcher(clock, told)
    for _ in range(3):
        with pytest.raises(UnreachableError, match=rf"^cannot reach {host}: .*refused"):
            fetcher.get(f"http://{host}/a.jpg")
    tries = len(clock.sleeps)
    with pytest.raises(UnreachableError, match=f"cannot reach {host}"):
        fetcher.get(f"http://{host}/b.jpg")
    assert len(clock.sleeps) == tries


def test_an_answer_in_between_keeps_a_host_in_good_standing(web: Web, fetcher: Fetcher) -> None:
    web.files["/b.jpg"] = b"bytes"
    for _ in range(4):
        web.faults["/a.jpg"] = [0] * 4
        with pytest.raises(UnreachableError, match="cannot reach"):
            fetcher.get(web.url("/a.jpg"))
        assert fetcher.get(web.url("/b.jpg")) == b"bytes"


def test_get_refuses_answers_that_are_too_long(web: Web, fetcher: Fetcher) -> None:
    web.files["/a.jpg"] = bytes(1001)
    with pytest.raises(UnusableError, match=r"too many bytes: the answer has more than 1,000"):
        fetcher.get(web.url("/a.jpg"))


def test_get_tries_again_when_an_answer_ends_early(web: Web, fetcher: Fetcher) -> None:
    web.files["/a.jpg"] = b"bytes"
    web.headers["Content-Length"] = "100"
    web.faults["/a.jpg"] = [200]
    assert fetcher.get(web.url("/a.jpg")) == b"bytes"
    assert web.asked["/a.jpg"] == 2


def test_get_gives_up_answers_that_take_too_long(web: Web, told: list[str]) -> None:
    web.files["/a.jpg"] = b"bytes"
    ticks = iter(range(0, 10_000, 500))
    fetcher = Fetcher(NetworkSettings(attempts=1), 1000, told.append, web.clock.sleep, clock=lambda: float(next(ticks)))
    with pytest.raises(UnreachableError, match="took longer than 120 seconds"):
        fetcher.get(web.url("/a.jpg"))


def test_get_follows_a_few_redirections(web: Web, fetcher: Fetcher) -> None:
    web.redirects = {f"/{k}": f"/{k + 1}" for k in range(5)}
    web.files["/5"] = b"bytes"
    assert fetcher.get(web.url("/0")) == b"bytes"


def test_get_follows_no_circle(web: Web, fetcher: Fetcher) -> None:
    web.redirects = {"/a": "/b", "/b": "/a"}
    with pytest.raises(UnusableError, match="address answers 302"):
        fetcher.get(web.url("/a"))


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://example.org/a.jpg", "//"])
def test_get_is_not_led_away_from_http(web: Web, fetcher: Fetcher, target: str) -> None:
    web.redirects["/a"] = target
    with pytest.raises(UnusableError):
        fetcher.get(web.url("/a"))


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://example.org/a.jpg",
        "data:image/png;base64,AAAA",
        "/a.jpg",
        "http://",
        "http:///a.jpg",
        "http://example.org:port/a.jpg",
        "http://exa..mple.org/",
        "http://[::1/a.jpg",
        "http://user:secret@example.org/a.jpg",
    ],
)
def test_checked_address_refuses_what_is_none(url: str) -> None:
    with pytest.raises(UnusableError) as caught:
        checked_address(url)
    assert caught.value.reason == "bad address"
    assert "secret" not in caught.value.detail


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://example.org", "http://example.org"),
        ("https://example.org:8443/a%20b.jpg?w=1&h=2", "https://example.org:8443/a%20b.jpg?w=1&h=2"),
        (" https://example.org/a b.jpg#top ", "https://example.org/a%20b.jpg"),
        ("https://upload.example.org/Größe(1).jpg", "https://upload.example.org/Gr%C3%B6%C3%9Fe(1).jpg"),
        ("https://bücher.example/a.jpg", "https://xn--bcher-kva.example/a.jpg"),
        ("http://[::1]:80/a.jpg", "http://[::1]:80/a.jpg"),
    ],
)
def test_checked_address_is_what_may_be_sent(url: str, address: str) -> None:
    assert checked_address(url) == address


def test_seconds_of_takes_the_first_number() -> None:
    headers = HTTPMessage()
    headers["Retry-After"] = "Wed, 21 Oct 2015 07:28:00 GMT"
    headers["X-RateLimit-Reset"] = "-3"
    assert seconds_of(headers, "Retry-After", "X-RateLimit-Reset") == 0
    assert seconds_of(headers, "Retry-After") is None


def test_shelf_fetches_once(tmp_path: Path) -> None:
    shelf, fetched = Shelf(tmp_path / "shelf"), []

    def fetch() -> bytes:
        fetched.append(1)
        return b"bytes"

    assert "a" not in shelf
    assert [shelf.get("a", fetch), Shelf(tmp_path / "shelf").get("a", fetch)] == [b"bytes", b"bytes"]
    assert "a" in shelf
    assert len(fetched) == 1


def test_shelf_says_what_to_do_when_it_cannot_write(tmp_path: Path) -> None:
    (tmp_path / "shelf").write_bytes(b"a file in the way")
    with pytest.raises(BuildError, match=r"shelf' cannot be written .* run the same command again"):
        Shelf(tmp_path / "shelf").get("a", lambda: b"bytes")

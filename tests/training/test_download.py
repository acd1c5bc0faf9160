"""Downloads against a local server: whole, resumed, wrong, missing, offline, and archives that try to escape."""

from __future__ import annotations

import errno
import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from rich.console import Console

from training.download import DownloadError, _disk_message, fetch
from training.recipes.recipe import Download

CONTENT = bytes(range(256)) * 4000


@dataclass
class Site:
    """A local server: files by path, and what was asked of it.

    Attributes:
        cut_at: The next answer ends after so many bytes, as a dropped connection does.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    ranges: list[str | None] = field(default_factory=list)
    cut_at: int | None = None
    honors_ranges: bool = True
    port: int = 0

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/{path}"


@pytest.fixture
def site() -> Iterator[Site]:
    state = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            state.ranges.append(wanted)
            content = state.files.get(self.path[1:])
            if content is None:
                self.send_error(404)
                return
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and state.honors_ranges else 0
            if start >= len(content):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            cut, state.cut_at = state.cut_at, None
            self.wfile.write(content[start:cut])

        def log_message(self, *_args: object) -> None:
            """Keeps the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=200)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _tar(members: dict[str, bytes], link: tuple[str, str] | None = None) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        if link:
            member = tarfile.TarInfo(link[0])
            member.type, member.linkname = tarfile.SYMTYPE, link[1]
            tar.addfile(member)
    return buffer.getvalue()


def test_fetch_writes_a_verified_file_once(site: Site, tmp_path: Path, console: Console) -> None:
    site.files["font.ttf"] = CONTENT
    download = Download(site.url("font.ttf"), "font.ttf", sha256=_sha256(CONTENT))
    fetch([download], tmp_path / "cache", console)
    fetch([download], tmp_path / "cache", console)
    assert (tmp_path / "cache" / "font.ttf").read_bytes() == CONTENT
    assert len(site.ranges) == 1


def test_fetch_prints_an_unknown_checksum(site: Site, tmp_path: Path, console: Console) -> None:
    site.files["font.ttf"] = CONTENT
    fetch([Download(site.url("font.ttf"), "font.ttf")], tmp_path, console)
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert _sha256(CONTENT) in printed
    assert "not verified" in printed


def test_fetch_resumes_after_a_dropped_connection(site: Site, tmp_path: Path, console: Console) -> None:
    site.files["font.ttf"], site.cut_at = CONTENT, 600_000
    download = Download(site.url("font.ttf"), "font.ttf", sha256=_sha256(CONTENT))
    with pytest.raises(DownloadError, match="run again"):
        fetch([download], tmp_path, console)
    fetch([download], tmp_path, console)
    assert (tmp_path / "font.ttf").read_bytes() == CONTENT
    assert site.ranges == [None, "bytes=600000-"]


def test_fetch_starts_over_where_the_server_cannot_resume(site: Site, tmp_path: Path, console: Console) -> None:
    site.files["font.ttf"], site.honors_ranges = CONTENT, False
    (tmp_path / "font.ttf.part").write_bytes(b"x" * 1000)
    fetch([Download(site.url("font.ttf"), "font.ttf", sha256=_sha256(CONTENT))], tmp_path, console)
    assert (tmp_path / "font.ttf").read_bytes() == CONTENT


def test_fetch_starts_over_when_the_part_is_longer_than_the_file(site: Site, tmp_path: Path, console: Console) -> None:
    site.files["font.ttf"] = CONTENT
    (tmp_path / "font.ttf.part").write_bytes(CONTENT + b"tail")
    fetch([Download(site.url("font.ttf"), "font.ttf", sha256=_sha256(CONTENT))], tmp_path, console)
    assert (tmp_path / "font.ttf").read_bytes() == CONTENT


def test_fetch_deletes_a_file_with_a_wrong_checksum(site: Site, tmp_path: Path, console: Console) -> None:
    site.files["font.ttf"] = CONTENT + b"!"
    with pytest.raises(DownloadError, match=f"not {_sha256(CONTENT)}"):
        fetch([Download(site.url("font.ttf"), "font.ttf", sha256=_sha256(CONTENT))], tmp_path, console)
    assert list(tmp_path.iterdir()) == []


def test_fetch_names_a_missing_address(site: Site, tmp_path: Path, console: Console) -> None:
    with pytest.raises(DownloadError, match=r"/gone answered 404 .* --source"):
        fetch([Download(site.url("gone"), "font.ttf")], tmp_path, console)


def test_fetch_offline_says_so_and_how_to_do_without(tmp_path: Path, console: Console) -> None:
    with pytest.raises(DownloadError, match=r"Could not fetch http://127\.0\.0\.1:1/font.*Check the network.*--source"):
        fetch([Download("http://127.0.0.1:1/font", "font.ttf")], tmp_path, console)


def test_fetch_unpacks_wanted_members_only(site: Site, tmp_path: Path, console: Console) -> None:
    site.files["a.tar.gz"] = _tar(
        {"pack-1/png/512/one.png": b"1", "pack-1/svg/one.svg": b"2", "./pack-1/png/512/two.png": b"3"}
    )
    download = Download(site.url("a.tar.gz"), "a.tar.gz", members={"pack-1/png/512/": "png"})
    fetch([download], tmp_path, console)
    fetch([download], tmp_path, console)
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()} == {
        "png/one.png", "png/two.png", "a.tar.gz.unpacked",
    }  # fmt: skip
    assert len(site.ranges) == 1


@pytest.mark.parametrize("name", ["pack/../../escaped.txt", "pack//etc/../../../escaped.txt"])
def test_fetch_refuses_an_archive_that_leads_outside(site: Site, tmp_path: Path, console: Console, name: str) -> None:
    site.files["a.tar.gz"] = _tar({name: b"gotcha"})
    with pytest.raises(DownloadError, match="cannot be unpacked"):
        fetch([Download(site.url("a.tar.gz"), "a.tar.gz", members={"pack/": "."})], tmp_path / "cache", console)
    assert not (tmp_path / "escaped.txt").exists()


def test_fetch_ignores_links_in_an_archive(site: Site, tmp_path: Path, console: Console) -> None:
    site.files["a.tar.gz"] = _tar({"pack/one": b"1"}, link=("pack/passwd", "/etc/passwd"))
    fetch([Download(site.url("a.tar.gz"), "a.tar.gz", members={"pack/": "."})], tmp_path, console)
    assert not (tmp_path / "passwd").exists()


def test_fetch_deletes_an_archive_that_is_damaged(site: Site, tmp_path: Path, console: Console) -> None:
    site.files["a.tar.gz"] = _tar({"pack/one": bytes(100_000)})[:60]
    with pytest.raises(DownloadError, match=r"a\.tar\.gz cannot be unpacked"):
        fetch([Download(site.url("a.tar.gz"), "a.tar.gz", members={"pack/": "."})], tmp_path, console)
    assert not (tmp_path / "a.tar.gz").exists()


def test_fetch_says_when_an_archive_holds_nothing_wanted(site: Site, tmp_path: Path, console: Console) -> None:
    site.files["a.tar.gz"] = _tar({"other/one": b"1"})
    with pytest.raises(DownloadError, match="holds nothing below pack/"):
        fetch([Download(site.url("a.tar.gz"), "a.tar.gz", members={"pack/": "."})], tmp_path, console)


def test_fetch_says_when_the_folder_cannot_be_made(tmp_path: Path, console: Console) -> None:
    (tmp_path / "file").write_text("x", "utf-8")
    with pytest.raises(DownloadError, match="Cannot write to"):
        fetch([Download("http://127.0.0.1:1/font", "font.ttf")], tmp_path / "file", console)


def test_full_disk_is_told_with_what_is_free(tmp_path: Path) -> None:
    assert "The disk is full" in _disk_message(OSError(errno.ENOSPC, "No space left on device"), tmp_path)

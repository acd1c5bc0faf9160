"""The preview's server: what it tells and shows, that strikes are on the disk, and that no other page can send any."""

from __future__ import annotations

import io
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.training.builder.builds import SIDE, make_build, make_pairs_only, write_set
from tests.training.synthetic import make_dataset
from training.builder.journal import BuildError
from training.builder.strikes import read_struck, strike
from training.builder.view import MAX_BODY_BYTES, PAGES, is_own_host, open_view, serve_view
from training.builder.viewed import OVERLAY_RGB, PICTURES, SMALL_PX
from training.datasets import PairedDataset

HOSTILE_HOSTS = [
    "evil.example",
    "evil.example:80",
    "127.0.0.1.evil.example",
    "127.0.0.1:80@evil.example",
    "[::1",
    "a" * 300,
    "",
]
HOSTILE_ORIGINS = [
    "http://evil.example",
    "null",
    "http://127.0.0.1",
    "http://127.0.0.1:1",
    "https://{host}",
    "http://{host}.evil.example",
]
UNTIDY_PATHS = [
    "/../view.py",
    "/../../report.html",
    "/%2e%2e/view.py",
    "/..%2fview.py",
    "/pages/view.js",
    "//etc/passwd",
    "/view.html/",
    "/.",
    "/pictures/../../x",
]


@contextmanager
def running(build: Path, host: str = "127.0.0.1") -> Iterator[httpx.Client]:
    """A client of a preview that answers from a thread of its own; it sends what the page would."""
    with open_view(build, host, 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        url = server.url.removesuffix("/")
        try:
            with httpx.Client(base_url=url, headers={"Origin": url}) as client:
                yield client
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def build(tmp_path: Path) -> Path:
    return make_pairs_only(tmp_path / "discs", 8)


@pytest.fixture
def client(build: Path) -> Iterator[httpx.Client]:
    with running(build) as client:
        yield client


def names(build: Path, split: str = "train") -> list[str]:
    return (build / "dataset" / split / "names.txt").read_text("utf-8").split()


def decoded(response: httpx.Response) -> Image.Image:
    assert response.status_code == 200
    return Image.open(io.BytesIO(response.content))


def assert_refused(response: httpx.Response, status: int, words: str) -> None:
    """Every refusal is JSON, `{"error": sentence}`."""
    assert response.status_code == status
    assert words in response.json()["error"]


# --- the page


def test_page_and_its_parts_are_served_under_a_strict_policy(client: httpx.Client) -> None:
    page = client.get("/")
    parts = re.findall(r'(?:src|href)="(/[^"]+)"', page.text)
    assert {f"/{path.name}" for path in PAGES.iterdir()} == {*parts, "/view.html"}
    for response in (page, *(client.get(part) for part in parts)):
        assert response.status_code == 200
        policy = response.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy
        assert response.headers["x-content-type-options"] == "nosniff"


def test_page_holds_no_inline_script_handler_or_style(client: httpx.Client) -> None:
    assert not re.search(r"<script(?![^>]*src=)|\son[a-z]+=|\sstyle=|<style", client.get("/").text)


def test_modules_import_only_one_another() -> None:
    for path in PAGES.glob("*.js"):
        for target in re.findall(r'^import .* from "([^"]+)"', path.read_text("utf-8"), re.MULTILINE):
            assert (PAGES / target).is_file(), f"{path.name} imports {target}"


# --- what is shown


def test_listing_tells_pairs_strikes_and_credits(build: Path, client: httpx.Client) -> None:
    one = names(build)[1]
    strike(build, one, True)
    strike(build, "of an earlier set", True)
    listing = client.get("/pairs").json()
    assert listing["title"] == "Discs"
    assert (listing["kind"], listing["size"]) == ("line", SIDE)
    assert listing["splits"] == {"train": names(build), "val": names(build, "val")}
    assert listing["struck"] == [one]
    assert set(listing["credits"]) == {*names(build), *names(build, "val")}
    assert listing["credits"][one]["author"] == "Ada"


def test_pictures_are_those_of_the_pair(build: Path, client: httpx.Client) -> None:
    version = client.get("/pairs").json()["version"]
    held = PairedDataset.open(build / "dataset", "val")
    address = f"/pictures/{version}/val/1"
    source = np.asarray(decoded(client.get(f"{address}/source")))
    assert np.array_equal(source, np.repeat(held.source[1], 3, axis=-1))
    overlay = np.asarray(decoded(client.get(f"{address}/overlay")))
    assert np.array_equal(overlay[..., 3], 255 - held.source[1][..., 0])
    assert tuple(overlay[0, 0, :3]) == OVERLAY_RGB
    target = np.asarray(decoded(client.get(f"{address}/target"))).astype(int)
    assert np.abs(target - held.target[1]).mean() < 4  # JPEG
    both = np.asarray(decoded(client.get(f"{address}/pair"))).astype(int)
    assert both.shape == (SIDE, 2 * SIDE, 3)
    assert np.abs(both[:, SIDE:] - held.target[1]).mean() < 6
    assert np.abs(both[:, :SIDE] - source).mean() < 6


def test_pictures_may_be_kept_by_the_browser_and_nothing_else(client: httpx.Client) -> None:
    version = client.get("/pairs").json()["version"]
    assert "immutable" in client.get(f"/pictures/{version}/train/0/pair").headers["cache-control"]
    for path in ("/", "/pairs", "/nowhere"):
        assert client.get(path).headers["cache-control"] == "no-store"


@pytest.mark.parametrize("kind", ["labels", "gray"])
def test_sets_of_other_kinds_can_be_looked_at(tmp_path: Path, kind: str) -> None:
    make_dataset(tmp_path / "dataset", kind)  # type: ignore[arg-type]
    with running(tmp_path) as client:
        version = client.get("/pairs").json()["version"]
        for what in PICTURES:
            assert decoded(client.get(f"/pictures/{version}/train/0/{what}")).height == SIDE


def test_large_pictures_are_reduced_for_the_grid_only(tmp_path: Path) -> None:
    from training.datasets import DatasetInfo, Pairs, digest, write_dataset

    info = make_dataset(tmp_path / "dataset")
    side = 2 * SMALL_PX
    large = Pairs(["a"], np.full((1, side, side, 1), 255, np.uint8), np.zeros((1, side, side, 3), np.uint8))
    splits = {"train": large, "val": large}
    update = {"size": side, "counts": {"train": 1, "val": 1}, "sha256": digest(splits)}
    write_dataset(tmp_path / "dataset", DatasetInfo.model_validate(info.model_dump() | update), splits)
    with running(tmp_path) as client:
        version = client.get("/pairs").json()["version"]
        assert decoded(client.get(f"/pictures/{version}/train/0/pair")).size == (2 * SMALL_PX, SMALL_PX)
        assert decoded(client.get(f"/pictures/{version}/train/0/target")).size == (side, side)


@pytest.mark.parametrize("path", ["train/6/pair", "train/999999999/pair", "test/0/pair", "train/0/secret"])
def test_unknown_pictures_are_told(client: httpx.Client, path: str) -> None:
    version = client.get("/pairs").json()["version"]
    assert_refused(client.get(f"/pictures/{version}/{path}"), 404, "There is no picture")


def test_pictures_of_another_version_of_the_set_are_refused(client: httpx.Client) -> None:
    assert_refused(client.get(f"/pictures/{'0' * 16}/train/0/pair"), 409, "reload the page")


def test_set_that_was_damaged_meanwhile_is_told_with_the_remedy(build: Path, client: httpx.Client) -> None:
    (build / "dataset" / "train" / "source.npy").unlink()
    for path in ("/pairs", f"/pictures/{'0' * 16}/train/0/pair"):
        assert_refused(client.get(path), 500, "run `inkwash-train dataset build` again")


def test_set_that_another_process_replaced_is_shown(build: Path, client: httpx.Client) -> None:
    before = client.get("/pairs").json()
    write_set(build, [(name, k) for k, name in enumerate(reversed(names(build)))])
    after = client.get("/pairs").json()
    assert after["splits"]["train"] == names(build)
    assert after["version"] != before["version"]
    assert_refused(client.get(f"/pictures/{before['version']}/train/0/pair"), 409, "reload the page")
    assert decoded(client.get(f"/pictures/{after['version']}/train/0/pair"))


# --- strikes


def test_strike_is_on_the_disk_when_it_is_answered(build: Path, client: httpx.Client) -> None:
    one, other = names(build)[:2]
    for pair_id in (one, other):
        assert client.post("/strikes", json={"id": pair_id, "struck": True}).json() == {"id": pair_id, "struck": True}
    assert (build / "struck.txt").read_text("utf-8").split() == [one, other]
    client.post("/strikes", json={"id": one, "struck": False})
    assert read_struck(build) == {other}


def test_strikes_survive_a_restart(build: Path) -> None:
    one = names(build)[0]
    with running(build) as client:
        client.post("/strikes", json={"id": one, "struck": True})
    with running(build) as client:
        assert client.get("/pairs").json()["struck"] == [one]


def test_strikes_of_many_at_a_time_are_all_kept(build: Path, client: httpx.Client) -> None:
    every = [*names(build), *names(build, "val")]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda one: client.post("/strikes", json={"id": one, "struck": True}), every))
    assert read_struck(build) == set(every)


def test_unknown_pair_cannot_be_struck(build: Path, client: httpx.Client) -> None:
    assert_refused(client.post("/strikes", json={"id": "x\ny", "struck": True}), 404, "holds no pair")
    assert not (build / "struck.txt").exists()


def test_strike_that_cannot_be_written_is_told(build: Path, client: httpx.Client) -> None:
    (build / "struck.txt").mkdir()
    assert_refused(client.post("/strikes", json={"id": names(build)[0], "struck": True}), 500, "cannot be written")


def test_apply_takes_struck_pairs_out_of_the_set(build: Path, client: httpx.Client) -> None:
    one, *others = names(build)
    client.post("/strikes", json={"id": one, "struck": True})
    before = client.get("/pairs").json()
    after = client.post("/apply", json={"version": before["version"]}).json()
    assert after["splits"]["train"] == others
    assert after["struck"] == []
    assert after["version"] != before["version"]
    assert list(PairedDataset.open(build / "dataset", "train").names) == others
    assert after == client.get("/pairs").json()


def test_apply_to_another_version_of_the_set_is_refused(build: Path, client: httpx.Client) -> None:
    strike(build, names(build)[0], True)
    assert_refused(client.post("/apply", json={"version": "0" * 16}), 409, "reload the page")
    assert len(names(build)) == 6


def test_apply_that_would_leave_a_split_empty_is_refused(build: Path, client: httpx.Client) -> None:
    for one in names(build, "val"):
        strike(build, one, True)
    version = client.get("/pairs").json()["version"]
    assert_refused(client.post("/apply", json={"version": version}), 500, "leave at least one")
    assert len(names(build, "val")) == 2


# --- who may ask


@pytest.mark.parametrize("host", HOSTILE_HOSTS)
def test_other_names_are_refused(build: Path, client: httpx.Client, host: str) -> None:
    """A page of evil.example, whose name was pointed at this machine, is of one origin with what it asks here."""
    headers = {"Host": host, "Origin": f"http://{host}"}
    assert_refused(client.get("/pairs", headers=headers), 421, "its own address only")
    assert_refused(client.post("/strikes", headers=headers, json={"id": names(build)[0], "struck": True}), 421, "own address")
    assert not (build / "struck.txt").exists()


@pytest.mark.parametrize("origin", [None, *HOSTILE_ORIGINS])
@pytest.mark.parametrize("path", ["/strikes", "/apply"])
def test_other_pages_are_refused(build: Path, client: httpx.Client, path: str, origin: str | None) -> None:
    contents = {
        "/strikes": {"id": names(build)[0], "struck": True},
        "/apply": {"version": client.get("/pairs").json()["version"]},
    }
    del client.headers["Origin"]
    headers = {"Origin": origin.format(host=client.base_url.netloc.decode())} if origin is not None else {}
    assert_refused(client.post(path, json=contents[path], headers=headers), 403, "Only the preview's own page")
    assert not (build / "struck.txt").exists()


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_what_a_form_can_send_is_refused(build: Path, client: httpx.Client, media_type: str) -> None:
    content = f'{{"id": "{names(build)[0]}", "struck": true}}'
    response = client.post("/strikes", content=content, headers={"Content-Type": media_type})
    assert_refused(response, 415, "application/json")
    assert not (build / "struck.txt").exists()


@pytest.mark.parametrize(
    ("header", "given", "is_own"),
    [
        ("127.0.0.1:8000", "127.0.0.1", True),
        ("localhost:9000", "127.0.0.1", True),
        ("[::1]:8000", "::1", True),
        ("192.168.1.7:8000", "0.0.0.0", True),
        ("Workshop.lan:8000", "workshop.lan", True),
        ("workshop.lan:8000", "0.0.0.0", False),
        ("localhost.evil.example:8000", "127.0.0.1", False),
        ("127.0.0.1.evil.example", "127.0.0.1", False),
        ("127.0.0.1/evil", "127.0.0.1", False),
        ("evil.example#127.0.0.1", "127.0.0.1", False),
        ("[::1", "::1", False),
        (":8000", "127.0.0.1", False),
    ],
)
def test_own_hosts_are_addresses_localhost_and_the_given_name(header: str, given: str, is_own: bool) -> None:
    assert is_own_host(header, given) is is_own


def test_preview_may_be_looked_at_from_another_machine_by_address(build: Path) -> None:
    with running(build, "0.0.0.0") as client:
        assert client.base_url.host == "127.0.0.1"
        assert client.get("/pairs").status_code == 200


# --- what is no request of the page


@pytest.mark.parametrize("path", UNTIDY_PATHS)
def test_paths_lead_to_no_other_file(client: httpx.Client, path: str) -> None:
    """Sent as it is: clients tidy paths up."""
    host, port = client.base_url.host, client.base_url.port
    assert port is not None
    with socket.create_connection((host, port), timeout=10) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"There is nothing here" in answer


@pytest.mark.parametrize(
    ("path", "content", "status"),
    [
        ("/strikes", b"{", 400),
        ("/strikes", b"\xff", 400),
        ("/strikes", b"[]", 422),
        ("/strikes", b'{"id": "a"}', 422),
        ("/strikes", b'{"id": 7, "struck": true}', 422),
        ("/strikes", b'{"id": "a", "struck": 1}', 422),
        ("/strikes", b'{"id": "a", "struck": true, "more": 1}', 422),
        ("/apply", b"{}", 422),
        ("/nowhere", b"{}", 404),
        ("/strikes", b" " * (MAX_BODY_BYTES + 1), 413),
    ],
)
def test_other_bodies_are_refused(build: Path, client: httpx.Client, path: str, content: bytes, status: int) -> None:
    response = client.post(path, content=content, headers={"Content-Type": "application/json"})
    assert_refused(response, status, "")
    assert not (build / "struck.txt").exists()


def test_body_without_a_length_is_refused(client: httpx.Client) -> None:
    response = client.post("/strikes", content=iter([b"{}"]), headers={"Content-Type": "application/json"})
    assert_refused(response, 411, "Content-Length")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "TRACE"])
def test_other_methods_are_refused(client: httpx.Client, method: str) -> None:
    assert client.request(method, "/strikes").status_code == 501


# --- the command


def test_build_without_pairs_says_what_to_run(tmp_path: Path) -> None:
    build = make_build(tmp_path / "discs", until="3-cutout")
    with pytest.raises(BuildError, match=r"holds no pairs yet .*run `inkwash-train dataset build`"):
        serve_view(build, "127.0.0.1", 0, on_ready=lambda _: pytest.fail("nothing to serve"))


def test_port_that_is_taken_is_told(build: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(BuildError, match=rf"port {port} of '127.0.0.1' \(Address already in use\); choose another --port"):
            open_view(build, "127.0.0.1", port)


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 70000), ("203.0.113.1", 0)])
def test_address_that_cannot_be_had_is_told(build: Path, host: str, port: int) -> None:
    with pytest.raises(BuildError, match=r"cannot listen on port .* choose another --port .* or --host"):
        open_view(build, host, port)


def test_interrupt_ends_the_preview_cleanly(build: Path, root: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from training.builder.view import serve_view; "
        "serve_view(Path(sys.argv[1]), '127.0.0.1', 0, on_ready=lambda url: print(url, flush=True)); print('ended')"
    )
    command = [sys.executable, "-c", code, str(build)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=root)
    assert process.stdout
    url = process.stdout.readline().strip()
    assert httpx.get(url).status_code == 200
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, "ended\n", "")

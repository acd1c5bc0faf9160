"""The first stage as a whole: what is kept and why not, resumed after kills and failures, rebuilt from its own sources.csv."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pydantic import ValidationError

from tests.training.builder.web import KEY, Web, encoded, photo, scene, serve
from training.builder.collect import CollectSettings, collect, write_sources
from training.builder.journal import BuildError, Journal

QUICK = {"attempts": 2, "backoff_seconds": 0.0, "timeout_seconds": 5}


@pytest.fixture
def web() -> Iterator[Web]:
    with serve(Web()) as running:
        yield running


class KilledError(Exception):
    """The kill of a test."""


@dataclass
class Bench:
    """A plan's folder with photos, tables and a build below it.

    Attributes:
        kill_after: Pictures after which the run is stopped.
    """

    root: Path
    told: list[str] = field(default_factory=list)
    progress: list[tuple[int, int]] = field(default_factory=list)
    environment: Mapping[str, str] = field(default_factory=lambda: {"PIXABAY_API_KEY": KEY})
    kill_after: int | None = None

    def write(self, name: str, data: bytes | str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return path

    def run(self, build: str = "build", **settings: Any) -> Journal:
        values = {"min_side": 32, "network": QUICK, **settings}
        return collect(
            CollectSettings.model_validate(values),
            self.root,
            self.root / build / "1-collect",
            environment=self.environment,
            tell=self.told.append,
            on_progress=self._on_progress,
        )

    def _on_progress(self, done: int, count: int) -> None:
        self.progress.append((done, count))
        if self.kill_after is not None and len(self.progress) >= self.kill_after:
            raise KilledError


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def _reasons(journal: Journal) -> dict[str, str | None]:
    return {entry.facts["pointer"]: entry.reason for entry in journal}


def _written(folder: Path) -> dict[str, bytes]:
    """Everything in a stage's folder but what was fetched on the way."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in files if path.parent.name not in ("fetched", "answers")
    }


def test_collect_keeps_photos_with_all_that_is_known_of_them(bench: Bench) -> None:
    data = photo(1)
    bench.write("photos/a.jpg", data)
    (entry,) = bench.run(folders=[{"path": "photos", "license": "CC0", "author": "Ann"}])
    assert entry.id == entry.facts["sha256"][:16]
    assert entry.file == f"pictures/{entry.id}.jpg"
    assert (bench.root / "build/1-collect" / entry.file).read_bytes() == data
    assert {name: entry.facts[name] for name in ("source", "pointer", "license", "author", "page", "width", "height")} == {
        "source": "photos",
        "pointer": "photos/a.jpg",
        "license": "CC0",
        "author": "Ann",
        "page": None,
        "width": 64,
        "height": 64,
    }


def test_collect_saves_anew_what_is_not_upright_rgb(bench: Bench) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    bench.write("photos/a.jpg", encoded(scene(1).resize((80, 40)), exif=exif))
    bench.write("photos/b.png", encoded(scene(2).convert("RGBA"), "PNG"))
    for entry in bench.run(folders=[{"path": "photos"}]):
        assert entry.file is not None
        with Image.open(bench.root / "build/1-collect" / entry.file) as image:
            assert (image.format, image.mode, image.getexif().get(0x0112)) == ("JPEG", "RGB", None)
            assert image.size == (entry.facts["width"], entry.facts["height"])


def test_collect_rejects_with_reasons_that_many_share(bench: Bench) -> None:
    bench.write("photos/a.jpg", photo(1))
    bench.write("photos/b.jpg", photo(1))
    bench.write("photos/c.png", encoded(scene(1), "PNG"))
    bench.write("photos/d.jpg", encoded(scene(1).transpose(Image.Transpose.FLIP_LEFT_RIGHT)))
    bench.write("photos/e.jpg", photo(2)[:700])
    bench.write("photos/f.jpg", "<html>")
    bench.write("photos/g.jpg", photo(3, side=31))
    bench.write("photos/h.jpg", photo(4))
    journal = bench.run(folders=[{"path": "photos"}])
    assert _reasons(journal) == {
        "photos/a.jpg": None,
        "photos/b.jpg": "same file as another",
        "photos/c.png": "looks like another",
        "photos/d.jpg": "looks like another",
        "photos/e.jpg": "damaged",
        "photos/f.jpg": "not an image",
        "photos/g.jpg": "too small",
        "photos/h.jpg": None,
    }
    kept = next(iter(journal))
    assert [entry.facts.get("like") for entry in journal][1:4] == [kept.id] * 3
    assert [entry.facts.get("mirrored") for entry in journal][2:4] == [False, True]
    assert all(entry.facts["detail"] for entry in journal if not entry.is_kept)
    shown = [entry.reason for entry in journal if entry.file is not None and not entry.is_kept]
    assert shown == ["looks like another", "looks like another", "too small"]


def test_collect_keeps_near_duplicates_where_that_is_wanted(bench: Bench) -> None:
    bench.write("photos/a.jpg", photo(1))
    bench.write("photos/b.png", encoded(scene(1), "PNG"))
    assert set(_reasons(bench.run(folders=[{"path": "photos"}], near_duplicate_bits=-1)).values()) == {None}


def test_collect_takes_each_address_once_whatever_the_source(web: Web, bench: Bench) -> None:
    web.files = {"/a.jpg": photo(1), "/b.jpg": photo(2)}
    bench.write("one.csv", f"url\n{web.url('/a.jpg')}\n{web.url('/a.jpg')}\n")
    bench.write("two.csv", f"url\n{web.url('/a.jpg')}\n{web.url('/b.jpg')}\n")
    journal = bench.run(tables=[{"path": "one.csv"}, {"path": "two.csv"}])
    assert [entry.facts["source"] for entry in journal] == ["one.csv", "two.csv"]
    assert dict(web.asked) == {"/a.jpg": 1, "/b.jpg": 1}
    assert bench.progress == [(1, 4), (4, 4)]


def test_collect_goes_through_all_kinds_of_source_in_order(web: Web, bench: Bench) -> None:
    web.photos, web.files["/z.jpg"] = 3, photo(100)
    bench.write("photos/a.jpg", photo(101))
    bench.write("table.csv", f"url\n{web.url('/z.jpg')}\n")
    journal = bench.run(
        folders=[{"path": "photos"}],
        tables=[{"path": "table.csv"}],
        searches=[{"query": "flowers"}],
        pixabay_url=web.api,
    )
    pointers = ["photos/a.jpg", web.url("/z.jpg"), "pixabay:0", "pixabay:1", "pixabay:2"]
    assert list(_reasons(journal).items()) == [(pointer, None) for pointer in pointers]
    assert [entry.facts["source"] for entry in journal][2:] == ["Pixabay: flowers"] * 3
    assert [entry.facts.get("tags") for entry in journal][1:3] == [None, "blossom, bloom"]


def _plan_of_all(web: Web, bench: Bench) -> dict[str, Any]:
    """Forty pictures of all kinds of source, some of them bad."""
    web.photos = 20
    web.files = {f"/{k}.jpg": photo(1000 + k) for k in range(15)}
    web.files |= {"/3.jpg": b"<html>", "/5.jpg": photo(1000), "/7.jpg": photo(2001)}
    for k in range(12):
        bench.write(f"photos/{k:02}.jpg", photo(2000 + k // 2 * 2 + (k % 3 > 0)))
    bench.write("table.csv", "url\n" + "".join(f"{web.url(f'/{k}.jpg')}\n" for k in range(17)))
    return {
        "folders": [{"path": "photos"}],
        "tables": [{"path": "table.csv"}],
        "searches": [{"query": "flowers"}],
        "pixabay_url": web.api,
    }


@pytest.mark.parametrize("kill_after", [1, 13, 20, 35])
def test_killed_run_goes_on_to_the_result_of_an_unbroken_one(web: Web, bench: Bench, kill_after: int) -> None:
    plan = _plan_of_all(web, bench)
    bench.run("unbroken", **plan)
    web.asked.clear()
    bench.progress.clear()
    bench.kill_after = kill_after
    with pytest.raises(KilledError):
        bench.run("broken", **plan)
    bench.kill_after = None
    bench.run("broken", **plan)
    assert _written(bench.root / "broken/1-collect") == _written(bench.root / "unbroken/1-collect")
    counts = Counter({path: count for path, count in web.asked.items() if count > 1})
    assert counts == {}


def test_process_that_is_killed_outright_loses_nothing(web: Web, bench: Bench) -> None:
    plan = _plan_of_all(web, bench)
    bench.run("unbroken", **plan)
    script = (
        "import json, os, sys, pathlib\n"
        "from training.builder.collect import CollectSettings, collect\n"
        "plan, root = json.loads(sys.argv[1]), pathlib.Path(sys.argv[2])\n"
        "kill = lambda done, count: os._exit(9) if done >= 30 else None\n"
        "collect(CollectSettings.model_validate(plan), root, root / 'broken/1-collect', environment=os.environ, tell=print,"
        " on_progress=kill)\n"
    )
    values = json.dumps({"min_side": 32, "network": QUICK, **plan})
    environment = {**os.environ, "PIXABAY_API_KEY": KEY}
    killed = subprocess.run([sys.executable, "-c", script, values, str(bench.root)], env=environment, check=False, timeout=60)
    assert killed.returncode == 9
    bench.write("broken/1-collect/pictures/.part-left", b"half a picture")
    with (bench.root / "broken/1-collect/journal.jsonl").open("a") as journal:
        journal.write('{"id": "half a li')
    bench.run("broken", **plan)
    assert _written(bench.root / "broken/1-collect") == _written(bench.root / "unbroken/1-collect")


def test_finished_run_does_nothing_again_even_offline_and_much_later(web: Web, bench: Bench) -> None:
    plan = _plan_of_all(web, bench)
    first = list(bench.run(**plan))
    bench.environment = {}
    for answer in (bench.root / "build/1-collect/answers").iterdir():
        record = json.loads(answer.read_text())
        answer.write_text(json.dumps({**record, "at": record["at"] - 30 * 86400}))
    bench.progress.clear()
    assert list(bench.run(**{**plan, "pixabay_url": "http://pixabay.invalid/api/"})) == first
    assert bench.progress == []


def test_changed_settings_begin_anew_without_fetching_again(web: Web, bench: Bench) -> None:
    plan = _plan_of_all(web, bench)
    bench.run(**plan)
    asked = Counter(web.asked)
    journal = bench.run(**plan, min_side=60, max_side=64, limit=5)
    assert sum(entry.is_kept for entry in journal) == 5
    assert web.asked == asked
    kept = {entry.file for entry in journal if entry.is_kept}
    pictures = (bench.root / "build/1-collect/pictures").iterdir()
    assert {f"pictures/{path.name}" for path in pictures} == kept


def test_added_changed_and_removed_photos_are_noticed(bench: Bench) -> None:
    for k in range(3):
        bench.write(f"photos/{k}.jpg", photo(k))
    bench.run(folders=[{"path": "photos"}])
    (bench.root / "photos/0.jpg").unlink()
    bench.write("photos/1.jpg", photo(10, side=70))
    bench.write("photos/3.jpg", photo(3))
    journal = bench.run(folders=[{"path": "photos"}])
    assert list(_reasons(journal)) == ["photos/1.jpg", "photos/2.jpg", "photos/3.jpg"]
    assert next(iter(journal)).facts["width"] == 70


def test_limit_stops_and_stays(web: Web, bench: Bench) -> None:
    web.photos = 300
    plan = {"searches": [{"query": "flowers", "max_results": 300}], "pixabay_url": web.api, "limit": 4}
    first = list(bench.run(**plan))
    assert [entry.facts["pointer"] for entry in first] == [f"pixabay:{k}" for k in range(4)]
    assert web.asked["/api/"] == 1
    assert list(bench.run(**plan)) == first
    assert web.asked["/api/"] == 1


def test_what_is_gone_stays_rejected_and_what_is_busy_is_fetched_the_next_time(web: Web, bench: Bench) -> None:
    web.files = {"/a.jpg": photo(1), "/b.jpg": photo(2)}
    web.faults["/b.jpg"] = [503] * 2
    bench.write("table.csv", "url\n" + "".join(f"{web.url(path)}\n" for path in ("/a.jpg", "/b.jpg", "/gone.jpg")))
    plan = {"tables": [{"path": "table.csv"}]}
    first = bench.run(**plan)
    assert list(_reasons(first).values()) == [None, "address answers 404"]
    assert bench.told == [
        f"1 of the pictures could not be fetched this time: 127.0.0.1:{web.port} answers 503 (1); for example "
        f"'{web.url('/b.jpg')}'. Check the network and run the same command again: it goes on where it was."
    ]
    second = bench.run(**plan)
    assert list(_reasons(second).values()) == [None, "address answers 404", None]
    assert (web.asked["/gone.jpg"], web.asked["/a.jpg"], web.asked["/b.jpg"]) == (1, 1, 3)
    assert len(bench.told) == 1


def test_offline_names_the_host_and_rejects_nothing_for_ever(bench: Bench) -> None:
    bench.write("photos/a.jpg", photo(1))
    bench.write("table.csv", "url\n" + "".join(f"http://images.invalid/{k}.jpg\n" for k in range(6)))
    with pytest.raises(BuildError, match=r"Nothing of 'table.csv' can be fetched: cannot reach images.invalid: .*run the same"):
        bench.run(folders=[{"path": "photos"}], tables=[{"path": "table.csv"}])
    journal = Journal.read(bench.root / "build/1-collect")
    assert _reasons(journal) == {"photos/a.jpg": None}


def test_search_is_checked_before_anything_is_collected(web: Web, bench: Bench) -> None:
    bench.write("photos/a.jpg", photo(1))
    bench.environment = {}
    with pytest.raises(BuildError, match="PIXABAY_API_KEY"):
        bench.run(folders=[{"path": "photos"}], searches=[{"query": "flowers"}], pixabay_url=web.api)
    assert bench.progress == []


def test_checksums_of_a_table_are_checked(web: Web, bench: Bench) -> None:
    web.files = {"/a.jpg": photo(1)}
    bench.write("table.csv", f"url,sha256\n{web.url('/a.jpg')},{'ab' * 32}\n")
    bench.write("photos/b.jpg", photo(2))
    journal = bench.run(folders=[{"path": "photos"}], tables=[{"path": "table.csv"}])
    assert list(_reasons(journal).values()) == [None, "not the file on record"]
    assert bench.told == ["'table.csv' adds no picture (not the file on record: 1)."]


def test_data_set_is_rebuilt_from_its_own_sources(web: Web, bench: Bench) -> None:
    plan = _plan_of_all(web, bench)
    first = bench.run(**plan)
    write_sources(first, bench.root / "sources.csv")
    second = bench.run("rebuilt", tables=[{"path": "sources.csv", "files": "."}], pixabay_url=web.api)
    kept = [entry for entry in first if entry.is_kept]
    assert [(entry.id, entry.reason) for entry in second] == [(entry.id, None) for entry in kept]
    names = ("pointer", "page", "license", "author", "sha256", "width", "height")
    assert [[entry.facts[name] for name in names] for entry in second] == [
        [entry.facts[name] for name in names] for entry in kept
    ]
    write_sources(second, bench.root / "again.csv")
    assert (bench.root / "again.csv").read_bytes() == (bench.root / "sources.csv").read_bytes()


def test_nothing_kept_says_why(bench: Bench) -> None:
    for k in range(3):
        bench.write(f"photos/{k}.jpg", photo(k, side=20))
    with pytest.raises(BuildError, match=r"No picture was kept \(too small: 3\); give other sources, or change what is taken"):
        bench.run(folders=[{"path": "photos"}])


def test_source_that_adds_nothing_is_told(bench: Bench) -> None:
    bench.write("photos/a.jpg", photo(1))
    bench.write("others/b.jpg", photo(1))
    bench.run(folders=[{"path": "photos"}, {"path": "others"}])
    assert bench.told == ["'others' adds no picture (same file as another: 1)."]


def test_folders_of_one_name_must_be_told_apart(bench: Bench) -> None:
    for k in range(2):
        bench.write(f"{k}/photos/a.jpg", photo(k))
    folders = [{"path": "0/photos"}, {"path": "1/photos"}]
    with pytest.raises(BuildError, match="2 folders of the plan are named 'photos'; give them a `name` each"):
        bench.run(folders=folders)
    journal = bench.run(folders=[folders[0], {**folders[1], "name": "more"}])
    assert list(_reasons(journal)) == ["photos/a.jpg", "more/a.jpg"]


@pytest.mark.parametrize("blocked", ["pictures", "fetched"])
def test_stage_that_cannot_be_written_says_what_to_do(web: Web, bench: Bench, blocked: str) -> None:
    web.files = {"/a.jpg": photo(1)}
    bench.write("table.csv", f"url\n{web.url('/a.jpg')}\n")
    bench.write(f"build/1-collect/{blocked}", "a file in the way")
    with pytest.raises(BuildError, match=r"cannot be written \(.*make room or choose another folder"):
        bench.run(tables=[{"path": "table.csv"}])


@pytest.mark.skipif(sys.platform != "linux", reason="limits of a process")
def test_full_disk_says_what_to_do_and_the_next_run_goes_on(bench: Bench) -> None:
    for k in range(6):
        bench.write(f"photos/{k}.jpg", photo(k, side=64 + 60 * k))
    script = (
        "import pathlib, resource, sys\n"
        "from training.builder.collect import CollectSettings, collect\n"
        "from training.builder.journal import BuildError\n"
        "root = pathlib.Path(sys.argv[1])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, 5_000))\n"
        "settings = CollectSettings.model_validate({'min_side': 32, 'folders': [{'path': 'photos'}]})\n"
        "try:\n"
        "    collect(settings, root, root / 'build/1-collect', environment={}, tell=print)\n"
        "except BuildError as error:\n"
        "    sys.exit(str(error))\n"
    )
    full = subprocess.run(
        [sys.executable, "-c", script, str(bench.root)], capture_output=True, text=True, check=False, timeout=60
    )
    assert "cannot be written (File too large); make room" in full.stderr
    started = len(Journal.read(bench.root / "build/1-collect"))
    assert 0 < started < 6
    assert len(bench.run(folders=[{"path": "photos"}])) == 6


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "name at least one source"),
        ({"folders": [{"path": "a"}], "min_sides": 3}, "min_sides"),
        ({"folders": [{"path": "a", "name": "a/b"}]}, "name"),
        ({"folders": [{"path": "a"}], "pixabay_url": "pixabay.com/api"}, "is not http://HOST"),
    ],
)
def test_settings_are_checked(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        CollectSettings.model_validate(settings)

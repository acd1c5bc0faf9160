"""Folders and tables as sources, and `sources.csv`, which is written to be read again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.training.builder.web import KEY, Web, photo, serve
from training.builder.fetching import Fetcher, NetworkSettings, Shelf
from training.builder.folders import Files, FolderSource, list_folder
from training.builder.journal import BuildError, Entry, Journal
from training.builder.pixabay import Pixabay
from training.builder.pointers import Source, Terms, UnusableError
from training.builder.sources import COLUMNS, Readers, TableSource, list_table, write_sources


@pytest.fixture
def web() -> Iterator[Web]:
    with serve(Web(photos=10)) as running:
        yield running


@pytest.fixture
def readers(web: Web, tmp_path: Path) -> Readers:
    fetcher = Fetcher(NetworkSettings(), 1 << 20, print, web.clock.sleep)
    shelf = Shelf(tmp_path / "shelf")
    pixabay = Pixabay(web.api, KEY, fetcher, tmp_path / "answers", shelf, now=web.clock)
    return Readers(fetcher, shelf, _files(tmp_path), pixabay.pointer)


def _files(tmp_path: Path, max_bytes: int = 1 << 20) -> Files:
    return Files(max_bytes, apart=tmp_path / "build")


def _write(path: Path, data: bytes | str = b"bytes") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def _folder(tmp_path: Path, told: list[str] | None = None, **settings: str) -> Source:
    tell = (told if told is not None else []).append
    return list_folder(FolderSource.model_validate({"path": "photos", **settings}), tmp_path, _files(tmp_path), tell)


def _names(source: Source) -> list[str]:
    return [pointer.name for pointer in source.pointers]


def test_folder_lists_photos_of_any_depth_in_order(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.jpeg", "below/deep/c.png", "d.webp", "e.tif", "notes.txt", ".hidden.jpg", ".thumbs/f.jpg"):
        _write(tmp_path / "photos" / name, name)
    source = _folder(tmp_path)
    assert _names(source) == ["photos/a.jpeg", "photos/b.JPG", "photos/below/deep/c.png", "photos/d.webp", "photos/e.tif"]
    assert source.count == 5
    assert [pointer.read() for pointer in source.pointers][:2] == [b"a.jpeg", b"b.JPG"]


def test_folder_says_what_it_leaves_aside(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.heic", "c.HEIC", "d.txt", "e"):
        _write(tmp_path / "photos" / name)
    told: list[str] = []
    _folder(tmp_path, told)
    assert told == [f"Folder '{tmp_path / 'photos'}': left aside 2 .heic, 1 .txt, 1 no ending."]


def test_folder_leaves_out_what_the_build_itself_wrote(tmp_path: Path) -> None:
    _write(tmp_path / "photos" / "a.jpg")
    _write(tmp_path / "build" / "1-collect" / "pictures" / "b.jpg")
    assert _names(_folder(tmp_path, path=".", name="all")) == ["all/photos/a.jpg"]
    assert len(_names(_folder(tmp_path, path="build"))) == 1


def test_folder_states_terms_for_all_its_photos(tmp_path: Path) -> None:
    _write(tmp_path / "photos" / "a.jpg")
    (pointer,) = _folder(tmp_path, license="CC0", author="Ann", page="https://example.org").pointers
    assert pointer.terms == Terms("CC0", "Ann", "https://example.org")


def test_folder_takes_terms_from_its_origin_where_the_plan_states_none(tmp_path: Path) -> None:
    _write(tmp_path / "photos" / "a.jpg")
    text = 'name = "Ann"\nhome_page = "https://example.org"\nlicense = "CC BY 4.0"\nweights_license = ""\nnotice = ""\n'
    _write(tmp_path / "photos" / "origin.toml", text + "free_samples = true\n")
    (pointer,) = _folder(tmp_path, author="Bob").pointers
    assert pointer.terms == Terms("CC BY 4.0", "Bob", "https://example.org")


def test_folder_with_an_origin_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    _write(tmp_path / "photos" / "a.jpg")
    _write(tmp_path / "photos" / "origin.toml", "license = 1")
    with pytest.raises(BuildError, match="does not state an origin"):
        _folder(tmp_path)


def test_missing_folder_names_its_place(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=rf"'photos' of the plan does not exist: there is no '{tmp_path}/photos'"):
        _folder(tmp_path)


def test_folder_without_photos_says_what_it_holds(tmp_path: Path) -> None:
    _write(tmp_path / "photos" / "a.heic")
    with pytest.raises(BuildError, match=r"holds no photos \(\.bmp, \.jpeg.*\) 1 \.heic; give another, or convert them"):
        _folder(tmp_path)


def test_pointer_changes_its_listing_when_its_file_does(tmp_path: Path) -> None:
    path = _write(tmp_path / "photos" / "a.jpg")
    (before,) = _folder(tmp_path).pointers
    (same,) = _folder(tmp_path).pointers
    _write(path, b"other bytes")
    (after,) = _folder(tmp_path).pointers
    assert before.listing == same.listing != after.listing


def test_file_that_is_too_long_or_gone_is_refused(tmp_path: Path) -> None:
    files = _files(tmp_path, max_bytes=4)
    with pytest.raises(UnusableError, match="too many bytes"):
        files.read(_write(tmp_path / "a.jpg"))
    with pytest.raises(UnusableError, match=r"cannot be read: .*No such file"):
        files.read(tmp_path / "b.jpg")


def test_file_name_that_is_no_utf_8_is_refused_by_a_name_that_is(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    _write(photos / "a.jpg")
    try:
        _write(photos / "b\udcff.jpg")
    except (OSError, UnicodeError):
        pytest.skip("this file system takes no such names")
    _, pointer = _folder(tmp_path).pointers
    assert pointer.name == "photos/b?.jpg"
    with pytest.raises(UnusableError, match="name is not UTF-8"):
        pointer.read()


def _table(tmp_path: Path, readers: Readers, text: str | bytes, **settings: str) -> Source:
    _write(tmp_path / "table.csv", text)
    return list_table(TableSource.model_validate({"path": "table.csv", **settings}), tmp_path, readers)


def test_table_of_addresses_is_fetched_once(web: Web, tmp_path: Path, readers: Readers) -> None:
    web.files = {"/a.jpg": b"a", "/b.jpg": b"b"}
    source = _table(tmp_path, readers, f"url\n{web.url('/a.jpg')}\n{web.url('/b.jpg')}\n")
    assert [pointer.read() for pointer in source.pointers] * 2 == [b"a", b"b"] * 2
    assert [pointer.read() for pointer in source.pointers] == [b"a", b"b"]
    assert dict(web.asked) == {"/a.jpg": 1, "/b.jpg": 1}


def test_table_rows_state_terms_and_checksums(tmp_path: Path, readers: Readers) -> None:
    rows = f"Pointer, License ,author,page,SHA256,more\nhttp://h/a,CC0,Ann,,{'AB' * 32},x\nhttp://h/b,,,,,\n"
    first, second = _table(tmp_path, readers, rows, license="CC BY", page="http://h").pointers
    assert (first.terms, first.sha256) == (Terms("CC0", "Ann", "http://h"), "ab" * 32)
    assert (second.terms, second.sha256) == (Terms("CC BY", None, "http://h"), None)


def test_table_as_a_spreadsheet_writes_it_can_be_read(tmp_path: Path, readers: Readers) -> None:
    text = '\ufeffurl,author\r\n"http://h/a,b.jpg","Ann\r\nB."\r\n\r\n'
    (pointer,) = _table(tmp_path, readers, text).pointers
    assert (pointer.name, pointer.terms.author) == ("http://h/a,b.jpg", "Ann\nB.")


@pytest.mark.parametrize("address", ["ftp://h/a.jpg", "file:///etc/passwd", "www.h.org/a.jpg", "http://h:x/"])
def test_bad_address_is_one_rejected_row(tmp_path: Path, readers: Readers, address: str) -> None:
    good, bad = _table(tmp_path, readers, f"url\nhttp://h/a.jpg\n{address}\n").pointers
    assert good.name == "http://h/a.jpg"
    with pytest.raises(UnusableError, match=r"^bad address"):
        bad.read()


def test_row_without_an_address_is_rejected_by_its_line(tmp_path: Path, readers: Readers) -> None:
    _, pointer = _table(tmp_path, readers, "url,author\nhttp://h/a,\n,Ann\n").pointers
    with pytest.raises(UnusableError, match="no address: Line 3 of"):
        pointer.read()


def test_table_points_to_local_files_below_a_folder(tmp_path: Path, readers: Readers) -> None:
    _write(tmp_path / "below" / "cats" / "a.jpg", b"a")
    _write(tmp_path / "secret.jpg")
    rows = "pointer\ncats/a.jpg\ncats/gone.jpg\n../secret.jpg\n/etc/passwd\n"
    there, gone, *outside = _table(tmp_path, readers, rows, files="below").pointers
    assert there.read() == b"a"
    with pytest.raises(UnusableError, match="cannot be read"):
        gone.read()
    for pointer in outside:
        with pytest.raises(UnusableError, match=r"bad address: .* leads out of"):
            pointer.read()


def test_table_points_to_pixabay(tmp_path: Path, readers: Readers) -> None:
    (pointer,) = _table(tmp_path, readers, "pointer,license\npixabay:7,A licence\n").pointers
    assert pointer.read() == photo(7)
    assert pointer.terms.license == "A licence"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"has no column 'url' or 'pointer', only nothing; name the columns"),
        ("link;author\nhttp://h/a;b\n", r"only link;author; name the columns in its first line, parted by commas"),
        ("url\n", r"has no rows; give one with an address a row"),
        ("url,sha256\nhttp://h/a,abc\n", r"Line 2 of .*: sha256 'abc' is not 64 hexadecimal digits"),
        ("url\nphotos/a.jpg\n", r"Line 2 of .* points to 'photos/a.jpg', which is no address .*`files`"),
        (b"url\nhttp://h/\xff\n", r"cannot be read \(.*save it as CSV in UTF-8"),
        ("url\n" + "x" * 200_000, r"Line 1 of .* is no CSV \(field larger"),
    ],
)
def test_table_that_is_none_says_what_to_change(tmp_path: Path, readers: Readers, text: str | bytes, message: str) -> None:
    with pytest.raises(BuildError, match=message):
        _table(tmp_path, readers, text)


def test_missing_table_and_missing_files_of_a_table_are_named(tmp_path: Path, readers: Readers) -> None:
    with pytest.raises(BuildError, match=r"Table '.*none.csv' does not exist"):
        list_table(TableSource(path="none.csv"), tmp_path, readers)
    with pytest.raises(BuildError, match=r"'none', files of table 'table\.csv', does not exist"):
        _table(tmp_path, readers, "pointer\na.jpg\n", files="none")


def test_sources_are_a_table_again(tmp_path: Path, readers: Readers) -> None:
    journal = Journal.open(tmp_path / "1-collect", {})
    facts = {"pointer": 'http://h/a"b,.jpg', "license": "CC BY 4.0", "author": "Ann\nBée", "page": None, "sha256": "ab" * 32}
    journal.add(Entry("1" * 16, "pictures/1.jpg", facts={**facts, "width": 640, "height": 480, "source": "x", "tags": "y"}))
    journal.add(Entry("2" * 16, reason="too small", facts={"pointer": "http://h/c"}))
    write_sources(journal, tmp_path / "build" / "sources.csv")
    text = (tmp_path / "build" / "sources.csv").read_text("utf-8")
    assert text.splitlines()[0] == ",".join(COLUMNS)
    (pointer,) = list_table(TableSource(path="build/sources.csv"), tmp_path, readers).pointers
    assert (pointer.name, pointer.terms, pointer.sha256) == (
        facts["pointer"],
        Terms("CC BY 4.0", "Ann\nBée"),
        "ab" * 32,
    )
    assert json.dumps(text).count("too small") == 0


def test_sources_that_cannot_be_written_say_so(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "1-collect", {})
    with pytest.raises(BuildError, match="cannot be written"):
        write_sources(journal, _write(tmp_path / "file") / "sources.csv")

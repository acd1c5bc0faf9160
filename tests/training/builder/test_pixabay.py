"""The search client against a local server that behaves as Pixabay's documentation says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.training.builder.web import KEY, Web, photo, serve
from training.builder.fetching import Fetcher, NetworkSettings, Shelf
from training.builder.journal import BuildError
from training.builder.pixabay import LICENSE, Pixabay, SearchSource
from training.builder.pointers import Terms, UnreachableError, UnusableError

MAX_BYTES = 1 << 20
DAY = 24 * 3600


@pytest.fixture
def web() -> Iterator[Web]:
    with serve(Web(photos=700)) as running:
        yield running


@pytest.fixture
def told() -> list[str]:
    return []


Client = Callable[..., Pixabay]


@pytest.fixture
def client(web: Web, tmp_path: Path, told: list[str]) -> Client:
    """Makes clients that share a folder, as one run after another does."""

    def make(key: str | None = KEY, url: str | None = None) -> Pixabay:
        fetcher = Fetcher(NetworkSettings(timeout_seconds=5), MAX_BYTES, told.append, web.clock.sleep)
        return Pixabay(url or web.api, key, fetcher, tmp_path / "answers", Shelf(tmp_path / "shelf"), now=web.clock)

    return make


_nothing = frozenset[str]().__contains__
"""No pointer is known yet."""


def _names(client: Pixabay, known: Callable[[str], bool] = _nothing, **settings: object) -> list[str]:
    source = client.search(SearchSource.model_validate({"query": "yellow flowers", **settings}), known)
    return [pointer.name for pointer in source.pointers]


def test_search_sends_what_the_documentation_names(web: Web, client: Client) -> None:
    _names(client(), max_results=3, category="animals", min_width=640)
    assert web.queries == [
        {
            "key": KEY,
            "q": "yellow flowers",
            "image_type": "photo",
            "orientation": "all",
            "category": "animals",
            "min_width": "640",
            "min_height": "0",
            "editors_choice": "false",
            "safesearch": "true",
            "order": "popular",
            "lang": "en",
            "per_page": "3",
            "page": "1",
        }
    ]


@pytest.mark.parametrize(("wanted", "pages"), [(1, 1), (2, 1), (200, 1), (201, 2), (500, 3)])
def test_search_asks_for_as_many_pages_as_it_needs(web: Web, client: Client, wanted: int, pages: int) -> None:
    assert _names(client(), max_results=wanted) == [f"pixabay:{number}" for number in range(wanted)]
    assert [query["page"] for query in web.queries] == [str(page + 1) for page in range(pages)]


def test_search_asks_for_no_page_before_it_is_wanted(web: Web, client: Client) -> None:
    source = client().search(SearchSource(query="flowers", max_results=500), _nothing)
    assert source.count == 500
    assert len(list(islice(source.pointers, 200))) == 200
    assert len(web.queries) == 1


def test_search_ends_where_the_api_has_no_more(web: Web, client: Client) -> None:
    web.photos = 230
    assert len(_names(client(), max_results=500)) == 230


def test_search_ends_when_pictures_are_taken_down_meanwhile(web: Web, client: Client) -> None:
    web.photos = 210
    source = client().search(SearchSource(query="flowers", max_results=500), _nothing)
    assert source.count == 210
    web.gone = set(range(100, 150))
    assert len(list(source.pointers)) == 200


def test_search_records_licence_author_page_and_tags(client: Client) -> None:
    pointer = next(iter(client().search(SearchSource(query="flowers"), _nothing).pointers))
    assert pointer.terms == Terms(LICENSE, "user 0", "https://pixabay.com/photos/blossom-0/")
    assert pointer.facts == {"tags": "blossom, bloom"}
    assert pointer.read() == photo(0)


def test_answers_are_kept_for_a_day(web: Web, client: Client) -> None:
    _names(client())
    web.clock.seconds += DAY - 1
    _names(client())
    assert len(web.queries) == 1
    web.clock.seconds += 1
    _names(client())
    assert len(web.queries) == 2


def test_old_answers_do_while_they_hold_nothing_that_must_be_fetched(web: Web, client: Client) -> None:
    _names(client(), max_results=250)
    web.clock.seconds += 10 * DAY
    known = {f"pixabay:{number}" for number in range(250)}
    assert len(_names(client(key=None), known.__contains__, max_results=250)) == 250
    assert len(web.queries) == 2


def test_answers_are_kept_by_what_was_asked(web: Web, client: Client) -> None:
    _names(client(), order="popular")
    _names(client(), order="latest")
    assert len(web.queries) == 2


def test_a_damaged_answer_is_asked_for_again(web: Web, client: Client, tmp_path: Path) -> None:
    _names(client())
    (path,) = (tmp_path / "answers").iterdir()
    path.write_text("{")
    assert len(_names(client())) == 200
    assert len(web.queries) == 2


def test_key_is_not_written_down(client: Client, tmp_path: Path) -> None:
    source = client().search(SearchSource(query="flowers", max_results=3), _nothing)
    assert [len(pointer.read()) > 0 for pointer in source.pointers] == [True] * 3
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) == 4
    assert all(KEY.encode() not in path.read_bytes() and KEY not in path.name for path in written)


def test_client_waits_for_the_next_minute_when_no_request_is_left(web: Web, client: Client, told: list[str]) -> None:
    web.quota = 2
    pixabay = client()
    for query in ("a", "b", "c"):
        pixabay.search(SearchSource(query=query), _nothing)
    assert web.clock.sleeps == [60]
    assert web.asked["/api/"] == 3
    assert told == [f"127.0.0.1:{web.port} asks to wait 60 seconds."]


def test_client_waits_when_it_is_told_that_it_asked_too_often(web: Web, client: Client) -> None:
    web.quota = 1
    client().search(SearchSource(query="a"), _nothing)
    web.clock.seconds += 15
    client().search(SearchSource(query="b"), _nothing)  # another run, which does not know of the first one's request
    assert web.clock.sleeps == [45]
    assert web.asked["/api/"] == 3


def test_client_tries_again_after_server_errors(web: Web, client: Client) -> None:
    web.faults["/api/"] = [500, 502]
    assert len(_names(client())) == 200
    assert web.clock.sleeps == [1, 2]


def test_search_that_is_never_answered_says_to_run_again(web: Web, client: Client) -> None:
    web.faults["/api/"] = [500] * 4
    with pytest.raises(BuildError, match=r"search for 'yellow flowers' failed \(.* answers 500\).*run the same command again"):
        _names(client())


def test_search_offline_names_the_host(client: Client) -> None:
    with pytest.raises(BuildError, match=r"cannot reach pixabay.invalid: .*Check the network"):
        _names(client(url="http://pixabay.invalid/api/"))


@pytest.mark.parametrize("key", [None, ""])
def test_search_without_a_key_says_where_to_get_one(web: Web, client: Client, key: str | None) -> None:
    with pytest.raises(BuildError, match=r"PIXABAY_API_KEY .*https://pixabay.com/api/docs/"):
        _names(client(key=key))
    assert web.queries == []


def test_search_with_a_bad_key_repeats_what_the_api_says_but_not_the_key(web: Web, client: Client) -> None:
    with pytest.raises(BuildError, match=r"400 \[ERROR 400\] Invalid or missing API key .*correct PIXABAY_API_KEY") as caught:
        _names(client(key="wrong-key"))
    assert "wrong-key" not in str(caught.value)
    assert web.asked["/api/"] == 1


def test_search_refused_for_a_parameter_repeats_what_the_api_says(web: Web, client: Client) -> None:
    web.faults["/api/"] = [400]
    with pytest.raises(BuildError, match="refuses to search for 'yellow flowers': 400 a fault"):
        _names(client())


def test_search_that_finds_nothing_is_an_error(client: Client) -> None:
    with pytest.raises(BuildError, match="finds nothing for 'nothing'"):
        _names(client(), query="nothing")


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"totalHits": 1, "hits": [{"id": 1}]}'])
def test_answer_of_something_else_than_the_api_is_an_error(web: Web, client: Client, body: bytes) -> None:
    web.files["/other/"] = body
    with pytest.raises(BuildError, match=r"is not what Pixabay's API answers \(.*check pixabay_url"):
        _names(client(url=web.url("/other/")))


def test_answer_that_is_too_long_is_an_error_without_the_key(web: Web, client: Client) -> None:
    web.files["/other/"] = bytes(MAX_BYTES + 1)
    with pytest.raises(BuildError, match=r"\(too many bytes\); check pixabay_url") as caught:
        _names(client(url=web.url("/other/")))
    assert KEY not in str(caught.value)


def test_picture_whose_address_ran_out_is_asked_for_by_its_number(web: Web, client: Client) -> None:
    source = client().search(SearchSource(query="flowers", max_results=3), _nothing)
    pointer = next(iter(source.pointers))
    web.clock.seconds += DAY
    assert pointer.read() == photo(0)
    assert [query.get("id") for query in web.queries] == [None, "0"]


def test_picture_is_found_by_its_number_alone(web: Web, client: Client) -> None:
    pointer = client().pointer("pixabay:7", Terms("a licence"), "ab" * 32)
    assert pointer.read() == photo(7)
    assert (pointer.terms.license, pointer.sha256) == ("a licence", "ab" * 32)
    assert pointer.read() == photo(7)
    assert (len(web.queries), sum(web.asked.values())) == (1, 2)


def test_picture_that_was_taken_down_is_told_from_one_that_cannot_be_had_now(web: Web, client: Client) -> None:
    web.gone = {7}
    with pytest.raises(UnusableError, match="no longer on Pixabay"):
        client().pointer("pixabay:7", Terms(), None).read()
    web.faults["/api/"] = [503] * 4
    with pytest.raises(UnreachableError):
        client().pointer("pixabay:8", Terms(), None).read()


def test_picture_by_number_needs_a_key_only_while_it_is_not_fetched(client: Client) -> None:
    with pytest.raises(BuildError, match="PIXABAY_API_KEY"):
        client(key=None).pointer("pixabay:7", Terms(), None)
    client().pointer("pixabay:7", Terms(), None).read()
    assert client(key=None).pointer("pixabay:7", Terms(), None).read() == photo(7)


def test_number_that_is_none_is_refused(client: Client) -> None:
    with pytest.raises(UnusableError, match="bad address: 'pixabay:7&q=x'"):
        client().pointer("pixabay:7&q=x", Terms(), None).read()


@pytest.mark.parametrize(
    "settings",
    [{"query": ""}, {"query": "x" * 101}, {"max_results": 501}, {"max_results": 0}, {"order": "random"}, {"page": 2}],
)
def test_search_settings_are_checked(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SearchSource.model_validate({"query": "flowers", **settings})

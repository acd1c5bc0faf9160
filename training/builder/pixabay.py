"""Pixabay's image search, by its documentation at https://pixabay.com/api/docs/.

What that asks of a client is kept here: at most so many requests a minute, told by headers; answers kept for 24 hours; pictures
downloaded, never linked. An address of a picture is good for 24 hours only, so what points to a picture for good is
`pixabay:ID`, which anyone with a key can fetch again.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlencode, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from training.builder.fetching import Answer, Fetcher, RefusedError, Shelf, seconds_of
from training.builder.journal import BuildError, disk_errors, write_whole
from training.builder.pointers import Pointer, Source, Terms, UnreachableError, UnusableError, refuse

KEY_VARIABLE = "PIXABAY_API_KEY"
HOME = "https://pixabay.com/api/docs/"
LICENSE = "Pixabay Content License"
SCHEME = "pixabay:"
MOST_RESULTS = 500
"""Of one search, however many there are."""

PAGE_SIZES = range(3, 201)
ANSWER_SECONDS = 24 * 3600.0

Category = Literal[
    "backgrounds", "fashion", "nature", "science", "education", "feelings", "health", "people", "religion", "places",
    "animals", "industry", "computer", "food", "sports", "transportation", "travel", "buildings", "business", "music",
]  # fmt: skip


class SearchSource(BaseModel):
    """One search; the names are the API's own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    query: Annotated[str, Field(min_length=1, max_length=100, description="What to look for.")]
    max_results: int = Field(default=200, ge=1, le=MOST_RESULTS, description="The first so many results are taken.")
    image_type: Literal["all", "photo", "illustration", "vector"] = "photo"
    orientation: Literal["all", "horizontal", "vertical"] = "all"
    category: Category | None = None
    min_width: int = Field(default=0, ge=0, description="Of the original, pixels; what is fetched has at most 1280 a side.")
    min_height: int = Field(default=0, ge=0)
    editors_choice: bool = False
    safesearch: bool = Field(default=True, description="Only what suits all ages.")
    order: Literal["popular", "latest"] = "popular"
    lang: Annotated[str, Field(pattern=r"^[a-z]{2}$")] = "en"

    def parameters(self) -> dict[str, str]:
        """All but key and page. The page size is the same for every page, so that pages do not overlap."""
        values = self.model_dump(mode="json", exclude={"query", "max_results"}, exclude_none=True)
        words = {name: str(value).lower() for name, value in values.items()}
        return {"q": self.query, **words, "per_page": str(min(max(self.max_results, PAGE_SIZES[0]), PAGE_SIZES[-1]))}


class _Loose(BaseModel):
    """Keys beyond these may appear at any time."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Hit(_Loose):
    """One result."""

    id: int
    pageURL: str  # noqa: N815
    webformatURL: str  # noqa: N815
    largeImageURL: str | None = None  # noqa: N815
    user: str = ""
    tags: str = ""

    @property
    def address(self) -> str:
        """Of the picture at up to 1280 pixels a side; the smaller one where there is no other."""
        return self.largeImageURL or self.webformatURL

    @property
    def name(self) -> str:
        return f"{SCHEME}{self.id}"


class Results(_Loose):
    """One page of results."""

    totalHits: int  # noqa: N815
    hits: tuple[Hit, ...]


class Pixabay:
    """The API and what it has answered."""

    def __init__(
        self,
        url: str,
        key: str | None,
        fetcher: Fetcher,
        answers: Path,
        shelf: Shelf,
        now: Callable[[], float] = time.time,
    ) -> None:
        """
        Args:
            url: Of the API.
            answers: Folder where answers are kept.
            now: Seconds since 1970.
        """
        self._url = url
        self._key = key
        self._fetcher = fetcher
        self._answers = answers
        self._shelf = shelf
        self._now = now
        self._lock = threading.Lock()
        self._free_at = 0.0

    def search(self, settings: SearchSource, is_known: Callable[[str], bool]) -> Source:
        """A search whose first page has been asked for, so that what is wrong with it is known at once.

        Args:
            is_known: Whether a pointer needs no fetching any more. An old answer of such pointers is as good as a new one.

        Raises:
            BuildError: There is no key, the API refuses the search or cannot be reached, or it finds nothing.
        """
        first = self._page(settings, 1, is_known)
        if not first.hits:
            raise BuildError(f"Pixabay finds nothing for '{settings.query}' with these settings; look for something else.")
        count = min(first.totalHits, settings.max_results)
        return Source(f"Pixabay: {settings.query}", self._pointers(settings, first, count, is_known), count)

    def pointer(self, name: str, terms: Terms, sha256: str | None) -> Pointer:
        """A picture of which only `pixabay:ID` is left.

        Raises:
            BuildError: It must be asked for, and there is no key.
        """
        number = name.removeprefix(SCHEME)
        if not (number.isascii() and number.isdecimal()):
            return Pointer(name, refuse("bad address", f"'{name}' is not {SCHEME} and a number"), terms, sha256)
        if name not in self._shelf:
            self._require_key()
        return Pointer(name, partial(self._shelf.get, name, partial(self._fetch_by_id, number)), terms, sha256)

    def _pointers(
        self, settings: SearchSource, first: Results, count: int, is_known: Callable[[str], bool]
    ) -> Iterator[Pointer]:
        page, results, listed = 1, first, 0
        while results.hits:
            for hit in results.hits[: count - listed]:
                yield self._of_hit(hit)
            listed += len(results.hits)
            if listed >= count:
                return
            page += 1
            results = self._page(settings, page, is_known)

    def _of_hit(self, hit: Hit) -> Pointer:
        terms = Terms(LICENSE, hit.user or None, hit.pageURL)
        read = partial(self._shelf.get, hit.name, partial(self._fetch_hit, hit))
        return Pointer(hit.name, read, terms, facts={"tags": hit.tags})

    def _fetch_hit(self, hit: Hit) -> bytes:
        try:
            return self._fetcher.get(hit.address)
        except RefusedError:  # perhaps the address has run out: they are good for a day
            return self._fetch_by_id(str(hit.id))

    def _fetch_by_id(self, number: str) -> bytes:
        parameters = {"id": number}
        results = self._kept(parameters) or self._new(parameters, f"picture {number}", nothing='"id"')
        if not results.hits:
            raise UnusableError("no longer on Pixabay", f"{SCHEME}{number}")
        return self._fetcher.get(results.hits[0].address)

    def _page(self, settings: SearchSource, page: int, is_known: Callable[[str], bool]) -> Results:
        """One page; an empty one past the end, which moves when pictures are taken down."""
        parameters = {**settings.parameters(), "page": str(page)}
        wanted = settings.max_results - (page - 1) * int(parameters["per_page"])
        kept = self._kept(parameters, is_good=lambda results: all(is_known(hit.name) for hit in results.hits[:wanted]))
        if kept is not None:
            return kept
        try:
            return self._new(parameters, f"'{settings.query}'", nothing='"page"' if page > 1 else None)
        except UnreachableError as error:
            raise BuildError(
                f"Pixabay's search for '{settings.query}' failed ({error}). Check the network and run the same command again: "
                "it goes on where it was."
            ) from error

    def _kept(self, parameters: Mapping[str, str], is_good: Callable[[Results], bool] | None = None) -> Results | None:
        """An answer of the last 24 hours, or an older one that is still good."""
        try:
            record = json.loads(self._file(parameters).read_bytes())
            results, age = Results.model_validate(record["answer"]), self._now() - record["at"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return results if 0 <= age < ANSWER_SECONDS or (is_good is not None and is_good(results)) else None

    def _new(self, parameters: Mapping[str, str], what: str, nothing: str | None) -> Results:
        """An answer that is asked for, and kept.

        Args:
            nothing: The parameter that the API calls out of range where there merely is nothing to find.

        Raises:
            UnreachableError: The API does not answer, after several tries.
            BuildError: It refuses, there is no key, or the disk is full.
        """
        answer = self._ask(parameters)
        text = answer.body.decode("utf-8", "replace")
        if answer.status == 400 and nothing is not None and nothing in text:
            return Results(totalHits=0, hits=())
        if answer.status != 200:
            raise BuildError(
                f"Pixabay refuses to search for {what}: {answer.status} {self._without_key(text)[:200].strip()}. If it is the "
                f"key, correct {KEY_VARIABLE}; {HOME} shows yours when you are logged in."
            )
        results = self._read(text, what)
        with disk_errors(self._answers):
            write_whole(self._file(parameters), json.dumps({"at": self._now(), "answer": json.loads(text)}).encode())
        return results

    def _file(self, parameters: Mapping[str, str]) -> Path:
        digest = hashlib.sha256(json.dumps(parameters, sort_keys=True).encode()).hexdigest()
        return self._answers / f"{digest[:32]}.json"

    def _read(self, text: str, what: str) -> Results:
        try:
            return Results.model_validate_json(text)
        except ValidationError as error:
            raise BuildError(
                f"What {urlsplit(self._url).netloc} answers about {what} is not what Pixabay's API answers "
                f"({error.errors()[0]['msg']}); check pixabay_url."
            ) from error

    def _ask(self, parameters: Mapping[str, str]) -> Answer:
        """One request, no sooner than the API allows. One at a time: the limit is of the key, whatever the thread."""
        query = urlencode({"key": self._require_key(), **parameters})
        host = urlsplit(self._url).netloc
        with self._lock:
            pause = self._free_at - self._now()
            if pause > 0:
                self._fetcher.wait(pause, host)
            try:
                answer = self._fetcher.ask(f"{self._url}?{query}")
            except UnusableError as error:
                raise BuildError(
                    f"{host} does not answer as Pixabay's API does ({error.reason}); check pixabay_url."
                ) from error
            left, reset = seconds_of(answer.headers, "X-RateLimit-Remaining"), seconds_of(answer.headers, "X-RateLimit-Reset")
            self._free_at = self._now() + reset if left == 0 and reset is not None else 0.0
            return answer

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, "(the key)") if self._key else text

    def _require_key(self) -> str:
        if not self._key:
            raise BuildError(
                f"Pixabay wants a key: set the environment variable {KEY_VARIABLE} to yours ({HOME} shows it when you are "
                "logged in; it is free), or take the search out of the plan."
            )
        return self._key

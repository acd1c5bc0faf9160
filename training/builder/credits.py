"""Where the pictures of a build come from and what their licences are, as `sources.csv` has it. It judges no licence."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

SOURCES_FILE = "sources.csv"


@dataclass(frozen=True)
class Credit:
    """One picture's origin; empty where it is not known.

    Attributes:
        pointer: Path or address of the file.
        page: The page that shows it.
    """

    pointer: str = ""
    page: str = ""
    license: str = ""
    author: str = ""


def read_credits(build: Path) -> dict[str, Credit]:
    """Credits by the id of the picture, in the order of the file; empty where there is no file yet."""
    path = build / SOURCES_FILE
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row.get("id")]
    return {row["id"]: Credit(**{name: row.get(name) or "" for name in Credit.__dataclass_fields__}) for row in rows}

"""Which media type and which language a caller wants, from Accept headers (RFC 9110, 12.5). It makes nothing itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class _Range:
    value: str
    quality: float


def choose_media_type(accept: str | None, offered: Sequence[str]) -> str | None:
    """The offered type that `accept` likes best, the earlier one where it likes several equally; None when it likes none."""
    ranges = _ranges(accept)
    if not ranges:
        return offered[0]
    best = max(offered, key=lambda media_type: _media_quality(media_type, ranges))
    return best if _media_quality(best, ranges) > 0 else None


def choose_language(accept: str | None, offered: Sequence[str]) -> str:
    """The offered language code that `accept` likes best; the first when it likes none."""
    ranges = _ranges(accept)
    best, best_quality = offered[0], 0.0
    for item in ranges:
        code = item.value.split("-")[0]
        if code in offered and item.quality > best_quality:
            best, best_quality = code, item.quality
    return best


def _media_quality(media_type: str, ranges: Sequence[_Range]) -> float:
    """The most specific range decides: the type itself, then its family, then anything."""
    for pattern in (media_type, f"{media_type.split('/')[0]}/*", "*/*"):
        for item in ranges:
            if item.value == pattern:
                return item.quality
    return 0.0


def _ranges(header: str | None) -> list[_Range]:
    found: list[_Range] = []
    for part in (header or "").split(","):
        value, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if value:
            found.append(_Range(value, _quality(parameters)))
    return found


def _quality(parameters: Sequence[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return min(1.0, max(0.0, float(value)))
            except ValueError:
                return 0.0
    return 1.0

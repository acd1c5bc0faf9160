"""What a family must know of the picture that it translates, apart from its pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class SourceSpec:
    """Kind and channels of the main input. `classes` is the palette's length for labels and 0 otherwise."""

    kind: Literal["line", "labels", "gray", "photo"]
    channels: int = 1
    classes: int = 0

    @property
    def network_channels(self) -> int:
        """Channels once encoded: one a class for labels."""
        return self.classes if self.kind == "labels" else self.channels

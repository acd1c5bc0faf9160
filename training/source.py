"""What a family must know of the pictures that it translates, apart from their pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class SourceSpec:
    """Name, kind and channels of an input. `classes` is the palette's length for labels and 0 otherwise.

    `others` are the inputs beside a main one, none of which has others of its own.
    """

    kind: Literal["line", "labels", "gray", "photo"]
    channels: int = 1
    classes: int = 0
    name: str = "image"
    others: tuple[SourceSpec, ...] = ()

    @property
    def inputs(self) -> tuple[SourceSpec, ...]:
        """The main input and the others, in the order in which networks see them."""
        return (self, *self.others)

    @property
    def condition_channels(self) -> int:
        """Channels of all inputs, once encoded and laid on one another."""
        return sum(spec.network_channels for spec in self.inputs)

    @property
    def network_channels(self) -> int:
        """Channels of this input alone, once encoded: one a class for labels."""
        return self.classes if self.kind == "labels" else self.channels

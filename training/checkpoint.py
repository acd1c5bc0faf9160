"""What a checkpoint holds beside weights, and how a family is put back to one. Files are the run's business."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from training.families.protocol import Family
from training.run import RunError
from training.watch import Best

_DETOUR = 2**40
"""Images from one order of pictures and noise to the next: farther than any run goes."""


@dataclass(frozen=True)
class Course:
    """Where a run is.

    Attributes:
        images: Images that the generator was shown, repeats counted.
        rollbacks: How often the run went back to a checkpoint because it had gone astray.
        learning_rate_scale: What rollbacks left of the learning rate, in (0, 1].
        best: The best held-out figure so far, where one is watched.
    """

    images: int = 0
    rollbacks: int = 0
    learning_rate_scale: float = 1.0
    best: Best | None = None

    @property
    def place(self) -> int:
        """The position that pictures and noise are drawn from; each rollback goes on in another part of the endless order."""
        return self.images + self.rollbacks * _DETOUR


def checkpoint_state(family: Family, course: Course) -> dict[str, Any]:
    """All that a resumed run needs. Random state is not among it: every step draws from a seed of its position."""
    return {
        "networks": family.networks.state_dict(),
        "optimizers": {name: optimizer.state_dict() for name, optimizer in family.optimizers.items()},
        **asdict(course),
    }


def weights_state(family: Family, course: Course) -> dict[str, Any]:
    """Weights alone, with where they are from: nothing goes on from them."""
    return {"networks": family.networks.state_dict(), **asdict(course)}


def restore(family: Family, state: dict[str, Any], origin: str) -> Course:
    """Puts the family back to a checkpoint and returns where the run was. Older checkpoints know of no rollback and no best.

    Raises:
        RunError: The checkpoint does not fit the configuration.
    """
    load_networks(family, state, origin)
    for name, optimizer in family.optimizers.items():
        optimizer.load_state_dict(state["optimizers"][name])
    best = state.get("best")
    return Course(
        images=int(state["images"]),
        rollbacks=int(state.get("rollbacks", 0)),
        learning_rate_scale=float(state.get("learning_rate_scale", 1.0)),
        best=Best(**best) if best else None,
    )


def load_networks(family: Family, state: dict[str, Any], origin: str) -> None:
    """Loads weights only, for a warm start.

    Raises:
        RunError: Names or shapes differ.
    """
    try:
        family.networks.load_state_dict(state["networks"])
    except RuntimeError as error:
        raise RunError(f"{origin} does not fit this configuration: {error}") from error

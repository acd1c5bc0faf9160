"""For layers that have a form of their own where networks are compiled: when to take it, and what its operators promise."""

from __future__ import annotations

import torch
from torch import Tensor


def is_compiled() -> bool:
    """True while PyTorch's compiler traces a network; False where operators run one by one and where a graph is exported."""
    return torch.compiler.is_compiling() and not torch.compiler.is_exporting()


def promised(like: Tensor, channels: int, height: int, width: int) -> Tensor:
    """What the compiler is told of an operator's result: as many pictures of this size, in channels-last order."""
    return like.new_empty((len(like), channels, height, width)).to(memory_format=torch.channels_last)

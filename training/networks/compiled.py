"""Whether a network is being compiled to learn, so that it may be written the way a compiler makes quick."""

from __future__ import annotations

import torch


def is_compiled() -> bool:
    """True while PyTorch's compiler traces a network; False where operators run one by one and where a graph is exported."""
    return torch.compiler.is_compiling() and not torch.compiler.is_exporting()

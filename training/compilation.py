"""Networks as compiled code: PyTorch's compiler fuses the norms, activations and sums that lie between convolutions."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Choice = Literal["off", "auto", "on"]


class CompilationError(ValueError):
    """Compiled code is asked for where it cannot be made."""


def compile_networks(networks: nn.ModuleDict, choice: Choice, device: torch.device) -> bool:
    """Has the networks that learn compiled, each when it is first used, which takes minutes; their weights stay what they are.

    Args:
        networks: By name; those whose weights take no gradient, such as averages, are left alone.
        choice: "auto" compiles for a processor where that is possible. For a GPU it does not: that is untried.
        device: Where they are.

    Returns:
        Whether they are compiled.

    Raises:
        CompilationError: The choice is "on", and a trial fails.
    """
    if choice == "off" or (choice == "auto" and device.type != "cpu"):
        return False
    reason = why_not(device)
    if reason and choice == "auto":
        return False
    if reason:
        raise CompilationError(
            f"loop.compile is 'on', but a trial failed: {reason}. A processor needs g++ and Python's headers (Debian: g++, "
            "python3-dev); install them, or set loop.compile to 'auto' or 'off'."
        )
    for network in networks.values():
        if any(parameter.requires_grad for parameter in network.parameters()):
            network.compile(dynamic=False)  # few sizes, and code for one size is quicker than code for any
    return True


def why_not(device: torch.device) -> str:
    """Why nothing can be compiled for a device, found by trying; empty where it can."""
    try:
        torch.compile(_trial)(torch.zeros(2, device=device))
    except Exception as error:  # a missing compiler, missing headers, a full disk: each has its own type
        return str(error).strip().splitlines()[0]
    return ""


def _trial(values: Tensor) -> Tensor:
    return torch.sin(values) + 1

"""What schedulers need that are more than linear combinations."""

from __future__ import annotations

from typing import Any

import torch


def tensor(x: Any) -> torch.Tensor:
    """``x`` itself, if it is a tensor: such a step cannot run on ``Affine`` and is traced.

    Raises:
        TypeError: it is not.
    """
    if not isinstance(x, torch.Tensor):
        raise TypeError(f"this scheduler needs tensors, not {type(x).__name__}")
    return x

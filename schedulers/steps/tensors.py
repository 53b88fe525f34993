"""What schedulers need that are more than linear combinations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, Self, runtime_checkable

import torch

from samplegraph.schedulers.vector import X


@runtime_checkable
class Measurable(Protocol):
    """What has norms as a tensor has them: tensors, and the values of a graph under construction."""

    @property
    def ndim(self) -> int: ...

    def norm(self, p: float, *, dim: tuple[int, ...], keepdim: bool) -> Self: ...

    def mean(self) -> Self: ...


@runtime_checkable
class Traceable(Protocol):
    """A value of a graph under construction, which has nodes for any function of tensors."""

    def through(self, function: Callable[..., torch.Tensor], args: Sequence[Any]) -> Self: ...


def row_norms(x: X) -> Any:
    """Euclidean norms of the rows of ``x`` (B, ...), (B, 1, ...).

    Raises:
        TypeError: it has none, as ``Affine``.
    """
    if not isinstance(x, Measurable):
        raise TypeError(f"this scheduler needs norms, which {type(x).__name__} has not")
    return x.norm(2.0, dim=tuple(range(1, x.ndim)), keepdim=True)


def on_tensors(function: Callable[..., torch.Tensor], *args: Any) -> Any:
    """``function`` of these vectors and numbers, for what can be told of tensors only: a sort, a choice.

    It is given the numbers as float32 tensors of shape (). A graph has it traced once, and its nodes for each call;
    so give a function that stays, of a module or bound, and what differs between steps as numbers.

    Raises:
        TypeError: a vector is none of tensor and value of a graph, as ``Affine``.
    """
    for x in args:
        if isinstance(x, Traceable):
            return x.through(function, args)
        if not isinstance(x, torch.Tensor | float):
            raise TypeError(f"this scheduler needs tensors, not {type(x).__name__}")
    return function(*(torch.tensor(x) if isinstance(x, float) else x for x in args))

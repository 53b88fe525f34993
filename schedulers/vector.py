"""What a scheduler computes with: tensors when traced, floats in tests, ``Affine`` for the plan."""

from __future__ import annotations

from typing import Protocol, Self, TypeVar


class Vector(Protocol):
    """Closed under ``+``, ``-``, and multiplication or division by a Python float."""

    def __add__(self, other: Self, /) -> Self: ...

    def __sub__(self, other: Self, /) -> Self: ...

    def __mul__(self, scalar: float, /) -> Self: ...

    def __rmul__(self, scalar: float, /) -> Self: ...

    def __truediv__(self, scalar: float, /) -> Self: ...


X = TypeVar("X", bound=Vector)

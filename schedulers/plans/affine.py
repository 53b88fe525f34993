"""A linear combination of named symbols with float coefficients: what a sampler does, read off exactly."""

from __future__ import annotations

from collections.abc import Mapping

Scalar = int | float


class Affine:
    """``sum_k coefficient_k * symbol_k``, closed under ``+``, ``-`` and multiplication or division by a scalar.

    Passed through ``Scheduler.step`` in place of a tensor it returns the float64 coefficients of the update:
    a scheduler is *affine* when that works. Multiplying two of them raises ``TypeError``.
    """

    __slots__ = ("terms",)

    def __init__(self, terms: Mapping[str, float] | None = None) -> None:
        self.terms: dict[str, float] = dict(terms or {})

    @classmethod
    def symbol(cls, name: str) -> Affine:
        """The combination ``1 * name``."""
        return cls({name: 1.0})

    def __getitem__(self, name: str) -> float:
        return self.terms.get(name, 0.0)

    def __add__(self, other: Affine) -> Affine:
        if not isinstance(other, Affine):
            return NotImplemented
        terms = dict(self.terms)
        for name, coefficient in other.terms.items():
            terms[name] = terms.get(name, 0.0) + coefficient
        return Affine(terms)

    def __sub__(self, other: Affine) -> Affine:
        return self + -1.0 * other if isinstance(other, Affine) else NotImplemented

    def __mul__(self, scalar: Scalar) -> Affine:
        if not isinstance(scalar, int | float):
            return NotImplemented
        return Affine({name: coefficient * scalar for name, coefficient in self.terms.items()})

    __rmul__ = __mul__

    def __truediv__(self, scalar: Scalar) -> Affine:
        if not isinstance(scalar, int | float):
            return NotImplemented
        return Affine({name: coefficient / scalar for name, coefficient in self.terms.items()})

    def __neg__(self) -> Affine:
        return self * -1.0

    def __repr__(self) -> str:
        return " + ".join(f"{c:.6g}*{name}" for name, c in self.terms.items()) or "0"

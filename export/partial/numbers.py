"""The numbers of folded values at the call sites: constants of the graph, or rows of a table that is an input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from samplegraph.export.errors import ExportError
from samplegraph.export.graph.builder import Builder
from samplegraph.export.partial.fold import Folded

Array = npt.NDArray[Any]
Results = Sequence[dict[ir.Value, Array]]


class Numbers(Protocol):
    """Folded values of the denoiser as values of the graph, for ``count`` call sites."""

    count: int

    def __contains__(self, value: ir.Value) -> bool:
        """Whether ``value`` is folded."""

    def shape(self, value: ir.Value) -> tuple[int, ...]:
        """Shape of the numbers at one site."""

    def repeats(self, value: ir.Value, site: int) -> bool:
        """Whether all rows of ``value`` are equal there."""

    def at(self, value: ir.Value, site: int, first_row: bool = False) -> ir.Value:
        """The numbers at one site; of their rows only the first, if that is said."""

    def stacked(self, value: ir.Value) -> ir.Value:
        """The rows of all sites, one site after the other along axis 0."""

    def each(self, value: ir.Value) -> ir.Value:
        """The numbers of all sites behind a new first axis."""


class Baked:
    """As constants."""

    def __init__(self, builder: Builder, results: Results) -> None:
        self._b, self._results, self.count = builder, results, len(results)

    def __contains__(self, value: ir.Value) -> bool:
        return value in self._results[0]

    def shape(self, value: ir.Value) -> tuple[int, ...]:
        return self._results[0][value].shape

    def repeats(self, value: ir.Value, site: int) -> bool:
        array = self._results[site][value]
        return bool((array == array[:1]).all())

    def at(self, value: ir.Value, site: int, first_row: bool = False) -> ir.Value:
        array = self._results[site][value]
        return self._b.constant(array[:1] if first_row else array)

    def stacked(self, value: ir.Value) -> ir.Value:
        return self._b.constant(np.concatenate([site[value] for site in self._results]))

    def each(self, value: ir.Value) -> ir.Value:
        return self._b.constant(np.stack([site[value] for site in self._results]))


@dataclass
class ConstantTable:
    """What becomes an input of the graph: one row of float32 numbers per evaluation.

    Args:
        timesteps: per evaluation of all step counts, what the network is told.
        count: evaluations per call, whose rows the input ``value`` (count, width) holds.
        columns: numbers of every evaluation (E, w), side by side; filled by ``Tabled``.
    """

    timesteps: Sequence[Array]
    count: int
    value: ir.Value
    columns: list[Array] = field(default_factory=list)

    @property
    def width(self) -> int:
        """Columns so far."""
        return sum(part.shape[1] for part in self.columns)

    def rows(self) -> Array:
        """(E, width) float32."""
        return np.concatenate(self.columns, axis=1) if self.columns else np.zeros((len(self.timesteps), 0), np.float32)


class Tabled(Baked):
    """As rows of a table: the graph reads the evaluations of a call from it, whichever these are.

    What is equal at all evaluations stays a constant. A value whose rows are all equal is kept as one row.
    """

    def __init__(self, builder: Builder, folded: Folded, table: ConstantTable) -> None:
        super().__init__(builder, folded.results)
        self._folded, self._table, self.count = folded, table, table.count
        self._places: dict[ir.Value, tuple[int, Array]] = {}
        self._made: dict[tuple[ir.Value, int], ir.Value] = {}

    def repeats(self, value: ir.Value, site: int) -> bool:
        return all(super(Tabled, self).repeats(value, e) for e, _ in enumerate(self._results))

    def at(self, value: ir.Value, site: int, first_row: bool = False) -> ir.Value:
        if self._folded.same_everywhere(value):
            return super().at(value, 0, first_row)
        start, like = self._place(value)
        if (value, site) not in self._made:
            cut = self._slice([site, start], [site + 1, start + like.size], [0, 1])
            self._made[value, site] = self._shaped(cut, like, (1, like.size), like.shape)
        made, whole = self._made[value, site], self.shape(value)
        return made if first_row or like.shape == whole else self._b.one("Expand", [made, self._ints(whole)])

    def stacked(self, value: ir.Value) -> ir.Value:
        whole = self.shape(value)
        each = self.each(value)
        if not self._folded.same_everywhere(value) and self._place(value)[1].shape != whole:
            each = self._b.one("Expand", [each, self._ints((self.count, *whole))])
        return self._b.one("Reshape", [each, self._ints((self.count * whole[0], *whole[1:]))])

    def each(self, value: ir.Value) -> ir.Value:
        if self._folded.same_everywhere(value):
            return self._b.constant(np.stack([self._results[0][value]] * self.count))
        start, like = self._place(value)
        cut = self._slice([start], [start + like.size], [1])
        return self._shaped(cut, like, (self.count, like.size), (self.count, *like.shape))

    def _place(self, value: ir.Value) -> tuple[int, Array]:
        """The first column of ``value``, and one of its arrays as it is kept."""
        if value not in self._places:
            narrow = bool(self.shape(value)) and self.repeats(value, 0)
            kept = [r[value][:1] if narrow else r[value] for r in self._results]
            rows = np.stack([array.astype(np.float32).reshape(-1) for array in kept])
            if not all(np.array_equal(row.astype(a.dtype), a.reshape(-1)) for row, a in zip(rows, kept, strict=True)):
                raise ExportError(
                    f"layout='repeated' keeps constants as float32, and {value.name} ({value.dtype}) does not fit; "
                    "choose layout 'chunked:K'"
                )
            self._places[value] = self._table.width, kept[0]
            self._table.columns.append(rows)
        return self._places[value]

    def _shaped(self, cut: ir.Value, like: Array, shape: tuple[int, ...], wanted: tuple[int, ...]) -> ir.Value:
        made = cut if shape == wanted else self._b.one("Reshape", [cut, self._ints(wanted)])
        kind = ir.DataType.from_numpy(like.dtype)
        return made if kind == ir.DataType.FLOAT else self._b.one("Cast", [made], {"to": int(kind)})

    def _slice(self, starts: list[int], ends: list[int], axes: list[int]) -> ir.Value:
        return self._b.one("Slice", [self._table.value, *(self._ints(n) for n in (starts, ends, axes))])

    def _ints(self, numbers: Sequence[int]) -> ir.Value:
        return self._b.constant(np.array(numbers, dtype=np.int64))

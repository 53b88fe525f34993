"""What a manifest says of a layout: a chunk's place in its set, and the tables that drive a graph of evaluations."""

from __future__ import annotations

from dataclasses import dataclass

#: How a carried tensor is called as an input, behind its name as an output.
CARRIED = "_in"


@dataclass(frozen=True)
class Chunk:
    """Place of a graph in a set: steps ``first`` to ``last - 1``, which draw ``slices`` ``[from, to)``."""

    index: int
    count: int
    first: int
    last: int
    slices: tuple[int, int]

    @property
    def suffix(self) -> str:
        """What stands between the stem of its file and ``.onnx``."""
        return chunk_suffix(self.index)


def chunk_suffix(index: int) -> str:
    """``.chunk-00`` and so on."""
    return f".chunk-{index:02d}"


@dataclass(frozen=True)
class CoefficientTable:
    """What drives a graph of one evaluation through a sampler of N steps.

    Args:
        init_noise_sigma: factor of unit noise, and
        init_sample_scale: of ``init_sample``, in the first sample; the other registers start at zero.
        evaluations: which step each belongs to, and the timestep that the network is told.
        slices: per evaluation, the slices of ``step_noise`` that it reads.
        noise_slices: how many slices there are.
        coefficients: per evaluation, rows (network's input, x0, next registers) over (registers, slices, output, x0).
        first_constants: which row of the file of constants is that of the first evaluation.
    """

    steps: int
    init_noise_sigma: float
    noise_slices: int
    step_of: tuple[int, ...]
    timesteps: tuple[float, ...]
    slices: tuple[tuple[int, ...], ...]
    coefficients: tuple[tuple[tuple[float, ...], ...], ...]
    init_sample_scale: float = 0.0
    first_constants: int = 0

    def check(self, registers: int, slices: int) -> None:
        """Whether all parts have the same number of evaluations and fit that many registers and slices.

        Raises:
            ValueError: they do not.
        """
        e, wide = len(self.coefficients), registers + slices + 2
        if not e or {len(self.step_of), len(self.timesteps), len(self.slices)} != {e}:
            raise ValueError(f"the table of {self.steps} steps is not of one length")
        if any(len(rows) != 2 + registers or any(len(row) != wide for row in rows) for rows in self.coefficients):
            raise ValueError(f"the table of {self.steps} steps does not fit {registers} registers and {slices} slices")
        if any(len(s) > slices or not all(0 <= k < self.noise_slices for k in s) for s in self.slices):
            raise ValueError(f"the table of {self.steps} steps reads slices that are not there")
        if any(not 0 <= i < self.steps for i in self.step_of):
            raise ValueError(f"the table of {self.steps} steps has more steps")


@dataclass(frozen=True)
class Constants:
    """What the network computes from the timestep alone, computed beforehand, in a file beside the graph.

    Args:
        file: name of the file: float32 numbers in little-endian order, (rows, width).
        rows: one for each evaluation of each table.
        width: numbers of an evaluation.
    """

    file: str
    rows: int
    width: int


@dataclass(frozen=True)
class Recurrence:
    """A sampler as linear maps on ``registers``, the sample first: one row of ``tables`` per evaluation.

    ``slices`` is the most draws that one evaluation reads, ``sampler`` a digest of what the tables depend on besides N.
    ``evaluations`` is how many a call of the graph makes, ``constants`` what it reads besides coefficients.
    """

    registers: tuple[str, ...]
    slices: int
    clip: float | None
    sampler: str
    tables: tuple[CoefficientTable, ...]
    evaluations: int = 1
    constants: Constants | None = None

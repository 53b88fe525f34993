"""The noise of one call of a program: the initial noise and the noise of its steps.

A program has the inputs ``noise (M, ...)`` and, where its scheduler is stochastic,
``step_noise (K, M, ...)``. One that starts from ``init_sample`` alone and draws in its steps has no ``noise``: there
the first draw is ``step_noise[0]``, so it takes ``draw`` with K - 1 slices and puts the first in front.

Two generators can fill them; both give the same bits on every machine (one exception: draws of fewer than 16 values,
see ``noise.torch_generator``).

``rng="torch"``: what a diffusers pipeline draws from CPU generators.
    *One seed:* one generator for the whole batch; a draw of shape ``(M, ...)`` for the initial noise, then
    one of the same shape per slice, in order. A sample depends on its batch.
    *A list of M seeds:* one generator per sample, each drawing ``(1, ...)`` first for the initial noise,
    then once per slice, as diffusers' ``randn_tensor`` does with a list of generators. A sample does not
    depend on its batch.

``rng="philox"``: counter-based, see ``noise.philox_normal``.
    *One seed:* the key is the seed, the sample number is the row. Sample m is the same in every batch that
    has it.
    *A list of M seeds:* the key of row m is ``seed[m]``, its sample number 0: equal to the one-sample draw
    with that seed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from samplegraph.runtime.noise.arrays import Float32s, NoiseArray, NoiseType
from samplegraph.runtime.noise.checks import check_choice, check_count, check_dtype, check_seeds, check_shape
from samplegraph.runtime.noise.errors import NoiseError
from samplegraph.runtime.noise.philox_normal import philox_normals
from samplegraph.runtime.noise.torch_generator import TorchGenerator

Rng: TypeAlias = Literal["torch", "philox"]
RNGS: tuple[Rng, ...] = ("torch", "philox")
NoiseKind: TypeAlias = Literal["normal", "uniform"]
NOISE_KINDS: tuple[NoiseKind, ...] = ("normal", "uniform")


def draw(
    seed: int | Sequence[int],
    *,
    samples: int,
    sample_shape: Sequence[int],
    slices: int,
    rng: Rng = "torch",
    dtype: npt.DTypeLike = np.float32,
    noise_kind: NoiseKind = "normal",
) -> tuple[NoiseArray, NoiseArray]:
    """Draw the noise of M samples with K noise slices each.

    Args:
        seed: one int for all samples, or M ints, one per sample; from 0 to 2^64 - 1. With ``rng="torch"``
            only the low 32 bits matter, as in torch.
        samples: M, >= 1.
        sample_shape: shape of one sample, without the batch axis: one axis or more, each >= 1.
        slices: K, the number of noise slices (the program's manifest tells), >= 0.
        rng: ``"torch"`` or ``"philox"``.
        dtype: float32 or float16. float16 is what torch draws with ``dtype=torch.float16``.
        noise_kind: ``"normal"``, or ``"uniform"`` for what ``torch.rand`` draws: float32 with ``rng="torch"`` only.

    Returns:
        ``(noise, step_noise)`` of shapes ``(M, *sample_shape)`` and ``(K, M, *sample_shape)``, C order.

    Raises:
        NoiseError: an argument is not as described: a bool or float seed, a list of another length than M.
    """
    rows = check_count(samples, "samples", smallest=1)
    count = check_count(slices, "slices", smallest=0)
    shape = check_shape(sample_shape, "sample_shape", smallest=1)
    if not shape:
        raise NoiseError("sample_shape", sample_shape, "one axis or more", "use (1,) for a scalar sample")
    seeds = check_seeds(seed, rows)
    kind = check_dtype(dtype)
    if check_choice(noise_kind, "noise_kind", NOISE_KINDS) == "uniform":
        if rng != "torch" or kind != np.float32:
            raise NoiseError("rng", rng, "'torch' and float32 for uniform noise", "leave rng out")
        drawn = _torch(seeds, 1 + count, rows, shape, kind, uniform=True)
    elif check_choice(rng, "rng", RNGS) == "torch":
        drawn = _torch(seeds, 1 + count, rows, shape, kind)
    else:
        drawn = _philox(seeds, 1 + count, rows, shape).astype(kind, copy=False)
    return drawn[0], drawn[1:]


def _torch(
    seeds: int | list[int],
    count: int,
    rows: int,
    shape: tuple[int, ...],
    kind: NoiseType,
    uniform: bool = False,
) -> NoiseArray:
    """``(count, rows, *shape)`` from one generator, or from one per row."""
    def drawn(seed: int, dims: tuple[int, ...]) -> NoiseArray:
        generator = TorchGenerator(seed)
        return generator.uniforms(count, dims) if uniform else generator.normals(count, dims, kind)

    if isinstance(seeds, int):
        return drawn(seeds, (rows, *shape))
    out: NoiseArray = np.empty((count, rows, *shape), kind)
    for row, each in enumerate(seeds):
        out[:, row] = drawn(each, shape)
    return out


def _philox(seeds: int | list[int], count: int, rows: int, shape: tuple[int, ...]) -> Float32s:
    """``(count, rows, *shape)``."""
    if isinstance(seeds, int):
        streams = [(seeds, row) for row in range(rows)]
    else:
        streams = [(each, 0) for each in seeds]
    return philox_normals(streams, range(count), math.prod(shape)).reshape(count, rows, *shape)

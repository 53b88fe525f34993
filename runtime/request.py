"""One call: how many samples, and every input of the graph for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from samplegraph.runtime.conditions import gather, missing
from samplegraph.runtime.errors import InputError, one_line
from samplegraph.runtime.gpu.cuda import Cuda
from samplegraph.runtime.gpu.foreign import to_value
from samplegraph.runtime.inputs import row_axis
from samplegraph.runtime.manifest import Manifest, Tensor
from samplegraph.runtime.noise import NoiseError, Rng, draw
from samplegraph.runtime.values import Value, repeated


@dataclass(frozen=True)
class Request:
    """M samples and one array per input of the graph, each with M rows (scalars with none)."""

    samples: int
    arrays: Mapping[str, Value]


@dataclass(frozen=True)
class Randomness:
    """Where the noise comes from: a seed (or one per sample), or the caller's own arrays."""

    seed: int | Sequence[int] | None
    noise: object
    step_noise: object
    rng: Rng


def assemble(
    manifest: Manifest, source: Randomness, samples: int | None, given: Mapping[str, object], cuda: Cuda | None = None
) -> Request:
    """Check everything that a caller gave and complete it with defaults and noise.

    Args:
        cuda: the GPU that the sampler runs on and that inputs may lie on, if there is one.

    Raises:
        InputError: a name, dtype, shape, value or number of rows is not allowed, or something is missing.
    """
    _check_source(manifest, source)
    conditions = gather(manifest, {k: v for k, v in given.items() if v is not None}, cuda)
    own = _own_noise(manifest, source, cuda)
    count = _samples(manifest, source, samples, own, conditions)
    arrays = own or _draw(manifest, source, count)
    for name, array in conditions.items():
        rows = row_axis(_tensor(manifest, name))
        arrays[name] = array if rows is None else repeated(array, count, rows)
    _check_symbols(manifest, arrays)
    return Request(count, {t.name: arrays[t.name] for t in manifest.sampler_inputs})


def _tensor(manifest: Manifest, name: str) -> Tensor:
    return next(t for t in manifest.sampler_inputs if t.name == name)


def _check_source(manifest: Manifest, source: Randomness) -> None:
    if manifest.drawn is None:
        given = {"seed": source.seed, "noise": source.noise, "step_noise": source.step_noise}
        if (name := next((k for k, v in given.items() if v is not None), None)) is not None:
            raise InputError(f"{name} is given, but {manifest.name} draws no noise; leave it out")
        return
    given = {"noise": source.noise, "step_noise": source.step_noise}
    if source.noise is not None and manifest.input("noise") is None:
        raise InputError(f"noise is given, but {manifest.name} draws none before its steps; leave it out")
    if source.seed is not None and (name := next((k for k, v in given.items() if v is not None), None)):
        raise InputError(f"seed={source.seed!r} and {name} are both given; give a seed, or the noise arrays")
    if source.seed is None and given[manifest.drawn.role] is None:
        own = " and ".join(role for role in given if manifest.input(role) is not None)
        raise InputError(f"seed is missing; give seed=0 (or one per sample), or your own {own}")


def _own_noise(manifest: Manifest, source: Randomness, cuda: Cuda | None) -> dict[str, Value]:
    """The caller's noise arrays; nothing where a seed is given."""
    if source.seed is not None:
        return {}
    arrays: dict[str, Value] = {}
    for role, value in (("noise", source.noise), ("step_noise", source.step_noise)):
        tensor = manifest.input(role)
        if tensor is None:
            if value is not None and not (isinstance(value, np.ndarray) and value.shape[:1] == (0,)):
                raise InputError(
                    f"{role} is given, but {manifest.name} draws none in its steps; leave it out"
                )
        elif value is None:
            raise missing(tensor, ", the slices in step order")
        else:
            arrays[tensor.name] = to_value(tensor, value, cuda)
    return arrays


def _samples(
    manifest: Manifest,
    source: Randomness,
    samples: int | None,
    own: Mapping[str, Value],
    conditions: Mapping[str, Value],
) -> int:
    """M: the number on which all that has one row per sample agrees."""
    counts: dict[str, int] = {}
    if samples is not None:
        if isinstance(samples, bool) or not isinstance(samples, int | np.integer) or samples < 1:
            raise InputError(f"samples={samples!r} is not allowed; give a whole number of at least 1")
        counts["samples"] = int(samples)
    if isinstance(source.seed, Sequence | np.ndarray) and not isinstance(source.seed, str | bytes):
        counts["seed"] = len(source.seed)
    for name, array in own.items():
        counts[name] = array.shape[row_axis(_tensor(manifest, name)) or 0]
    for name, array in conditions.items():
        if row_axis(_tensor(manifest, name)) is not None and len(array) > 1:
            counts[name] = len(array)
    if len(set(counts.values())) > 1:
        (first, a), (other, b) = _disagreeing(counts)
        raise InputError(
            f"{_rows(other, b)}, {_rows(first, a)}; give one row per sample, or one of a condition for all"
        )
    return next(iter(counts.values()), 1)


def _disagreeing(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    first = next(iter(counts.items()))
    return [first, next(item for item in counts.items() if item[1] != first[1])]


def _rows(name: str, count: int) -> str:
    return (
        f"samples={count}" if name == "samples" else f"{name} has {count} {'row' if count == 1 else 'rows'}"
    )


def _draw(manifest: Manifest, source: Randomness, samples: int) -> dict[str, Value]:
    """The noise that a seed makes. Where a run takes no ``noise``, the first draw is ``step_noise[0]``."""
    tensor, noise, steps = manifest.drawn, manifest.input("noise"), manifest.input("step_noise")
    if tensor is None:
        return {}
    assert source.seed is not None
    try:
        first, others = draw(
            source.seed,
            samples=samples,
            sample_shape=[int(n) for n in tensor.shape[(row_axis(tensor) or 0) + 1 :]],
            slices=manifest.noise.slices - (noise is None),
            rng=source.rng,
            dtype=np.dtype(tensor.dtype),
            noise_kind=manifest.noise.kind,
        )
        slices = others if noise is not None else np.concatenate([first[None], others])
    except NoiseError as error:
        raise InputError(str(error)) from error
    except (MemoryError, OverflowError, ValueError) as error:
        raise InputError(f"samples={samples} cannot be drawn ({one_line(error)}); give fewer") from error
    drawn: dict[str, Value] = {}
    if noise is not None:
        drawn[noise.name] = first
    if steps is not None:
        drawn[steps.name] = slices
    return drawn


def _check_symbols(manifest: Manifest, arrays: Mapping[str, Value]) -> None:
    """A symbolic axis that several inputs share has one size."""
    sizes: dict[str, tuple[str, int]] = {}
    for tensor in manifest.sampler_inputs:
        for axis, size in zip(tensor.shape, arrays[tensor.name].shape, strict=True):
            if isinstance(axis, str):
                name, known = sizes.setdefault(axis, (tensor.name, size))
                if known != size:
                    raise InputError(
                        f"{tensor.name} has {size} along {axis!r}, {name} has {known}; make them equal"
                    )

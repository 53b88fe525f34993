"""The inputs other than noise: names, defaults, and what is said about one that is missing or unknown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from samplegraph.runtime.errors import InputError, suggest
from samplegraph.runtime.gpu.cuda import Cuda
from samplegraph.runtime.gpu.foreign import to_value
from samplegraph.runtime.inputs import Array, range_text, shape_text
from samplegraph.runtime.manifest import Manifest, Tensor
from samplegraph.runtime.values import Value

_NOISE = ("noise", "step_noise")


def gather(manifest: Manifest, given: Mapping[str, object], cuda: Cuda | None) -> dict[str, Value]:
    """One array per input other than noise: what is given, checked, or its default as one row.

    Raises:
        InputError: an unknown name, a missing input, or a value that is not allowed.
    """
    tensors = {t.name: t for t in manifest.sampler_inputs if t.role not in _NOISE}
    for name in given:
        if name not in tensors:
            raise _unknown(manifest, name, given[name], list(tensors))
    arrays: dict[str, Value] = {}
    for name, tensor in tensors.items():
        value = given.get(name, tensor.default)
        if value is None:
            raise missing(tensor)
        arrays[name] = to_value(tensor, value, cuda) if name in given else _default(tensor)
    return arrays


def _unknown(manifest: Manifest, name: str, value: object, takes: Sequence[str]) -> InputError:
    if name == "guidance_scale":
        plan = manifest.guidance
        has = f"has {plan.scale:g} baked in" if plan.scale is not None else "has no guidance"
        has = "has one per step baked in" if plan.mode == "per_step" else has
        return InputError(
            f"guidance_scale={value} is not an input of {manifest.name}, which {has}; "
            "leave it out or export again"
        )
    known = ", ".join(takes) or "no conditions"
    return InputError(
        f"{name!r} is not an input of {manifest.name}, which takes {known}{suggest(name, takes)}"
    )


def missing(tensor: Tensor, note: str = "") -> InputError:
    """The error of an input that is not given."""
    limits = f" in {range_text(tensor)}" if range_text(tensor) else ""
    shape = shape_text(tensor) if tensor.shape else "a single number"
    return InputError(f"{tensor.name} is missing; give {tensor.dtype} values{limits}, {shape}{note}")


def _default(tensor: Tensor) -> Array:
    """One row of the default."""
    if any(isinstance(axis, str) for axis in tensor.shape[1:]):
        raise missing(tensor)
    row = [int(axis) for axis in tensor.shape[1:]]
    return np.full([1, *row] if tensor.shape else [], tensor.default, dtype=tensor.dtype)

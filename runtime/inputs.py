"""One input: what a caller gives becomes an array that the graph can take, or an error that says why not."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from samplegraph.runtime.errors import InputError, one_line
from samplegraph.runtime.manifest import Tensor

Array = npt.NDArray[Any]

#: Kind of a dtype -> kinds of array that may be given for it, and what to say otherwise.
_ALLOWED = {
    "b": ("b", "give true or false"),
    "i": ("iu", "give whole numbers"),
    "f": ("iuf", "give numbers"),
}


def row_axis(tensor: Tensor) -> int | None:
    """The axis with one entry per sample; None for a scalar, which all samples share."""
    if not tensor.shape:
        return None
    return 1 if tensor.role == "step_noise" else 0


def shape_text(tensor: Tensor) -> str:
    """``(M, 1, 16, 16)``, where M is the number of samples."""
    axes = [str(axis) for axis in tensor.shape]
    if (axis := row_axis(tensor)) is not None:
        axes[axis] = "M"
    return f"({', '.join(axes)}{',' if len(axes) == 1 else ''})"


def range_text(tensor: Tensor) -> str:
    """``0..10``, ``at least 0``, ``at most 10``, or an empty string where the values are unlimited."""
    low, high = tensor.minimum, tensor.maximum
    if low is not None and high is not None:
        return f"{low:g}..{high:g}"
    if low is not None:
        return f"at least {low:g}"
    return f"at most {high:g}" if high is not None else ""


def to_array(tensor: Tensor, value: object) -> Array:
    """``value`` with the dtype and the axes of ``tensor``; any number of rows.

    Args:
        value: a number, nested lists or an array. A condition may leave out its row axis. Whole numbers do
            for floats; for whole numbers, floats do not.

    Raises:
        InputError: another dtype or shape, no rows, NaN or infinity, or a value out of range.
    """
    try:
        raw = np.asarray(value)
    except Exception as error:  # ragged lists, foreign array types
        raise InputError(
            f"{tensor.name} is not an array ({one_line(error, 100)}); "
            f"give {tensor.dtype} of shape {shape_text(tensor)}"
        ) from error
    array = _cast(tensor, shaped(tensor, raw))
    _check_range(tensor, array)
    return array


def shaped(tensor: Tensor, array: Array) -> Array:
    """``array`` with the axes of ``tensor``, its row axis added where a condition leaves it out.

    Raises:
        InputError: another shape, or no rows.
    """
    rows = row_axis(tensor)
    if rows == 0 and tensor.role != "noise" and array.ndim == len(tensor.shape) - 1:
        array = array[None]
    fits = array.ndim == len(tensor.shape) and all(
        axis == rows or isinstance(wanted, str) or wanted == size
        for axis, (wanted, size) in enumerate(zip(tensor.shape, array.shape, strict=True))
    )
    if not fits:
        fix = "give a single number" if rows is None else "M is the number of samples"
        raise InputError(f"{tensor.name} has shape {array.shape}; allowed is {shape_text(tensor)}; {fix}")
    if array.size == 0:
        raise InputError(
            f"{tensor.name} is empty, shape {array.shape}; give at least one row of {shape_text(tensor)}"
        )
    return array


def _cast(tensor: Tensor, array: Array) -> Array:
    wanted = np.dtype(tensor.dtype)
    allowed, fix = _ALLOWED[wanted.kind]
    if array.dtype.kind not in allowed:
        given = {"U": "text", "S": "text"}.get(array.dtype.kind, array.dtype)
        raise InputError(f"{tensor.name}{_shown(array)} is {given}; allowed is {tensor.dtype}; {fix}")
    if wanted.kind == "i":
        limits = np.iinfo(wanted)
        low, high = int(array.min()), int(array.max())
        if low < limits.min or high > limits.max:
            worst = low if low < limits.min else high
            span = range_text(tensor) or f"{limits.min}..{limits.max}"
            raise InputError(f"{tensor.name}={worst} does not fit {tensor.dtype}; allowed {span}")
    with np.errstate(over="ignore"):
        cast = array.astype(wanted)
    if wanted.kind == "f" and not (finite := np.isfinite(cast)).all():
        raise InputError(
            f"{_first(tensor, array, ~finite)} is not finite in {tensor.dtype}; give finite numbers"
        )
    return cast


def _check_range(tensor: Tensor, array: Array) -> None:
    low, high = tensor.minimum, tensor.maximum
    bad = np.zeros(array.shape, dtype=bool)
    if low is not None:
        bad |= array < low
    if high is not None:
        bad |= array > high
    if bad.any():
        raise InputError(f"{_first(tensor, array, bad)} is out of range; allowed {range_text(tensor)}")


def _first(tensor: Tensor, array: Array, mask: Array) -> str:
    """``name=value at [3]`` for the first entry under the mask; no place for a number alone."""
    where = tuple(int(i) for i in np.unravel_index(int(np.argmax(mask)), mask.shape))
    place = f" at [{', '.join(map(str, where))}]" if array.size > 1 else ""
    return f"{tensor.name}={array[where]}{place}"


def _shown(array: Array) -> str:
    """``=3.0``, ``=[0.5, 1.0]``, or `` of shape (3, 4)``."""
    if array.size > 4:
        return f" of shape {array.shape}"
    return f"={one_line(repr(array.item() if array.size == 1 else array.tolist()), 40)}"

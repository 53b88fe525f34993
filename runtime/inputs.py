"""One input: what a caller gives becomes an array that the graph can take, or an error that says why not."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from samplegraph.runtime.errors import InputError, one_line
from samplegraph.runtime.manifest import Tensor

Array = npt.NDArray[Any]

_INTEGERS = ("int32", "int64")


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
    array = _cast(tensor, _shaped(tensor, raw))
    _check_values(tensor, array)
    return array


def _shaped(tensor: Tensor, array: Array) -> Array:
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
    given, wanted = array.dtype, np.dtype(tensor.dtype)
    if wanted.kind == "b":
        allowed, fix = "b", "give true or false"
    elif wanted.kind == "i":
        allowed, fix = "iu", "give whole numbers"
    else:
        allowed, fix = "iuf", "give numbers"
    if given.kind not in allowed:
        raise InputError(f"{tensor.name}{_shown(array)} is {given}; allowed is {tensor.dtype}; {fix}")
    if wanted.kind == "i":
        limits = np.iinfo(wanted)
        low, high = int(array.min()), int(array.max())
        if low < limits.min or high > limits.max:
            worst = low if low < limits.min else high
            allowed = range_text(tensor) or f"{limits.min}..{limits.max}"
            raise InputError(f"{tensor.name}={worst} does not fit {tensor.dtype}; allowed {allowed}")
    with np.errstate(over="ignore"):
        return array.astype(wanted)


def _check_values(tensor: Tensor, array: Array) -> None:
    if array.dtype.kind == "f" and not (finite := np.isfinite(array)).all():
        where = _first(~finite)
        raise InputError(
            f"{tensor.name}={array[where]}{_place(array, where)} is not finite in {tensor.dtype}; "
            "give finite numbers"
        )
    low, high = tensor.minimum, tensor.maximum
    bad = np.zeros(array.shape, dtype=bool)
    if low is not None:
        bad |= array < low
    if high is not None:
        bad |= array > high
    if bad.any():
        where = _first(bad)
        raise InputError(
            f"{tensor.name}={array[where]}{_place(array, where)} is out of range; "
            f"allowed {range_text(tensor)}"
        )


def _first(mask: Array) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(mask)), mask.shape))


def _place(array: Array, where: tuple[int, ...]) -> str:
    """`` at [3]``; nothing for a number alone."""
    return f" at [{', '.join(map(str, where))}]" if array.size > 1 else ""


def _shown(array: Array) -> str:
    return f"={one_line(array.tolist(), 40)}" if array.size <= 4 else f" of shape {array.shape}"

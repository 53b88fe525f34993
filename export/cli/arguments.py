"""Arguments of ``export`` that are more than a word or a number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from samplegraph.runtime import InputError

if TYPE_CHECKING:
    pass


def guidance_scale_of(text: str) -> float | str | tuple[float, ...] | None:
    if text == "input":
        return text
    if text.lower() == "none":
        return None
    try:
        scales = tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(
            f"guidance_scale={text!r} is not allowed; give a number, one per step such as 7.5,6,4, 'input' or 'none'"
        ) from error
    return scales if "," in text else scales[0]


def batch_of(text: str) -> int | str:
    if text == "dynamic":
        return text
    if not text.isdecimal() or int(text) < 1:
        raise InputError(f"batch={text!r} is not allowed; give a whole number of at least 1, or 'dynamic'")
    return int(text)


def shape_of(name: str, text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise InputError(f"{name}={text!r} is not a shape; give whole numbers such as 4,32,32")
    return [int(part) for part in parts]


def example_of(name: str, value: Any) -> Any:
    """An example condition: an array, or zeros of ``dtype:shape``."""
    import numpy as np

    if not isinstance(value, list | str) or not value or (isinstance(value, list) and not isinstance(value[0], str)):
        return value
    text = ",".join(str(part) for part in value) if isinstance(value, list) else value
    dtype, colon, shape = text.partition(":")
    if not colon or dtype not in ("float32", "float16", "int64", "int32", "bool"):
        raise InputError(
            f"condition {name}={text!r} is not dtype:shape; write for example {name}=float32:8,32"
        )
    axes = shape_of(name, shape) if shape else []
    try:
        return np.zeros((1, *axes), dtype=dtype)
    except (ValueError, MemoryError) as error:
        raise InputError(f"condition {name}={text} is too large ({error}); give the shape of one row") from error



"""Samples as one picture: a tidy grid, scaled up until small images can be looked at."""

from __future__ import annotations

from math import ceil, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from samplegraph.export.cli.errors import needs_extra
from samplegraph.runtime import InputError
from samplegraph.runtime.manifest import Tensor

#: Pixels per side that a sample is scaled up towards, and the limit for the whole picture.
TILE, LIMIT = 128, 2048
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_BACKGROUND = 255


def check_picture(sample_shape: tuple[int, ...]) -> None:
    """Refuse shapes that are no picture.

    Raises:
        InputError: not (1, 3 or 4, height, width).
    """
    if not is_picture(sample_shape):
        raise InputError(
            f"a sample of shape {sample_shape} is no picture, which is (1, 3 or 4 channels, height, width); "
            "give an --output that ends in .npy"
        )


def is_picture(sample_shape: tuple[int, ...]) -> bool:
    """Whether a sample of that shape can be drawn."""
    return len(sample_shape) == 3 and sample_shape[0] in _MODES


def columns_for(count: int) -> int:
    """Columns of a grid with few empty places, not much wider than high; up to 5 samples stand in a row."""
    if count <= 5:
        return count
    square = ceil(sqrt(count))
    return min(range(square, 2 * square + 1), key=lambda c: (ceil(count / c) * c - count, c))


def picture_range(tensor: Tensor) -> tuple[float, float]:
    """What is black and what is white in an output: its declared range, else -1 to 1, as samples have it."""
    low, high = tensor.minimum, tensor.maximum
    return (-1.0, 1.0) if low is None or high is None else (low, high)


def grid(samples: npt.NDArray[Any], values: tuple[float, float] = (-1.0, 1.0)) -> npt.NDArray[np.uint8]:
    """``(M, C, H, W)`` in the range ``values`` -> ``(height, width, C)`` of bytes; what is beyond is clipped.

    Raises:
        InputError: the samples are not pictures, or hold NaN.
    """
    check_picture(samples.shape[1:])
    if not np.isfinite(samples).all():
        raise InputError("the samples hold NaN or infinity and cannot be drawn; write .npy to look at them")
    count, channels, height, width = samples.shape
    columns = columns_for(count)
    rows = ceil(count / columns)
    scale = max(1, min(TILE // max(height, width), LIMIT // (max(columns, rows) * max(height, width))))
    gap = max(2, scale * max(height, width) // 16) if count > 1 else 0
    tile = (scale * height + gap, scale * width + gap)
    canvas = np.full((rows * tile[0] + gap, columns * tile[1] + gap, channels), _BACKGROUND, np.uint8)
    low, high = values
    unit = (np.clip(samples.astype(np.float64), low, high) - low) / (high - low)
    pixels = np.rint(unit * 255).astype(np.uint8).transpose(0, 2, 3, 1)
    for i, image in enumerate(pixels.repeat(scale, axis=1).repeat(scale, axis=2)):
        top, left = (i // columns) * tile[0] + gap, (i % columns) * tile[1] + gap
        canvas[top : top + scale * height, left : left + scale * width] = image
    return canvas


def write_png(samples: npt.NDArray[Any], file: Path, values: tuple[float, float] = (-1.0, 1.0)) -> None:
    """Draw ``samples`` (M, C, H, W) in the range ``values`` into ``file``, whatever its suffix.

    Raises:
        InputError: see ``grid``; or pillow is missing.
    """
    pixels = grid(samples, values)
    with needs_extra("cli", "writing a picture"):
        from PIL import Image
    mode = _MODES[pixels.shape[2]]
    image = Image.fromarray(pixels[:, :, 0] if mode == "L" else pixels)
    image.save(file, format="PNG", optimize=True)

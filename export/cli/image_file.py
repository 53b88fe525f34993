"""A picture file as a value of an input: a sample to start from, or a mask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from samplegraph.export.cli.errors import needs_extra
from samplegraph.runtime import InputError


def load_picture(path: Path, name: str) -> npt.NDArray[Any]:
    """The pixels of a .png (1 or 3, height, width): a ``mask`` in [0, 1], others in [-1, 1]; alpha is dropped.

    Raises:
        InputError: no such file, no picture, or pillow is missing.
    """
    with needs_extra("cli", "reading a picture"):
        from PIL import Image
    try:
        with Image.open(path) as file:
            grey = name == "mask" or file.mode in ("1", "L", "LA", "I", "I;16")
            pixels = np.asarray(file.convert("L" if grey else "RGB"))
    except OSError as error:
        reason = error.strerror or "it is not a picture"
        raise InputError(f"{name}=@{path}: cannot be read ({reason}); give a .png or .npy file") from error
    except (ValueError, SyntaxError, Image.DecompressionBombError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{name}=@{path}: not a usable picture ({reason}); give another .png") from error
    unit = pixels.astype(np.float32) / 255
    unit = unit[None] if grey else unit.transpose(2, 0, 1)
    return unit if name == "mask" else 2 * unit - 1

"""The file of constants beside a graph of the repeated layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from samplegraph.runtime.errors import InputError
from samplegraph.runtime.inputs import Array
from samplegraph.runtime.manifest_layouts import Recurrence


def read_constants(path: Path, known: Recurrence) -> Array | None:
    """The constants of the graph at ``path``, (rows, width) float32; None where it reads none.

    Raises:
        InputError: the file is missing, or not of the size that the manifest says.
    """
    told = known.constants
    if told is None:
        return None
    file = path.parent / told.file
    try:
        data = file.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path}: its constants file {told.file!r} cannot be read ({error.strerror}); put it beside the graph"
        ) from error
    if len(data) != told.rows * told.width * 4:
        raise InputError(f"{file}: has {len(data)} bytes, not {told.rows * told.width * 4}; export the graph again")
    return np.frombuffer(data, dtype="<f4").astype(np.float32, copy=False).reshape(told.rows, told.width)

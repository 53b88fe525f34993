"""The file of constants beside a graph of the repeated layout, named by its digest as weights are."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy.typing as npt

from samplegraph.runtime.manifest import Constants

Array = npt.NDArray[Any]


def describe_constants(rows: Array) -> Constants:
    """What the manifest says of ``rows``, (evaluations, width) float32."""
    return Constants(f"constants-{hashlib.sha256(_raw(rows)).hexdigest()[:12]}.bin", *map(int, rows.shape))


def write_constants(rows: Array, path: Path) -> None:
    """Little-endian float32, row by row."""
    path.write_bytes(_raw(rows))


def _raw(rows: Array) -> bytes:
    data: bytes = rows.astype("<f4").tobytes()
    return data

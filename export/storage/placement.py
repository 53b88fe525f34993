"""Finds a place for each external weight: the bytes of a checkpoint in the output folder, else a file of our own.

A graph refers to a checkpoint's bytes where they are; nothing is copied, and two graphs share what they refer to. The
transposed weight of a linear layer is the checkpoint's tensor behind one ``Transpose``, which all its sites read.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import onnx_ir as ir

from samplegraph.export.storage.checkpoints import StoredTensor, stored_tensors
from samplegraph.export.storage.raw import Bytes, Digests, parallel, raw, view_of
from samplegraph.export.storage.weights import SMALL, digest, file_name, tensor_of
from samplegraph.runtime.manifest import Weights

_ALIGNMENT = 4096
_CHUNK = 1 << 22


@dataclass(frozen=True)
class Place:
    """Where the bytes of a weight are: in ``file``, relative to the graph; ``transposed`` if they are its transpose."""

    file: str
    offset: int
    length: int
    transposed: bool = False


@dataclass(frozen=True)
class Placement:
    """``places`` by name of weight; those without one are embedded. ``own`` names the file that holds ``copied``."""

    places: dict[str, Place] = field(default_factory=dict)
    copied: tuple[ir.Value, ...] = ()
    own: str | None = None

    def recorded(self, weights: Weights) -> Weights:
        """``weights`` with the files that hold them: our own first, then checkpoints."""
        files = sorted({place.file for place in self.places.values()}, key=lambda name: (name != self.own, name))
        return replace(weights, file=files[0] if files else None, files=tuple(files))

    def write(self, path: Path) -> None:
        """Write our own file."""
        with path.open("wb") as stream:
            for value in self.copied:
                assert value.name is not None
                stream.seek(self.places[value.name].offset)
                stream.write(raw(tensor_of(value)).data)

    def is_written(self, folder: Path) -> bool:
        """Whether our own file is in ``folder`` already, byte by byte."""
        if self.own is None:
            return True
        path, places = folder / self.own, self.places
        end = max(places[value.name].offset + places[value.name].length for value in self.copied if value.name)
        try:
            return path.stat().st_size == end and all(
                parallel(lambda v: _holds(path, places[str(v.name)].offset, raw(tensor_of(v))), self.copied)
            )
        except OSError:
            return False


def place(weights: Sequence[ir.Value], folder: Path, digests: Digests, *, search: bool) -> Placement:
    """A place for each of ``weights`` that is not small.

    Args:
        folder: where the graph will be.
        search: whether checkpoints in or below ``folder`` may be referred to.

    Raises:
        ExportError: a checkpoint there is damaged.
    """
    large = [value for value in weights if tensor_of(value).nbytes >= SMALL]
    found = _Checkpoints(stored_tensors(folder) if search and folder.is_dir() else [], folder).find(large)
    places = {str(value.name): each for value, each in zip(large, found, strict=True) if each is not None}
    copied = tuple(value for value, each in zip(large, found, strict=True) if each is None)
    if not copied:
        return Placement(places)
    own = file_name(digest(copied if places else weights, digests)[0])
    position = 0
    for value in copied:
        position = -(-position // _ALIGNMENT) * _ALIGNMENT  # for memory mapping
        length = tensor_of(value).nbytes
        places[str(value.name)] = Place(own, position, length)
        position += length
    return Placement(places, copied, own)


class _Checkpoints:
    """Tensors on the disk by dtype and length: a weight may have been reshaped."""

    def __init__(self, tensors: Sequence[StoredTensor], folder: Path) -> None:
        self._folder = folder
        self._by_length: dict[tuple[ir.DataType, int], list[StoredTensor]] = defaultdict(list)
        for tensor in tensors:
            self._by_length[tensor.dtype, tensor.length].append(tensor)

    def find(self, weights: Sequence[ir.Value]) -> list[Place | None]:
        """For each weight the first place that holds its bytes."""
        return parallel(self._find, weights) if self._by_length else [None] * len(weights)

    def _find(self, weight: ir.Value) -> Place | None:
        tensor = tensor_of(weight)
        for transposed in (False, True):
            memory = view_of(tensor, transposed=transposed)
            if memory is not None:
                length, start = _whole(tensor.numpy())
                for stored in self._by_length.get((tensor.dtype, length), ()):
                    if _holds(stored.path, stored.offset + start, memory):
                        file = stored.path.relative_to(self._folder).as_posix()
                        return Place(file, stored.offset + start, len(memory), transposed)
        return None


def _whole(array: np.ndarray) -> tuple[int, int]:
    """The bytes of the contiguous array that ``array`` is a part of, and where in them the part starts."""
    base = array.base
    if not isinstance(base, np.ndarray) or not base.flags.c_contiguous:
        return array.nbytes, 0
    return base.nbytes, array.ctypes.data - base.ctypes.data


def _holds(path: Path, offset: int, expected: Bytes) -> bool:
    """Whether the file has these bytes there; read in pieces, so that a difference is found early."""
    file = os.open(path, os.O_RDONLY)
    try:
        buffer = np.empty(min(_CHUNK, len(expected)), dtype=np.uint8)
        done, size = 0, 4096
        while done < len(expected):
            part = expected[done : done + size]
            if os.preadv(file, [buffer[: len(part)].data], offset + done) != len(part):
                return False
            if not np.array_equal(buffer[: len(part)], part):
                return False
            done, size = done + len(part), _CHUNK
        return True
    finally:
        os.close(file)

"""Reads the metadata out of an ONNX file without an ONNX library: a scan over the outermost fields."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from samplegraph.runtime.errors import InputError

_METADATA_PROPS = 14  # ModelProto.metadata_props, onnx.proto
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def read_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """``metadata_props`` of the ONNX file at ``path``.

    Raises:
        InputError: the file is missing, truncated or not ONNX.
    """
    file = Path(path)
    try:
        with file.open("rb") as stream:
            return _metadata(stream, file.stat().st_size)
    except FileNotFoundError as error:
        raise InputError(f"{file}: no such file; give a file that `samplegraph export` wrote") from error
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror}); give a readable .onnx file") from error
    except (ValueError, EOFError) as error:
        raise InputError(f"{file}: truncated or not an ONNX file ({error}); export it again") from error


def _metadata(stream: BinaryIO, size: int) -> dict[str, str]:
    """``metadata_props`` of a ModelProto; the graph itself is skipped over, not read."""
    found: dict[str, str] = {}
    while (position := stream.tell()) < size:
        tag = _varint(stream)
        number, wire = tag >> 3, tag & 7
        if number == 0 or number > 64:
            raise ValueError(f"field {number} at byte {position}")
        if wire == _BYTES:
            length = _varint(stream)
            if stream.tell() + length > size:
                beyond = stream.tell() + length - size
                raise EOFError(f"a field at byte {position} ends {beyond} bytes past the end")
            if number == _METADATA_PROPS:
                key, value = _entry(stream.read(length))
                found[key] = value
            else:
                stream.seek(length, os.SEEK_CUR)
        elif wire == _VARINT:
            _varint(stream)
        elif wire in (_FIXED64, _FIXED32):
            stream.seek(8 if wire == _FIXED64 else 4, os.SEEK_CUR)
        else:
            raise ValueError(f"wire type {wire} at byte {position}")
    if not size:
        raise EOFError("it is empty")
    return found


def _entry(data: bytes) -> tuple[str, str]:
    """A StringStringEntryProto: key = 1, value = 2."""
    parts = {1: "", 2: ""}
    position = 0
    while position < len(data):
        tag, position = _varint_at(data, position)
        length, position = _varint_at(data, position)
        if tag & 7 != _BYTES or position + length > len(data):
            raise ValueError("a damaged metadata entry")
        parts[tag >> 3] = data[position : position + length].decode()
        position += length
    return parts[1], parts[2]


def _varint(stream: BinaryIO) -> int:
    value = shift = 0
    while True:
        byte = stream.read(1)
        if not byte:
            raise EOFError("it ends inside a number")
        value |= (byte[0] & 0x7F) << shift
        if not byte[0] & 0x80:
            return value
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than 64 bits")


def _varint_at(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(data) and shift <= 63:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, position
        shift += 7
    raise ValueError("a damaged number")

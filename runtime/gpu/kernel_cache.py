"""Kernels that TensorRT-RTX compiled for an engine on this machine, for the next start."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from samplegraph.runtime.errors import InputError
from samplegraph.runtime.kept_files import KeptFiles, cache_folder
from samplegraph.runtime.notes import Notes

SUFFIX = ".kernels"


def kernel_folder(wanted: bool | str | os.PathLike[str]) -> Path | None:
    """Where kernels are kept; None for nowhere.

    Raises:
        InputError: a file stands there.
    """
    if isinstance(wanted, bool):
        return cache_folder() if wanted else None
    folder = Path(wanted)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"kernel_cache={os.fspath(wanted)!r} is a file; give a folder, or False to keep no kernels")
    return folder


class KernelCache:
    """TensorRT-RTX's runtime cache, which lives as long as the engine, and the file that it is kept in.

    TensorRT-RTX compares it with the GPU, the driver and its own version, and refuses what does not fit.

    Args:
        config: a runtime configuration of the engine.
        kept: where kernels are kept.
        key: names the engine.
        notes: are told where what was kept does not fit.
    """

    def __init__(self, config: Any, kept: KeptFiles, key: str, notes: Notes) -> None:
        self.native = config.create_runtime_cache()
        self._kept, self._key, self._last = kept, key, b""
        known = kept.read(key)
        if known is None or self.native is None:
            return
        if self.native.deserialize(known):
            self._last = _digest(known)
        else:
            notes.add(f"{kept.path(key)}: is of another GPU, driver or version, so its kernels are compiled again")

    def keep(self) -> None:
        """Write what is known now, where that has changed."""
        made = self.native.serialize() if self.native is not None else None
        if made is None:
            return
        data = bytes(memoryview(made))
        if data and _digest(data) != self._last:
            self._kept.write(self._key, data)
            self._last = _digest(data)


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()

"""Captured graphs on the disk, without weights, for the next command over the same network.

An entry is named by the digest of all that it follows from (``fingerprint``) and begins with the digest of its own
bytes. One that cannot be read, or was damaged, is one that is not there.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir
import torch

from samplegraph.export.atomic import replacing
from samplegraph.export.denoiser.fingerprint import fingerprint, tensors_of
from samplegraph.export.denoiser.weightless import from_bytes, to_bytes
from samplegraph.export.errors import ExportError
from samplegraph.export.storage.raw import Digests

#: Names another folder; empty for none.
VARIABLE = "SAMPLEGRAPH_CACHE"
SUFFIX = ".capture"
#: Bytes of all entries; the longest unused go first.
LIMIT = 256 << 20


def user_cache() -> CaptureCache | None:
    """The user's: in ``SAMPLEGRAPH_CACHE``, or the platform's folder for such; None where that variable is empty."""
    named = os.environ.get(VARIABLE)
    if named is not None:
        return CaptureCache(Path(named)) if named else None
    try:
        home = Path.home()
    except RuntimeError:
        return None
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return CaptureCache(base / "samplegraph")


@dataclass(frozen=True)
class CaptureCache:
    """A folder of captured graphs, at most ``limit`` bytes of them."""

    folder: Path
    limit: int = LIMIT

    def get(
        self,
        program: torch.export.ExportedProgram,
        names: Sequence[str],
        digests: Digests,
        make: Callable[[], ir.Model],
    ) -> ir.Model:
        """The kept graph of ``program``, whose inputs are called ``names``; else ``make()``, which is then kept."""
        key = fingerprint(program, names, digests)
        if key is None:
            return make()
        kept, tensors = self._read(key), tensors_of(program)
        if kept is not None:
            with suppress(ValueError, KeyError):
                return from_bytes(kept, tensors)
        model = make()
        data = to_bytes(model, tensors)
        if data is not None:
            self._write(key, data)
        return model

    def _read(self, key: str) -> bytes | None:
        path = self.folder / f"{key}{SUFFIX}"
        try:
            data = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        digest, kept = data[:32], data[32:]
        return kept if hashlib.sha256(kept).digest() == digest else None

    def _write(self, key: str, data: bytes) -> None:
        """Keep ``data``, if the folder can be written to."""
        with suppress(ExportError, OSError):
            with replacing(self.folder / f"{key}{SUFFIX}") as temporary:
                temporary.write_bytes(hashlib.sha256(data).digest() + data)
            self._trim()

    def _trim(self) -> None:
        entries = [(path.stat(), path) for path in self.folder.glob(f"*{SUFFIX}")]
        size = 0
        for about, path in sorted(entries, key=lambda entry: entry[0].st_mtime, reverse=True):
            size += about.st_size
            if size > self.limit:
                path.unlink()

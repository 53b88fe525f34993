"""Captured graphs on the disk, without weights, for the next command over the same network.

An entry is named by the digest of all that it follows from (``fingerprint``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir
import torch

from samplegraph.export.denoiser.fingerprint import fingerprint, tensors_of
from samplegraph.export.denoiser.weightless import from_bytes, to_bytes
from samplegraph.export.storage.raw import Digests
from samplegraph.runtime.kept_files import LIMIT, KeptFiles, cache_folder

SUFFIX = ".capture"


def user_cache() -> CaptureCache | None:
    """The user's; None where there is no folder for it."""
    folder = cache_folder()
    return None if folder is None else CaptureCache(folder)


@dataclass(frozen=True)
class CaptureCache:
    """A folder of captured graphs, at most ``limit`` bytes of them."""

    folder: Path
    limit: int = LIMIT

    @property
    def files(self) -> KeptFiles:
        """The entries."""
        return KeptFiles(self.folder, SUFFIX, self.limit)

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
        kept, tensors = self.files.read(key), tensors_of(program)
        if kept is not None:
            with suppress(ValueError, KeyError):
                return from_bytes(kept, tensors)
        model = make()
        data = to_bytes(model, tensors)
        if data is not None:
            self.files.write(key, data)
        return model

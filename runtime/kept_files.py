"""Files in the user's cache folder: what takes long to make again, and can be made again where it is gone.

A file begins with the SHA-256 of the rest, in hexadecimal digits. One that cannot be read, or was damaged, is one that
is not there.
"""

from __future__ import annotations

import hashlib
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

#: Names another folder; empty for none.
VARIABLE = "SAMPLEGRAPH_CACHE"
#: Bytes of all files of one kind; the longest unused go first.
LIMIT = 256 << 20


def cache_folder() -> Path | None:
    """The user's: ``SAMPLEGRAPH_CACHE``, or the platform's folder for such; None where that variable is empty."""
    named = os.environ.get(VARIABLE)
    if named is not None:
        return Path(named) if named else None
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
    return base / "samplegraph"


@dataclass(frozen=True)
class KeptFiles:
    """The files of one kind, which is their suffix, in a folder; at most ``limit`` bytes of them."""

    folder: Path
    suffix: str
    limit: int = LIMIT

    def path(self, key: str) -> Path:
        """Where ``key`` is kept."""
        return self.folder / f"{key}{self.suffix}"

    def read(self, key: str) -> bytes | None:
        """What was kept; None where it is gone or damaged."""
        path = self.path(key)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        with suppress(OSError):  # a folder that may be read alone
            os.utime(path)
        digest, kept = data[:64], data[64:]
        return kept if hashlib.sha256(kept).hexdigest().encode() == digest else None

    def write(self, key: str, data: bytes) -> None:
        """Keep ``data``, if the folder can be written to; a reader finds all of it, or what was there before."""
        path = self.path(key)
        temporary = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(hashlib.sha256(data).hexdigest().encode() + data)
            temporary.replace(path)
            self._trim()
        except OSError:
            with suppress(OSError):
                temporary.unlink()

    def _trim(self) -> None:
        entries = [(path.stat(), path) for path in self.folder.glob(f"*{self.suffix}")]
        size = 0
        for about, path in sorted(entries, key=lambda entry: entry[0].st_mtime, reverse=True):
            size += about.st_size
            if size > self.limit:
                path.unlink()

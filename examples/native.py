"""Builds the C++ programs of the examples against an installed samplegraph, as any other project would be."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build" / "examples"


def program(source: Path, name: str, runtime: Path | None = None) -> Path:
    """The program ``name`` of the CMake project in ``source``, built.

    Args:
        runtime: a build folder of runtime/cpp; built there (``make cpp``) where it is None.

    Raises:
        SystemExit: something does not build; the message has the compiler's last words.
    """
    if runtime is None:
        runtime = Path(_run(sys.executable, ROOT / "runtime" / "cpp" / "build.py", "release").split()[-1])
    cache = (runtime / "CMakeCache.txt").read_text(encoding="utf-8")
    found = re.search(r"^CMAKE_COMMAND:INTERNAL=(.*)$", cache, re.MULTILINE)
    assert found is not None
    prefix, folder = BUILD / f"samplegraph-{runtime.name}", BUILD / f"{name}-{runtime.name}"
    _run(found[1], "--install", runtime, "--prefix", prefix)
    _run(found[1], "-S", source, "-B", folder, f"-DCMAKE_PREFIX_PATH={prefix}")
    _run(found[1], "--build", folder)
    return folder / name


def environment() -> dict[str, str]:
    """The environment in which a program finds the ONNX Runtime of this Python, unless another one is set."""
    import onnxruntime

    capi = Path(onnxruntime.__file__).parent / "capi"
    return {"SAMPLEGRAPH_ONNXRUNTIME": str(capi), **os.environ}


def call(binary: Path, *arguments: object, stdin: bytes | None = None) -> tuple[bytes, str]:
    """What the program writes to stdout, and to stderr.

    Raises:
        SystemExit: it failed; the message is what it said.
    """
    command = [str(binary), *map(str, arguments)]
    done = subprocess.run(command, input=stdin, capture_output=True, env=environment(), check=False)
    if done.returncode:
        raise SystemExit(done.stderr.decode().strip() or f"{binary.name} ended with {done.returncode}")
    return done.stdout, done.stderr.decode()


def _run(*command: object) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout

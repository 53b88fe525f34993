"""What is said about an ONNX Runtime library that cannot be used."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Toy = Callable[..., Path]
Run = Callable[..., "subprocess.CompletedProcess[str]"]

#: A library with OrtGetApiBase, of a version that has no interface of ours.
OLD = """
#include <stdint.h>
static const void* get_api(uint32_t version) { (void)version; return 0; }
static const char* get_version(void) { return "1.9.1"; }
struct base { const void* (*get_api)(uint32_t); const char* (*get_version)(void); };
const struct base* OrtGetApiBase(void) {
  static const struct base base = {get_api, get_version};
  return &base;
}
"""


def refused(run_cli: Run, graph: Path, library: Path) -> str:
    """The error line."""
    done = run_cli(graph, "--set", "class_labels=1", "--onnxruntime", library)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_too_old(toy: Toy, run_cli: Run, tmp_path: Path) -> None:
    library = tmp_path / "libonnxruntime.so.1.9.1"
    command = ["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", str(library)]
    subprocess.run(command, input=OLD, text=True, check=True)
    text = refused(run_cli, toy(), tmp_path)
    assert f"{library}: ONNX Runtime 1.9.1 is too old; install 1.17 or newer" in text


@pytest.mark.parametrize("size", [3, 40, 1000, 100_000, -1])
def test_cut_off(toy: Toy, run_cli: Run, onnxruntime: Path, tmp_path: Path, size: int) -> None:
    whole = next(onnxruntime.glob("libonnxruntime.so*")).read_bytes()
    size = size if size > 0 else len(whole) // 2
    library = tmp_path / "libonnxruntime.so"
    library.write_bytes(whole[:size])
    text = refused(run_cli, toy(), library)
    assert ("not a shared library" if size < 4 else f"{library}: cut off after {size} bytes; set --onnxruntime") in text


def test_another_processors(toy: Toy, run_cli: Run, onnxruntime: Path, tmp_path: Path) -> None:
    data = bytearray(next(onnxruntime.glob("libonnxruntime.so*")).read_bytes())
    data[18:20] = (8).to_bytes(2, "little")  # MIPS
    library = tmp_path / "libonnxruntime.so"
    library.write_bytes(data)
    assert str(library) in refused(run_cli, toy(), library)

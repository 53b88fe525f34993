"""The runtime needs numpy and ONNX Runtime and nothing else."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

BLOCKER = """
import importlib.abc, sys

FORBIDDEN = (
    "torch", "onnx", "onnx_ir", "onnxscript", "scipy", "safetensors", "diffusers", "typer", "rich", "PIL",
    "samplegraph.schedulers", "samplegraph.models", "samplegraph.export",
)

class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if any(name == each or name.startswith(each + ".") for each in FORBIDDEN):
            raise AssertionError(f"imports {name}")

sys.meta_path.insert(0, Blocker())
"""


def python(code: str) -> str:
    """What ``code`` prints in a process of its own."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_runtime_imports_nothing_else() -> None:
    listed = python("import sys, samplegraph.runtime; print(*sys.modules)").split()
    heavy = {"torch", "onnx", "onnxruntime", "scipy", "typer", "cuda", "tensorrt", "tensorrt_rtx"}
    assert not heavy & set(listed)
    ours = {name for name in listed if name.startswith("samplegraph.")}
    assert all(name.startswith("samplegraph.runtime") for name in ours)


def test_a_graph_runs_where_the_rest_cannot_be_imported(toy: Callable[..., Path]) -> None:
    path = toy(slices=1)
    code = f"""{BLOCKER}
from samplegraph.runtime import Engine
for rng in ("torch", "philox"):
    print(Engine({str(path)!r})(seed=[0, 1], class_labels=[3, 4], rng=rng).shape)
"""
    assert python(code).split("\n")[:2] == ["(2, 1, 4, 4)"] * 2


def test_the_blocker_blocks() -> None:
    code = f"""{BLOCKER}
try:
    import samplegraph.schedulers
except AssertionError as error:
    print(error)
"""
    assert python(code).strip() == "imports samplegraph.schedulers"

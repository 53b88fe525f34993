"""Builds the C++ runtime (once; later runs find it up to date) and loads it."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def _module(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


binding = _module("binding", Path(__file__).with_name("binding.py"))
_module("both", Path(__file__).with_name("both.py"))
cpp_build = _module("cpp_build", Path(__file__).with_name("cpp_build.py"))
_module("graphs", Path(__file__).with_name("graphs.py"))
_module("overhead", Path(__file__).with_name("overhead.py"))


@pytest.fixture(scope="session")
def built() -> Path:
    """The build folder of the preset ``test``."""
    folder: Path = cpp_build.built_or_skipped()
    return folder


@pytest.fixture(scope="session")
def library(built: Path) -> ctypes.CDLL:
    """The shared library."""
    loaded: ctypes.CDLL = binding.load(built / "libsamplegraph.so")
    return loaded


@pytest.fixture(scope="session")
def onnxruntime() -> Path:
    """The folder of ONNX Runtime's C library in this Python environment."""
    folder: Path = binding.onnxruntime_folder()
    return folder


@pytest.fixture
def run_cli(built: Path, onnxruntime: Path) -> Run:
    """``run_cli(*arguments)`` -> the finished ``samplegraph-run``."""

    def run(*arguments: object, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        command: Sequence[str] = [str(built / "cli" / "samplegraph-run"), *map(str, arguments)]
        env = {**os.environ, "SAMPLEGRAPH_ONNXRUNTIME": str(onnxruntime), **environment}
        return subprocess.run(command, capture_output=True, text=True, env=env, cwd=cwd, check=False, timeout=120)

    return run

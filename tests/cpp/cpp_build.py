"""``build``: runtime/cpp/build.py as a module (PyPI has another of that name)."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).resolve().parents[2]
_spec = importlib.util.spec_from_file_location("samplegraph_cpp_build", ROOT / "runtime" / "cpp" / "build.py")
assert _spec is not None
assert _spec.loader is not None
build = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = build
_spec.loader.exec_module(build)


def built_or_skipped() -> Path:
    """The build folder of the preset ``test``, up to date; skips the test where it cannot be built."""
    if shutil.which("c++") is None and "CXX" not in os.environ:
        _without("no C++ compiler")
    try:
        folder: Path = build.build("test")
    except build.Unavailable as error:
        _without(str(error))
    return folder


def _without(reason: str) -> NoReturn:
    """Skip, or fail where ``SAMPLEGRAPH_REQUIRE_CPP`` is set."""
    if os.environ.get("SAMPLEGRAPH_REQUIRE_CPP"):
        pytest.fail(reason)
    pytest.skip(reason)

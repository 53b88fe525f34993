"""The examples' C++ programs, built once against an installed copy of the runtime that tests/cpp builds."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from cpp.cpp_build import built_or_skipped

from examples import native


@pytest.fixture(scope="session")
def program() -> Callable[[str, str], Path]:
    """``program(example, name)`` -> the built program; skipped where the C++ runtime cannot be built."""
    runtime = built_or_skipped()
    return cache(lambda example, name: native.program(native.ROOT / "examples" / example / "cpp", name, runtime))

"""The unit tests in C++, each program as one test."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from graphs import write

SOURCES = Path(__file__).parents[2] / "runtime" / "cpp" / "tests"
NAMES = sorted(path.stem for path in SOURCES.glob("test_*.cpp"))


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("graphs")
    write(folder)
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_program(built: Path, graphs: Path, onnxruntime: Path, tmp_path: Path, name: str) -> None:
    env = {
        **os.environ,
        "SAMPLEGRAPH_TEST_GRAPHS": str(graphs),
        "SAMPLEGRAPH_ONNXRUNTIME": str(onnxruntime),
        "TEST_TMPDIR": f"{tmp_path}/",
    }
    done = subprocess.run([built / "tests" / name], capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert "SKIPPED" not in done.stdout

"""The same sources with the oldest library, and on another processor. Slow: they fetch a library or a compiler."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from graphs import write

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def oldest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ONNX Runtime 1.17.0, from npm."""
    if shutil.which("npm") is None:
        pytest.skip("no npm")
    folder = tmp_path_factory.mktemp("oldest")
    npm = ["npm", "pack", "--silent", "onnxruntime-node@1.17.0"]
    done = subprocess.run(npm, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"npm cannot fetch it: {done.stderr[-200:]}")
    machine = {"x86_64": "x64", "aarch64": "arm64"}[os.uname().machine]
    with tarfile.open(next(folder.glob("*.tgz"))) as archive:
        for member in archive.getmembers():
            if f"linux/{machine}/libonnxruntime" in member.name:
                member.name = Path(member.name).name
                archive.extract(member, folder, filter="data")
    return folder


def test_the_oldest_library(built: Path, oldest: Path, tmp_path: Path) -> None:
    write(tmp_path)
    env = {**os.environ, "SAMPLEGRAPH_TEST_GRAPHS": str(tmp_path), "SAMPLEGRAPH_ONNXRUNTIME": str(oldest)}
    program = built / "tests" / "test_onnxruntime"
    done = subprocess.run([program], capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stdout[-5000:]
    assert "SKIPPED" not in done.stdout


def test_64_bit_arm() -> None:
    cross = Path(__file__).with_name("cross.py")
    done = subprocess.run([sys.executable, cross], capture_output=True, text=True, check=False)
    if "no cross compiler" in done.stderr or "no such headers" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stdout + done.stderr
    assert "built for 64-bit ARM" in done.stdout

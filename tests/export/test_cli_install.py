"""``run`` and ``inspect`` in a fresh environment that has the extras ``cli`` and ``cpu`` and nothing else."""

from __future__ import annotations

import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def call(*command: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=600)
    assert done.returncode == code, done.stdout + done.stderr
    return done


@pytest.mark.slow
def test_a_fresh_environment(toy: Callable[..., Path], tmp_path: Path) -> None:
    call(sys.executable, "-m", "build", "--no-isolation", "--outdir", tmp_path / "dist", ROOT)
    wheel = next((tmp_path / "dist").glob("*.whl"))
    home = tmp_path / "venv"
    venv.create(home, with_pip=True)
    call(home / "bin" / "pip", "install", "-q", f"{wheel}[cli,cpu]")
    installed = call(home / "bin" / "pip", "list", "--format=freeze").stdout
    for absent in ("torch", "onnx", "onnx-ir", "onnxscript", "scipy", "matplotlib"):
        assert f"\n{absent}==" not in f"\n{installed}"

    samplegraph, path, picture = home / "bin" / "samplegraph", toy(slices=1), tmp_path / "x.png"
    call(samplegraph, "run", path, "--set", "class_labels=0,1,2", "--output", picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "3 steps, NFE 3" in call(samplegraph, "inspect", path).stdout
    for command, needed in (
        (["inspect", path, "--plot", tmp_path / "x.svg"], "matplotlib"),
        (["list"], "torch"),
    ):
        error = call(samplegraph, *command, code=2).stderr
        assert error.count("\n") == 1
        assert f"needs {needed}" in error or "needs scipy" in error
        assert 'pip install "samplegraph[export]"' in error
    assert not (tmp_path / "new").exists()

"""The repository itself: what is tracked, and that the commands it offers are there."""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIMIT = 5_000_000
GENERATED = re.compile(
    r"(^|/)(__pycache__|build|dist|\.venv[^/]*|[^/]*\.egg-info|\.(mypy|ruff|pytest)_cache|\.hypothesis)/"
    r"|\.(pyc|pyo|o|a|so|whl|log|tmp|partial|engine)$"
)


@pytest.fixture(scope="module")
def tracked() -> list[str]:
    """What git tracks."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in done.stdout.split("\0") if name]


def test_nothing_large_is_tracked(tracked: list[str]) -> None:
    assert [name for name in tracked if (ROOT / name).exists() and (ROOT / name).stat().st_size > LIMIT] == []


def test_nothing_generated_is_tracked(tracked: list[str]) -> None:
    assert [name for name in tracked if GENERATED.search(name)] == []


@pytest.mark.parametrize("name", ["build/x.onnx", "a/__pycache__/x.pyc", "x.egg-info/PKG-INFO", ".venv/bin/python"])
def test_generated_names_are_known(name: str) -> None:
    assert GENERATED.search(name)


def test_every_scheduler_is_a_file_of_its_name() -> None:
    from samplegraph.schedulers import names

    assert [name for name in names() if not (ROOT / "schedulers" / f"{name}.py").is_file()] == []


def test_schedulers_are_short() -> None:
    """All lines count, those of docstrings and imports too."""
    from samplegraph.schedulers import names

    lines = [(ROOT / "schedulers" / f"{name}.py").read_text(encoding="utf-8").count("\n") for name in names()]
    assert max(lines) <= 150
    assert statistics.median(lines) <= 70


def targets() -> set[str]:
    """The targets of the Makefile."""
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def test_every_target_is_phony_and_has_help() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    assert phony is not None
    assert set(phony[1].split()) == targets()
    assert set(re.findall(r"^([a-z-]+):.*## ", text, re.MULTILINE)) == targets()
    assert {"demo", "test", "test-all", "lint", "bench", "wheel", "cpp", "clean"} <= targets()


def test_continuous_integration_calls_the_targets() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", script], check=True)
    assert set(re.findall(r"^make ([a-z-]+)$", script.read_text(encoding="utf-8"), re.MULTILINE)) == {"demo", "test"}

"""The installed package: size, symbols, and projects that use it through CMake, pkg-config and ctypes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from samplegraph.export import compile
from samplegraph.models import Sampler
from samplegraph.models.load import load_model
from samplegraph.runtime import Engine
from samplegraph.schedulers import create

ROOT = Path(__file__).parents[2]
CPP = ROOT / "runtime" / "cpp"


def run(*command: object, **environment: str) -> str:
    """The output of a program that has to succeed."""
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def cmake(built: Path) -> str:
    """The CMake that configured the build."""
    cache = (built / "CMakeCache.txt").read_text(encoding="utf-8")
    found = re.search(r"^CMAKE_COMMAND:INTERNAL=(.*)$", cache, re.MULTILINE)
    assert found is not None
    return found[1]


@pytest.fixture(scope="module")
def installed(built: Path, cmake: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The prefix it is installed to, stripped."""
    prefix = tmp_path_factory.mktemp("installed")
    run(cmake, "--install", built, "--prefix", prefix, "--strip")
    return prefix


@pytest.fixture(scope="module")
def shared(installed: Path) -> Path:
    return next(installed.rglob("libsamplegraph.so"))


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("graph") / "digits.onnx"
    compile(Sampler(load_model("digits"), create("ddim", 8), "input")).save(path)
    return path


@pytest.fixture(scope="module")
def consumer(installed: Path, cmake: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """examples/consumer, built against the installed package."""
    folder = tmp_path_factory.mktemp("consumer")
    run(cmake, "-S", CPP / "examples" / "consumer", "-B", folder, f"-DCMAKE_PREFIX_PATH={installed}")
    run(cmake, "--build", folder)
    return folder


def test_the_stripped_library_is_small(shared: Path) -> None:
    assert shared.stat().st_size < 500_000


def test_it_exports_the_c_interface_and_nothing_else(shared: Path) -> None:
    header = (CPP / "include" / "samplegraph" / "samplegraph.h").read_text(encoding="utf-8")
    declared = set(re.findall(r"^SG_API [\w* ]+?\b(sg_\w+)\(", header, re.MULTILINE))
    symbols = run("nm", "-D", "--defined-only", shared)
    exported = {line.split()[-1].split("@")[0] for line in symbols.splitlines()}
    assert len(declared) > 20
    assert exported - {"SAMPLEGRAPH_1"} == declared


def test_it_needs_nothing_but_the_system(shared: Path) -> None:
    needed = re.findall(r"NEEDED\s+(\S+)", run("objdump", "-p", shared))
    names = {name.split(".")[0] for name in needed if not name.startswith("ld-linux")}
    assert names <= {"libc", "libm", "libdl", "libpthread", "libstdc++", "libgcc_s"}


def test_the_version_is_that_of_the_project(built: Path) -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        version = tomllib.load(file)["project"]["version"]
    assert run(built / "cli" / "samplegraph-run", "--version") == f"samplegraph-run {version}\n"


def picture(digits: Path) -> str:
    """What the C example and the ctypes one print, from the Python runtime."""
    image = Engine(digits)(seed=0, class_labels=3)[0, 0]
    return "\n".join("".join("#" if v > 0 else "+" if v > -0.5 else " " for v in row) for row in image) + "\n"


def test_the_c_example(consumer: Path, digits: Path, onnxruntime: Path) -> None:
    assert run(consumer / "sample_c", digits, 3, SAMPLEGRAPH_ONNXRUNTIME=str(onnxruntime)) == picture(digits)


@pytest.mark.parametrize("program", ["sample_cpp", "sample_static"])
def test_the_cpp_example(consumer: Path, digits: Path, onnxruntime: Path, program: str) -> None:
    printed = run(consumer / program, digits, SAMPLEGRAPH_ONNXRUNTIME=str(onnxruntime))
    means = Engine(digits)(seed=0, class_labels=[3, 1, 4]).mean(axis=(1, 2, 3), dtype=np.float64)
    assert np.allclose([float(line) for line in printed.split()], means, rtol=1e-8, atol=0)


def test_ctypes(shared: Path, digits: Path, onnxruntime: Path) -> None:
    smoke = CPP / "examples" / "smoke.py"
    assert run(sys.executable, smoke, shared, digits, SAMPLEGRAPH_ONNXRUNTIME=str(onnxruntime)) == picture(digits)


@pytest.mark.skipif(shutil.which("pkg-config") is None, reason="no pkg-config")
def test_pkg_config(installed: Path, shared: Path, digits: Path, onnxruntime: Path, tmp_path: Path) -> None:
    folder = {"PKG_CONFIG_PATH": str(next(installed.rglob("pkgconfig")))}
    flags = run("pkg-config", "--cflags", "--libs", "samplegraph", **folder).split()
    program = tmp_path / "sample"
    run("cc", CPP / "examples" / "sample.c", "-o", program, "-Wall", "-Wextra", "-Werror", *flags)
    environment = {"LD_LIBRARY_PATH": str(shared.parent), "SAMPLEGRAPH_ONNXRUNTIME": str(onnxruntime)}
    assert run(program, digits, 3, **environment) == picture(digits)


def test_the_examples_are_short() -> None:
    for name, limit in (("sample.c", 35), ("sample.cpp", 25)):
        assert len((CPP / "examples" / name).read_text(encoding="utf-8").splitlines()) <= limit

"""The C++ runtime for 64-bit ARM: built with a cross compiler, and run under qemu where that can be had.

``python cross.py [GRAPH.onnx]``. Compiler and qemu are those of the machine, else pinned Debian packages. Under qemu
run the unit tests that need no engine, and, where an ONNX Runtime wheel for ARM can be had from PyPI, samplegraph-run
on GRAPH (or a small one), whose samples have to agree with those of this machine.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
from cpp_build import ROOT, build

TESTS = ("test_text", "test_noise", "test_manifest", "test_engine", "test_memory", "test_cli")
#: Newer ones end in a segmentation fault under qemu, in their look at the host's processor.
ONNXRUNTIME = "1.26.0"
ARM = (183).to_bytes(2, "little")  # e_machine of an ELF file
TAGS = ("manylinux_2_27_aarch64", "manylinux_2_28_aarch64", "manylinux_2_34_aarch64")


def compile_it() -> tuple[Path, Path]:
    """The build folder, and the folder with ARM's system libraries."""
    if shutil.which("aarch64-linux-gnu-g++"):
        return build.build("aarch64"), Path("/usr/aarch64-linux-gnu")
    usr = build.fetch("aarch64")
    if usr is None:
        raise SystemExit("error: no cross compiler; install g++-aarch64-linux-gnu")
    libraries = f"{usr / 'lib' / 'x86_64-linux-gnu'}:{os.environ.get('LD_LIBRARY_PATH', '')}"
    options = {"SAMPLEGRAPH_CROSS_ROOT": str(usr.parent)}
    folder = build.build("aarch64", environment={"LD_LIBRARY_PATH": libraries}, options=options)
    return folder, usr / "aarch64-linux-gnu"


def emulator(system: Path) -> list[str] | None:
    """The command that runs a program for ARM; None if there is none."""
    program = shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static")
    if program is None and (usr := build.fetch("qemu")) is not None:
        program = str(usr / "bin" / "qemu-aarch64-static")
    if program is None or subprocess.run([program, "--version"], capture_output=True, check=False).returncode:
        return None
    return [program, "-L", str(system)]


def onnxruntime_for_arm() -> Path | None:
    """The folder of ONNX Runtime's C library for ARM; None if it cannot be had."""
    folder = build.BUILD / f"onnxruntime-aarch64-{ONNXRUNTIME}"
    if not folder.is_dir():
        tags = [part for tag in TAGS for part in ("--platform", tag)]
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", *tags]
        wheels = build.BUILD / "wheels"
        command = [*pip, "--dest", str(wheels), f"onnxruntime=={ONNXRUNTIME}"]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            return None
        with zipfile.ZipFile(next(wheels.glob(f"onnxruntime-{ONNXRUNTIME}-*aarch64.whl"))) as wheel:
            for name in wheel.namelist():
                if name.startswith("onnxruntime/capi/libonnxruntime.so"):
                    folder.mkdir(exist_ok=True)
                    (folder / Path(name).name).write_bytes(wheel.read(name))
    return folder if folder.is_dir() else None


def compare(folder: Path, run: list[str], graph: Path, library: Path) -> float:
    """The largest relative difference between the samples of ARM and of this machine."""
    from samplegraph.runtime import Engine

    out = build.BUILD / "aarch64.npy"
    engine = Engine(graph)
    labels = any(tensor.name == "class_labels" for tensor in engine.inputs)
    program = folder / "cli" / "samplegraph-run"
    settings = ["--set", "class_labels=3,1,4"] if labels else []
    command = [*run, str(program), str(graph), *settings, "--output", str(out), "--onnxruntime", str(library)]
    subprocess.run(command, check=True)
    here = engine(seed=0, class_labels=[3, 1, 4]) if labels else engine(seed=0)
    return float(np.abs(np.load(out) - here).max() / np.abs(here).max())


def unit_tests(folder: Path, run: list[str], environment: dict[str, str]) -> None:
    """Run each program of `TESTS`, and print its last line."""
    for name in TESTS:
        command = [*run, str(folder / "tests" / name), "--gtest_brief=1"]
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False, env={**os.environ, **environment}
        )
        if done.returncode:
            raise SystemExit(f"{done.stdout[-5000:]}{done.stderr[-2000:]}\nerror: {name} failed under qemu")
        passed = [line for line in done.stdout.splitlines() if "PASSED" in line]
        print(f"  {name}: {passed[-1].strip()}", flush=True)


def main() -> int:
    folder, system = compile_it()
    program = (folder / "cli" / "samplegraph-run").read_bytes()
    if program[:4] != b"\x7fELF" or program[18:20] != ARM:
        raise SystemExit("error: the cross compiler made no program for 64-bit ARM")
    print("  built for 64-bit ARM")
    run = emulator(system)
    if run is None:
        print("  not run: there is no qemu")
        return 0
    graphs, library = build.BUILD / "graphs", onnxruntime_for_arm()
    subprocess.run([sys.executable, str(ROOT / "tests" / "cpp" / "graphs.py"), str(graphs)], check=True)
    engine = {"SAMPLEGRAPH_ONNXRUNTIME": str(library), "SAMPLEGRAPH_TEST_GRAPHS": str(graphs)} if library else {}
    unit_tests(folder, run, engine)
    if library is None:
        print("  samplegraph-run: skipped, no ONNX Runtime for ARM")
        return 0
    graph = Path(sys.argv[1]) if len(sys.argv) > 1 else graphs / "toy-4.onnx"
    difference = compare(folder, run, graph, library)
    print(f"  {graph.name}: largest relative difference from this machine {difference:.1e}")
    return 0 if difference < 1e-4 else 1


if __name__ == "__main__":
    raise SystemExit(main())

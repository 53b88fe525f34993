"""The C++ tests under sanitizers, and the readers under fuzzing: ``python sanitize.py [asan] [tsan] [mutate] [fuzz]``.

asan    unit tests with the address, leak and undefined behaviour sanitizers
tsan    unit tests with the thread sanitizer; ONNX Runtime itself is not instrumented
mutate  10,000 damaged graphs through the whole of loading, under the sanitizers of asan
fuzz    libFuzzer on the manifest's reader, with clang from the machine or from pinned Debian packages

All of them without arguments. Needs onnxruntime and onnx in this Python environment.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from cpp_build import ROOT, build

CHECKS = ("asan", "tsan", "mutate", "fuzz")
SANITIZERS = {
    "ASAN_OPTIONS": "detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1:allocator_may_return_null=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "ignore_noninstrumented_modules=1:halt_on_error=1",
}


def run(*command: object, show: str = "", **environment: str) -> None:
    """Run, and print the last line that holds ``show``; end with all of it where the program fails."""
    done = subprocess.run(
        [str(part) for part in command],
        env={**os.environ, **SANITIZERS, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{done.stdout[-20000:]}\nerror: {' '.join(map(str, command))} failed")
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip() and show in line]
    print(f"  {Path(str(command[0])).name}: {lines[-1] if lines else 'done'}", flush=True)


def graphs() -> dict[str, str]:
    """The environment that the unit tests need."""
    import onnxruntime

    folder = build.BUILD / "graphs"
    subprocess.run([sys.executable, str(ROOT / "tests" / "cpp" / "graphs.py"), str(folder)], check=True)
    library = Path(onnxruntime.__file__).parent / "capi"
    return {"SAMPLEGRAPH_TEST_GRAPHS": str(folder), "SAMPLEGRAPH_ONNXRUNTIME": str(library)}


def unit_tests(preset: str, environment: dict[str, str]) -> None:
    folder = build.build(preset)
    for program in sorted((folder / "tests").glob("test_*")):
        if program.is_file() and os.access(program, os.X_OK):
            run(program, "--gtest_brief=1", **environment)


def mutate(environment: dict[str, str], count: int) -> None:
    program = build.build("asan", ("mutate",)) / "fuzz" / "mutate"
    with tempfile.TemporaryDirectory() as folder:
        run(program, Path(environment["SAMPLEGRAPH_TEST_GRAPHS"]) / "toy-4.onnx", folder, count, **environment)


def clang() -> dict[str, str] | None:
    """The environment in which CMake finds a clang with libFuzzer, and in which it runs; None if there is none."""
    candidates: list[dict[str, str]] = [{"CC": "clang", "CXX": "clang++"}]
    if (usr := build.fetch("clang")) is not None:
        programs, libraries = usr / "lib" / "llvm-14" / "bin", usr / "lib" / "x86_64-linux-gnu"
        loader = {"LD_LIBRARY_PATH": f"{libraries}:{os.environ.get('LD_LIBRARY_PATH', '')}"}
        candidates.append({"CC": str(programs / "clang"), "CXX": str(programs / "clang++"), **loader})
    for each in candidates:
        if shutil.which(each["CXX"]) is None:
            continue
        source = 'extern "C" int LLVMFuzzerTestOneInput(const char*, unsigned long) { return 0; }'
        command = [each["CXX"], "-fsanitize=fuzzer,address,undefined", "-x", "c++", "-", "-o", "/dev/null"]
        tried = subprocess.run(
            command, input=source, text=True, capture_output=True, env={**os.environ, **each}, check=False
        )
        if tried.returncode == 0:
            return each
    return None


def fuzz(environment: dict[str, str], seconds: int) -> None:
    compiler = clang()
    if compiler is None:
        print("  fuzz: skipped, no clang with libFuzzer; `mutate` needs none")
        return
    program = build.build("fuzz", environment=compiler) / "fuzz" / "fuzz_manifest"
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder)
        for graph in Path(environment["SAMPLEGRAPH_TEST_GRAPHS"]).glob("toy-*.onnx"):
            data = graph.read_bytes()
            start = data.index(b"samplegraph.manifest") - 8
            (corpus / f"{graph.stem}.props").write_bytes(data[start:])
            (corpus / f"{graph.stem}.json").write_bytes(data[data.index(b"{\n") :])
        limits = [f"-max_total_time={seconds}", "-max_len=8000", "-timeout=10", "-print_final_stats=1"]
        run(program, corpus, *limits, f"-artifact_prefix={build.BUILD}/", show="executed_units", **compiler)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checks", nargs="*", metavar="CHECK", help=", ".join(CHECKS))
    parser.add_argument("--mutations", type=int, default=10_000)
    parser.add_argument("--seconds", type=int, default=60, help="of libFuzzer")
    arguments = parser.parse_args()
    wanted = arguments.checks or list(CHECKS)
    if unknown := set(wanted) - set(CHECKS):
        parser.error(f"{unknown.pop()!r} is no check; give some of {', '.join(CHECKS)}")
    environment = graphs()
    for check in wanted:
        print(check, flush=True)
        if check in ("asan", "tsan"):
            unit_tests(check, environment)
        elif check == "mutate":
            mutate(environment, arguments.mutations)
        else:
            fuzz(environment, arguments.seconds)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

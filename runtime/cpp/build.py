"""Configure and build the C++ runtime: ``python build.py [PRESET] [--target NAME ...]`` from any folder.

A preset is a folder below ``build/cpp`` and its options; see ``PRESETS``. CMake comes from the machine, else from
PyPI into the build folder; headers come from pinned Debian packages where apt is there (see fetch.py), else CMake
looks on the machine and then fetches releases. Nothing is installed. Runs that meet wait for each other.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

SOURCE = Path(__file__).resolve().parent
BUILD = Path(os.environ.get("SAMPLEGRAPH_CPP_BUILD", SOURCE.parents[1] / "build" / "cpp"))
CMAKE = "cmake>=3.26,<5"
#: What CMake says where a release cannot be fetched.
UNREACHABLE = re.compile(r"(?:downloading '|Failed to clone|failed to fetch|Failed to download).*")
ROOTS = ("ONNXRUNTIME_ROOT", "NLOHMANN_JSON_ROOT", "STB_ROOT", "GOOGLETEST_ROOT")
NOTHING: Mapping[str, str] = MappingProxyType({})


class Unavailable(SystemExit):
    """What the build needs is neither on this machine nor to be had; no defect of the sources."""


@dataclass(frozen=True)
class Preset:
    """CMake options, and what is built unless a target is named."""

    options: dict[str, str] = field(default_factory=dict)
    targets: tuple[str, ...] = ("all",)


#: Our doubles of NVIDIA's headers and libraries.
DOUBLES = SOURCE / "tests" / "doubles"
TESTED = {
    "SAMPLEGRAPH_BUILD_TESTS": "ON",
    "SAMPLEGRAPH_WERROR": "ON",
    "SAMPLEGRAPH_INSTALL": "OFF",
    "SAMPLEGRAPH_TENSORRT": "ON",
    "TENSORRT_ROOT": str(DOUBLES / "tensorrt"),
    "TENSORRT_RTX_ROOT": str(DOUBLES / "tensorrt_rtx"),
    "SAMPLEGRAPH_CUDA_INCLUDE": str(DOUBLES / "cuda" / "include"),
}
PRESETS = {
    "release": Preset({"SAMPLEGRAPH_WERROR": "ON"}),
    "test": Preset({**TESTED, "SAMPLEGRAPH_BUILD_BENCHMARKS": "ON", "SAMPLEGRAPH_INSTALL": "ON"}),
    "asan": Preset({**TESTED, "SAMPLEGRAPH_BUILD_FUZZERS": "ON", "SAMPLEGRAPH_SANITIZE": "address,undefined"}),
    "tsan": Preset({**TESTED, "SAMPLEGRAPH_SANITIZE": "thread"}),
    "fuzz": Preset(
        {
            "SAMPLEGRAPH_BUILD_FUZZERS": "ON",
            "SAMPLEGRAPH_LIBFUZZER": "ON",
            "SAMPLEGRAPH_BUILD_CLI": "OFF",
            "SAMPLEGRAPH_INSTALL": "OFF",
            "SAMPLEGRAPH_SANITIZE": "fuzzer-no-link,address,undefined",
        },
        ("fuzz_manifest",),
    ),
    "aarch64": Preset({**TESTED, "CMAKE_TOOLCHAIN_FILE": str(SOURCE / "cmake" / "aarch64.cmake")}),
}


@contextlib.contextmanager
def alone(name: str) -> Iterator[None]:
    """Hold the lock of one preset."""
    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def cmake() -> str:
    """The program: the machine's, that of this Python environment, or one from PyPI in the build folder."""
    tools = BUILD / "tools"
    for folder in (None, str(Path(sys.executable).parent), str(tools / "bin")):
        if found := shutil.which("cmake", path=folder):
            return found
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    failed = subprocess.run([*pip, "--target", str(tools), CMAKE], check=False).returncode
    program = tools / "cmake" / "data" / "bin" / "cmake"  # the wheel's script needs its own site-packages
    if failed or not program.is_file():
        raise Unavailable("error: cmake is missing and could not be installed; install CMake 3.20 or newer")
    return str(program)


def fetch(name: str) -> Path | None:
    """The folder of a set of Debian packages; None where they cannot be had."""
    folder = BUILD / "debs" / name
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        return None
    with alone("debs"):
        command = [sys.executable, str(SOURCE / "fetch.py"), name, str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"no Debian packages ({done.stderr.strip()[-300:]}); going on without", file=sys.stderr)
        return None
    return folder / "usr"


def roots() -> dict[str, str]:
    """Where headers and sources lie: as the environment says, else fetched; nothing where CMake has to find them."""
    given = {name: os.environ[name] for name in ROOTS if name in os.environ}
    usr = fetch("base") if len(given) < len(ROOTS) else None
    if usr is None:
        return given
    return {**dict.fromkeys(ROOTS[:3], str(usr)), ROOTS[3]: str(usr / "src" / "googletest"), **given}


def configure(name: str, preset: Preset, program: str, environment: Mapping[str, str]) -> Path:
    """Run CMake's first stage; returns the build folder."""
    folder = BUILD / name
    options = {**roots(), **preset.options}
    command = [program, "-S", str(SOURCE), "-B", str(folder), *[f"-D{k}={v}" for k, v in options.items()]]
    if not (folder / "CMakeCache.txt").is_file() and shutil.which("ninja"):
        command += ["-G", "Ninja"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})
    if done.returncode:
        if unreachable := UNREACHABLE.search(done.stderr + done.stdout):
            raise Unavailable(
                f"error: {unreachable[0].strip()}, and this machine has no such headers; "
                f"set {', '.join(ROOTS)} to folders that hold them"
            )
        raise SystemExit(f"{done.stdout}\n{done.stderr}\nerror: CMake failed in {folder}")
    return folder


def build(
    name: str,
    targets: tuple[str, ...] = (),
    jobs: int = 2,
    environment: Mapping[str, str] = NOTHING,
    options: Mapping[str, str] = NOTHING,
) -> Path:
    """Build a preset, with further CMake options and variables of the environment; returns its folder."""
    preset = replace(PRESETS[name], options={**PRESETS[name].options, **options})
    program = cmake()
    with alone(name):
        folder = configure(name, preset, program, environment)
        command = [program, "--build", str(folder), "--parallel", str(jobs), "--target", *(targets or preset.targets)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})
        if done.returncode:
            raise SystemExit(f"{done.stdout[-8000:]}\n{done.stderr}\nerror: the build failed in {folder}")
    return folder


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("preset", choices=PRESETS, nargs="?", default="release")
    parser.add_argument("--target", action="append", default=[])
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    try:
        print(build(arguments.preset, tuple(arguments.target), arguments.jobs))
    except subprocess.CalledProcessError as error:
        print(f"error: {' '.join(map(str, error.cmd))} failed", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

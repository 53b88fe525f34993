"""The packages: declared as they lie in the folders, importing one way only, whole in the wheel."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETUPTOOLS = PROJECT["tool"]["setuptools"]
ROOMS = ("schedulers", "models", "export", "runtime")

#: Room -> rooms of ours that its modules may import from.
ARROWS = {
    "schedulers": {"schedulers"},
    "models": {"models", "schedulers"},
    "export": {"export", "models", "schedulers", "runtime"},
    "runtime": {"runtime"},
}
#: Room -> distributions that its modules may import, beside the standard library.
FOREIGN = {
    "schedulers": {"numpy", "torch", "scipy"},
    "models": {
        *("numpy", "torch", "safetensors", "onnx", "onnxruntime"),
        *("sklearn", "diffusers", "peft", "huggingface_hub", "transformers", "rich"),
    },
    "export": {
        *("numpy", "torch", "safetensors", "onnx", "onnx_ir", "onnxscript", "onnxruntime"),
        *("typer", "rich", "PIL", "matplotlib"),
    },
    "runtime": {"numpy", "onnxruntime"},
}


def sources(room: str) -> Iterator[Path]:
    """The room's own modules; ``runtime/cpp`` has scripts that build it and are not shipped."""
    foreign = ROOT / "runtime" / "cpp"
    return (p for p in sorted((ROOT / room).rglob("*.py")) if "__pycache__" not in p.parts and foreign not in p.parents)


def imported(file: Path, *, for_types: bool = True) -> Iterator[str]:
    """Every module that ``file`` imports, at its top, inside a function or for types; ``from a import b`` is ``a``."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    if not for_types:
        tree.body = [each for each in tree.body if not (isinstance(each, ast.If) and "TYPE_CHECKING" in ast.dump(each))]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno} imports relatively"
            assert node.module is not None
            yield from (f"samplegraph.{a.name}" for a in node.names) if node.module == "samplegraph" else [node.module]


def test_declared_packages_are_the_folders() -> None:
    folders = {p.parent.relative_to(ROOT) for room in ROOMS for p in sources(room) if p.name == "__init__.py"}
    declared = {f"samplegraph.{'.'.join(folder.parts)}": folder.as_posix() for folder in folders}
    assert sorted(SETUPTOOLS["packages"]) == sorted(declared)
    assert SETUPTOOLS["package-dir"] == declared


@pytest.mark.parametrize("room", ROOMS)
def test_every_folder_with_python_code_is_a_package(room: str) -> None:
    folders = {p.parent for p in sources(room)}
    assert [f for f in folders if not (f / "__init__.py").is_file()] == []


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_is_typed(room: str) -> None:
    assert (ROOT / room / "py.typed").is_file()
    assert "py.typed" in SETUPTOOLS["package-data"][f"samplegraph.{room}"]


def test_samplegraph_is_a_namespace_and_no_folder() -> None:
    assert not (ROOT / "samplegraph").exists()
    assert "samplegraph" not in SETUPTOOLS["packages"]
    import samplegraph

    assert getattr(samplegraph, "__file__", None) is None


def test_rooms_are_not_folders_deeper_than_two() -> None:
    assert max(name.count(".") for name in SETUPTOOLS["packages"]) <= 2


@pytest.mark.parametrize("room", ROOMS)
def test_import_arrows_point_one_way(room: str) -> None:
    wrong = []
    for file in sources(room):
        for module in imported(file):
            top, _, rest = module.partition(".")
            if top == "samplegraph":
                allowed = rest.split(".")[0] in ARROWS[room]
            else:
                allowed = top in {*sys.stdlib_module_names, *FOREIGN[room]}
            if not allowed:
                wrong.append(f"{file}: {module}")
    assert wrong == []


@pytest.mark.parametrize("room", ["schedulers", "export"])
def test_a_room_s_folders_stand_above_what_they_import(room: str) -> None:
    """No two stages need each other; ``TopologicalSorter`` raises ``CycleError`` where they do."""
    stages: dict[str, set[str]] = {}
    for file in sources(room):
        inside = file.relative_to(ROOT / room).parts
        stage = inside[0].removesuffix(".py")
        if stage == "__init__":  # hands the names of others on
            continue
        needed = (m.split(".") for m in imported(file, for_types=False) if m.startswith(f"samplegraph.{room}."))
        stages.setdefault(stage, set()).update({parts[2] for parts in needed} - {stage})
    assert list(TopologicalSorter(stages).static_order())


#: What verification needs to run a set of graphs, and offline optimisation to load one, as the runtimes do.
DRIVING = ("chunks", "constants", "evaluations", "session", "values", "optimized", "precision", "errors")
#: What builders share with the runtime, and captures with its kernels.
SHARED = ("gpu.tensorrt_library", "kept_files")
#: The part of verification that loads engines.
VERIFYING = ("engine.py", "engine_sources.py")


def test_the_compiler_knows_of_the_runtime_its_manifest_and_how_graphs_are_driven_not_the_engine() -> None:
    compiler = [f for f in sources("export") if f.parent.name != "cli" and f.name not in VERIFYING]
    used = {m for file in compiler for m in imported(file) if m.startswith("samplegraph.runtime")}
    allowed = ("manifest", "manifest_file", "engine_file", *DRIVING, *SHARED)
    assert used == {f"samplegraph.runtime.{name}" for name in allowed}


def test_the_arrow_test_sees_imports_inside_functions(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text("def f():\n    from samplegraph import export\n    import samplegraph.models.spec\n")
    assert set(imported(tmp_path / "x.py")) == {"samplegraph.export", "samplegraph.models.spec"}


def extras(*names: str) -> list[Requirement]:
    """The requirements of these extras, those of the extras they name included."""
    table = PROJECT["project"]["optional-dependencies"]
    found: list[Requirement] = []
    for name in names:
        for requirement in map(Requirement, table[name]):
            found += extras(*requirement.extras) if requirement.name == "samplegraph" else [requirement]
    return found


def test_the_tested_set_pins_what_is_installed_and_lies_in_the_declared_ranges() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    names = [canonicalize_name(name) for name in pins]
    assert len(set(names)) == len(names)
    versions = {canonicalize_name(name): version for name, version in pins.items()}
    for requirement in extras("export", "cpu", "test"):
        assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)]), str(requirement)
    assert versions["torch"] == "2.13.0"


def ruff(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ruff", "check", "--select", "TID251", "--stdin-filename", "export/x.py", "-"]
    return subprocess.run(command, input=code, capture_output=True, text=True, cwd=ROOT, timeout=60)


@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.parametrize("form", ["import {}", "import {}.errors", "from {} import errors", "from {}.errors import x"])
def test_ruff_flags_a_bare_import(room: str, form: str) -> None:
    done = ruff(form.format(room) + "\n")
    assert done.returncode == 1
    assert "TID251" in done.stdout
    assert f"import samplegraph.{room}" in done.stdout
    assert ruff(form.format(f"samplegraph.{room}") + "\n").returncode == 0


def call(*command: object, **environment: str) -> str:
    """What a command prints; its PYTHONPATH is the one given or none."""
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | environment
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=300, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Source distribution and the wheel built from it, made from a copy of the tree."""
    folder = tmp_path_factory.mktemp("dist")
    unwanted = shutil.ignore_patterns(".git", ".venv*", "build", "dist", ".*_cache", "__pycache__", "*.egg-info")
    shutil.copytree(ROOT, folder / "tree", ignore=unwanted)
    call(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, folder / "tree")
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (file,) = dist.glob("*.whl")
    return file


def test_the_wheel_holds_the_packages_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        sizes = {each.filename: each.file_size for each in archive.infolist() if ".dist-info/" not in each.filename}
        notices = {Path(name).name for name in archive.namelist() if ".dist-info/licenses/" in name}
    packaged = {Path(folder) for folder in SETUPTOOLS["package-dir"].values()}
    code = {p.relative_to(ROOT) for room in ROOMS for p in sources(room) if p.parent.relative_to(ROOT) in packaged}
    data = {
        Path(SETUPTOOLS["package-dir"][name]) / file
        for name, files in SETUPTOOLS["package-data"].items()
        for file in files
    }
    assert set(sizes) == {f"samplegraph/{path.as_posix()}" for path in code | data}
    assert "samplegraph/__init__.py" not in sizes
    assert 1_000_000 < sizes["samplegraph/models/digits/weights.safetensors"] < 5_000_000
    assert notices == {"LICENSE", "NOTICE"}


def test_the_source_distribution_can_be_tested_and_built_from(dist: Path) -> None:
    (file,) = dist.glob("*.tar.gz")
    with tarfile.open(file) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    needed = "Makefile constraints.txt NOTICE CHANGELOG.md .ci/run tests/conftest.py docs/decisions.md"
    assert set(needed.split()) - names == set()
    assert [name for name in names if name.endswith((".pyc", ".onnx"))] == []


def test_the_wheel_installs_and_works(wheel: Path, tmp_path: Path) -> None:
    """Without the site hooks of the environment, so that nothing comes from this tree."""
    site = tmp_path / "site"
    call(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", site, wheel)
    path = os.pathsep.join([str(site), sysconfig.get_path("purelib")])
    code = f"""
import samplegraph.export, samplegraph.models, samplegraph.runtime, samplegraph.schedulers
from importlib.metadata import entry_points, version
for module in (samplegraph.export, samplegraph.models, samplegraph.runtime, samplegraph.schedulers):
    assert module.__file__.startswith({str(site)!r}), module.__file__
from samplegraph.export import compile
from samplegraph.models import Sampler
from samplegraph.models.load import load_model
from samplegraph.runtime import Engine
sampler = Sampler(load_model("digits"), samplegraph.schedulers.create("ddim", 2))
file = compile(sampler).save({str(tmp_path)!r} + "/x.onnx")
print(version("samplegraph"), Engine(file)(seed=0, class_labels=[3, 4]).shape)
"""
    printed = call(sys.executable, "-S", "-c", code, PYTHONPATH=path, OMP_NUM_THREADS="1")
    assert printed.split(maxsplit=1) == [PROJECT["project"]["version"], "(2, 1, 16, 16)\n"]
    assert {p.name for p in (site / "bin").iterdir()} == {"samplegraph", "export"}
    listed = call(sys.executable, "-S", site / "bin" / "samplegraph", "--version", PYTHONPATH=path)
    assert listed == f"samplegraph {PROJECT['project']['version']}\n"

"""``kill -9`` at any moment of an export: each file is the old one or a whole new one, and the next export works."""

from __future__ import annotations

import random
import signal
from pathlib import Path

import pytest
from campaign.zygote import Zygote

from samplegraph.runtime import read_manifest

STEM = "tiny-ddim-9"
EXPORT = [
    "export",
    "--model",
    "cli_models:tiny",
    "--scheduler",
    "ddim",
    "--steps",
    "9",
    "--name",
    STEM,
    "--no-verify",
    "--output",
    ".",
]
OLD, NEW = [*EXPORT, "--guidance-scale", "2"], [*EXPORT, "--guidance-scale", "3", "--weights", "external"]
Files = dict[str, bytes]


def files(folder: Path) -> Files:
    """What lies in ``folder``, but for temporary files."""
    return {p.name: p.read_bytes() for p in folder.iterdir() if not p.name.endswith(".tmp")}


@pytest.fixture(scope="module")
def old(zygote: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Files:
    """The files of an export with embedded weights."""
    return made(zygote, OLD, tmp_path_factory.mktemp("old"))


@pytest.fixture(scope="module")
def new(zygote: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Files:
    """The files of one with external weights, under the same name; equal commands write equal bytes."""
    return made(zygote, NEW, tmp_path_factory.mktemp("new"))


def made(zygote: Zygote, command: list[str], folder: Path) -> Files:
    done = zygote.run(command, folder)
    assert (done.code, done.err) == (0, "")
    return files(folder)


def check(folder: Path, old: Files, new: Files, zygote: Zygote) -> None:
    """Every file is old or new, a graph finds its weights, and the next export is not disturbed by what is left."""
    found = files(folder)
    assert set(old) <= set(found) <= set(new)
    for name, content in found.items():
        assert content in (old.get(name), new[name])
    weights = read_manifest(folder / f"{STEM}.onnx").weights.file
    assert weights is None or found[weights] == new[weights]
    ran = zygote.run(["run", f"{STEM}.onnx", "--set", "class_labels=1", "--threads", "1", "-o", "x.npy"], folder)
    assert ran.code == 0
    (folder / "x.npy").unlink()
    assert made(zygote, NEW, folder) == new


@pytest.mark.parametrize("number", [pytest.param(n, marks=[] if n < 5 else [pytest.mark.slow]) for n in range(50)])
def test_at_random(number: int, zygote: Zygote, old: Files, new: Files, tmp_path: Path) -> None:
    usual = zygote.run(NEW, tmp_path).seconds
    for path in tmp_path.iterdir():
        path.unlink()
    for name, content in old.items():
        (tmp_path / name).write_bytes(content)
    moment = usual * random.Random(number).uniform(0, 1.1)
    assert zygote.run(NEW, tmp_path, kill_after=moment).code in (0, -signal.SIGKILL)
    check(tmp_path, old, new, zygote)


def test_before_each_thing_done_to_a_file(zygote: Zygote, old: Files, new: Files, tmp_path: Path) -> None:
    """Create, write, flush to disk, set the mode, rename: of the weights, the sidecar and the graph."""
    killed = 0
    while True:
        folder = tmp_path / str(killed)
        folder.mkdir()
        for name, content in old.items():
            (folder / name).write_bytes(content)
        outcome = zygote.run(NEW, folder, kill_at=killed)
        check(folder, old, new, zygote)
        if outcome.code == 0:
            break
        assert outcome.code == -signal.SIGKILL
        killed += 1
    assert killed >= 3 * len(new)

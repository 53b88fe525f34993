"""Modules in front of and behind the sampler in the C++ runtime: bits and previews of the Python runtime, a picture."""

from __future__ import annotations

import ctypes
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from binding import NativeEngine
from both import inputs
from PIL import Image
from stage_modules import (
    decoder,
    head,
    normaliser,
    observation_encoder,
    text_denoiser,
    text_encoder,
    un_normaliser,
)

from samplegraph.export import Captures, compile
from samplegraph.export.cli.main import main as python_cli
from samplegraph.models import Sampler
from samplegraph.runtime import Engine, InputError, Manifest
from samplegraph.schedulers import create

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> tuple[Sampler, dict[str, Path]]:
    """Ids in, image out: as one graph, in chunks and as one chunk."""
    sampler, captures = Sampler(text_denoiser(), create("euler", 4), pre=[text_encoder()], post=decoder()), Captures()
    folder, made = tmp_path_factory.mktemp("stages"), {}
    for layout in ("unrolled", "chunked:3", "chunked:4"):
        program = compile(sampler, batch=2, layout=layout, captures=captures)
        made[layout] = program.save(folder / f"{program.manifest.name}.onnx")
    return sampler, made


def ids(manifest: Any, rows: int) -> dict[str, Any]:
    draw = np.random.default_rng(0)
    return {t.name: draw.integers(0, 64, (rows, 7)) for t in manifest.sampler_inputs if t.dtype == "int64"}


@pytest.mark.parametrize("layout", ["unrolled", "chunked:3", "chunked:4"])
def test_ids_in_image_out(
    library: ctypes.CDLL, onnxruntime: Path, picture: tuple[Sampler, dict[str, Path]], layout: str
) -> None:
    sampler, files = picture
    python = Engine(files[layout])
    given = ids(python.manifest, 3)
    shown: list[tuple[int, Any]] = []
    theirs = python(seed=1, preview=lambda step, x0: shown.append((step, x0.copy())), **given)
    seen: list[tuple[int, Any]] = []

    def watch(position: Any, x0: Any) -> None:
        assert tuple(position.shape[1 : position.rank]) == (4, 4, 4)
        if x0 is not None:
            seen.append((position.step, x0))

    with NativeEngine(library, files[layout], onnxruntime) as native:
        ours = native(seed=1, watch=watch, **given)
    assert ours.shape == (3, 3, 8, 8)
    assert ours.tobytes() == theirs.tobytes()
    assert [(step, x0.tobytes()) for step, x0 in seen] == [(step, x0.tobytes()) for step, x0 in shown]
    assert {x0.shape[1:] for _, x0 in seen} <= {(4, 4, 4)}
    noise = torch.randn(3, 4, 4, 4, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        eager = sampler(noise, **{name: torch.from_numpy(value) for name, value in given.items()}).numpy()
    assert np.abs(ours - eager).max() <= 1e-5 * np.abs(eager).max()


def test_a_policy_of_any_batch(library: ctypes.CDLL, onnxruntime: Path, tmp_path: Path) -> None:
    sampler = Sampler(head(), create("ddim", 3), pre=[normaliser(), observation_encoder()], post=un_normaliser())
    program = compile(sampler, batch="dynamic", layout="chunked:2")
    path = program.save(tmp_path / "policy.onnx")
    with NativeEngine(library, path, onnxruntime) as native:
        for rows in (1, 3):
            given = inputs(program.manifest, rows)
            assert native(seed=1, **given).tobytes() == Engine(path)(seed=1, **given).tobytes()


def test_a_picture_over_its_own_range(run_cli: Run, picture: tuple[Sampler, dict[str, Path]], tmp_path: Path) -> None:
    """0 is black and 1 white, in both command lines."""
    file = picture[1]["unrolled"]
    values = ids(Engine(file).manifest, 1)
    given = [f"--set={name}=@{tmp_path / name}.npy" for name in values]
    for name, value in values.items():
        np.save(tmp_path / f"{name}.npy", value)
    done = run_cli(file, *given, "--seed", "0", "--output", tmp_path / "cpp.png")
    assert done.returncode == 0, done.stderr
    assert "1 sample of 3x8x8" in done.stdout
    assert python_cli(["run", str(file), *given, "--seed", "0", "--output", str(tmp_path / "python.png")]) == 0
    expected = np.rint(255 * Engine(file)(seed=0, **values)[0].astype(np.float64)).transpose(1, 2, 0)
    for name in ("cpp", "python"):
        assert np.array_equal(np.asarray(Image.open(tmp_path / f"{name}.png"))[::16, ::16], expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"results": [{"name": "other", "dtype": "float32", "shape": [2, 3], "role": "sample"}]}, "and it is no chunk"),
        ({"sample": {"name": "x", "dtype": "float32", "shape": [2], "role": "nothing"}}, "role 'nothing'"),
    ],
)
def test_manifests_that_contradict_themselves(
    run_cli: Run, picture: tuple[Sampler, dict[str, Path]], tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    text = json.dumps({**json.loads(Engine(picture[1]["unrolled"]).manifest.to_json()), **change})
    file = tmp_path / "x.onnx.json"
    file.write_text(text)
    with pytest.raises(InputError, match=f"the manifest is damaged .*{message}"):
        Manifest.from_json(text)
    done = run_cli("--describe", file)
    assert done.returncode == 2
    assert "the manifest is damaged" in done.stderr
    assert message in done.stderr

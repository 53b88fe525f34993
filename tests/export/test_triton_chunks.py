"""Sets of chunks in a Triton repository: an ensemble that is followed here as Triton's scheduler follows it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from stage_modules import decoder, text_denoiser, text_encoder
from torch import nn
from triton_files import check, compiled, config_of

from samplegraph.export import Captures, compile
from samplegraph.export.errors import ExportError
from samplegraph.export.triton import repository as writing
from samplegraph.export.triton.model import lay_out
from samplegraph.models import Sampler
from samplegraph.runtime import Engine, read_manifest
from samplegraph.schedulers import create


def followed(models: Path, name: str, request: dict[str, np.ndarray], schema: Any) -> np.ndarray:
    """What an ensemble makes of a request, whose tensors have the shapes that its configuration asks for."""
    config = config_of(models / name, schema)
    assert config.platform == "ensemble"
    assert not config.HasField("dynamic_batching")
    assert {each.name for each in config.input} == set(request)
    known = dict(request)
    for step in config.ensemble_scheduling.step:
        version = models / step.model_name / str(step.model_version)
        own = check(version, schema)
        assert own.max_batch_size == config.max_batch_size
        session = onnxruntime.InferenceSession(str(version / "model.onnx"))
        assert set(step.input_map) == {each.name for each in session.get_inputs()}
        feed = {mine: known[outer] for mine, outer in step.input_map.items()}
        made = dict(zip([each.name for each in session.get_outputs()], session.run(None, feed), strict=True))
        known |= {outer: made[mine] for mine, outer in step.output_map.items()}
    (output,) = config.output
    return np.asarray(known[output.name])


def rows_of(config: Any, rng: np.random.Generator, row: int) -> dict[str, np.ndarray]:
    """A request of one row."""
    shapes = {i.name: (1, *i.dims) if not i.HasField("reshape") else (1,) for i in config.input}
    request = {n: rng.standard_normal(s).astype("float32") for n, s in shapes.items() if "noise" in n or "init" in n}
    request["class_labels"] = np.array([row + 1])
    if "guidance_scale" in shapes:
        request["guidance_scale"] = np.full((1, 1), 1.5 + 2 * row, "float32")
    return request


@pytest.mark.parametrize(
    ("scheduler", "scale"), [("ddpm", None), ("dpm_multistep", 2.0), ("dpm_multistep_inverse", None)]
)
def test_merged_calls_of_an_ensemble_give_each_row_its_own_sample(
    scheduler: str,
    scale: float | None,
    captures: Captures,
    denoisers: dict[str, nn.Module],
    tmp_path: Path,
    schema: Any,
) -> None:
    model = denoisers["tinydit"]
    file = compiled(tmp_path, scheduler, captures, model, scale, layout="chunked:1", batch="dynamic")
    made = lay_out(file, tmp_path / "models", name="robot", version=2, max_batch=4)
    assert made.folder == tmp_path / "models" / "robot" / "2"
    assert made.max_batch == 4
    names = {"robot", *(f"robot-chunk-0{k}" for k in range(3))}
    assert {path.name for path in (tmp_path / "models").iterdir()} == names
    for name in names - {"robot"}:
        onnx.checker.check_model(str(tmp_path / "models" / name / "2" / "model.onnx"), full_check=True)
    assert read_manifest(made.folder / "manifest.json") == read_manifest(file)
    rng, engine = np.random.default_rng(0), Engine(file)
    requests = [rows_of(config_of(made.folder.parent, schema), rng, row) for row in range(3)]
    merged = {name: np.concatenate([request[name] for request in requests]) for name in requests[0]}
    found = followed(tmp_path / "models", "robot", merged, schema)
    for row, request in enumerate(requests):
        own: dict[str, Any] = dict(request)
        if "step_noise" in own:
            own["step_noise"] = np.moveaxis(own["step_noise"], 1, 0)
        if "guidance_scale" in own:
            own["guidance_scale"] = own["guidance_scale"].item()
        expected = engine(**own)[0]
        assert np.abs(found[row] - expected).max() <= 1e-5 * np.abs(expected).max()


def test_a_set_whose_calls_are_not_merged_takes_the_sampler_s_own_inputs(
    captures: Captures,
    denoisers: dict[str, nn.Module],
    tmp_path: Path,
    schema: Any,
) -> None:
    file = compiled(tmp_path, "ddpm", captures, denoisers["tinydit"], layout="chunked:1", batch=2)
    made = lay_out(file, tmp_path / "models")
    assert made.max_batch == 0
    manifest = read_manifest(file)
    rng = np.random.default_rng(1)
    request: dict[str, Any] = {
        t.name: rng.standard_normal([int(n) for n in t.shape]).astype("float32")
        for t in manifest.sampler_inputs
        if "noise" in t.role
    }
    request |= {"class_labels": np.array([1, 2]), "guidance_scale": np.array(3, np.float32)}
    found = followed(tmp_path / "models", made.folder.parent.name, request, schema)
    expected = Engine(file)(**request)
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def test_an_ensemble_appears_whole_or_not_at_all(
    captures: Captures, denoisers: dict[str, nn.Module], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk fails at the second of three renames, with nothing there before, and with a version there."""
    file = compiled(tmp_path, "ddim", captures, denoisers["tinydit"], layout="chunked:2", batch="dynamic")
    models, place = tmp_path / "models", writing._place

    def fails(*arguments: Any) -> None:
        if arguments[2].endswith("chunk-01"):
            raise OSError(28, "No space left on device")
        place(*arguments)

    def tree() -> Sequence[tuple[Path, bytes | None]]:
        return sorted((path, path.read_bytes() if path.is_file() else None) for path in models.rglob("*"))

    for force in (False, True):
        before = tree()
        with monkeypatch.context() as patch:
            patch.setattr(writing, "_place", fails)
            with pytest.raises(ExportError, match=r"cannot be written \(No space left on device\)"):
                lay_out(file, models, max_batch=0, force=force)
        assert tree() == before
        lay_out(file, models, force=force)
    with pytest.raises(ExportError, match=r"version=1 of .* exists; give another version, or --force"):
        lay_out(file, models)


@pytest.mark.parametrize("layout", ["step", "repeated:2"])
def test_a_graph_that_a_table_drives_is_refused(
    layout: str, captures: Captures, denoisers: dict[str, nn.Module], tmp_path: Path
) -> None:
    file = compiled(tmp_path, "ddim", captures, denoisers["tinydit"], layout=layout)
    with pytest.raises(ExportError, match=rf"is of layout '{layout}', whose calls are driven from a table"):
        lay_out(file, tmp_path / "models")
    assert not (tmp_path / "models").exists()


def test_modules_in_front_and_behind(captures: Captures, tmp_path: Path, schema: Any) -> None:
    """What the front gives goes from chunk to chunk, and the ensemble gives what the back makes."""
    sampler = Sampler(text_denoiser(), create("euler", 3), 2.0, pre=[text_encoder()], post=decoder())
    file = compile(sampler, layout="chunked:1", batch="dynamic", captures=captures).save(tmp_path / "p.onnx")
    lay_out(file, tmp_path / "models", name="picture", max_batch=4)
    rng = np.random.default_rng(0)
    ids = {name: rng.integers(0, 64, (2, 7)) for name in ("input_ids", "negative_input_ids")}
    request = {"noise": rng.standard_normal((2, 4, 4, 4)).astype("float32"), **ids}
    found = followed(tmp_path / "models", "picture", request, schema)
    assert found.shape == (2, 3, 8, 8)
    assert np.allclose(found, Engine(file)(**request), atol=1e-6)  # type: ignore[call-overload]

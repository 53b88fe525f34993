"""All layouts of a sampler give its sample: whole, in chunks, from tables, evaluation by evaluation, as a loop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from networks import TinyDiT, Unconditional, seeded
from torch import nn

from samplegraph.export import Captures, compile, compiler
from samplegraph.export.errors import ExportError
from samplegraph.export.verification.examples import example_inputs, run_eager_steps
from samplegraph.models import Sampler
from samplegraph.runtime import CancelledError, Engine, InputError
from samplegraph.schedulers import create, names
from samplegraph.schedulers.plans.plan import NotAffineError, plan

LAYOUTS = ("chunked:1", "chunked:3", "repeated:3", "step", "loop")
#: Fewer steps are so ill-conditioned on `digits` that eager itself changes by more than 1e-5.
STEPS = 8


def is_affine(name: str) -> bool:
    try:
        plan(create(name, STEPS))
    except NotAffineError:
        return False
    return True


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", names())
def test_every_layout_gives_the_sample(
    name: str, layout: str, captures: Captures, denoiser_of: Callable[[str], nn.Module], tmp_path: Path
) -> None:
    sampler = Sampler(denoiser_of(name), create(name, STEPS))
    if not layout.startswith("chunked") and (sampler.denoiser.input_shift or not is_affine(name)):
        with pytest.raises(ExportError, match=f"layout='{layout}' needs .*{name}"):
            compile(sampler, layout=layout, captures=captures)
        return
    program = compile(sampler, batch=2, layout=layout, captures=captures)
    asked = sum(map(bool, sampler.profile.evaluations))
    errors = program.verify(tolerance=2e-5 if name == "karras_ve" else 1e-5).errors  # from sigma 100 in 8 steps
    assert len(errors) == {"loop": 1, "step": asked, "repeated:3": asked}.get(layout, STEPS)
    engine = Engine(program.save(tmp_path / f"{program.manifest.name}.onnx"))
    inputs = example_inputs(sampler, program.signature, seed=5)
    expected = run_eager_steps(sampler, inputs)[-1]
    given = {k: v.numpy() for k, v in inputs.items()}
    found = engine(**given)
    assert np.abs(found - expected).max() <= 2e-5 * np.abs(expected).max()
    for file in tmp_path.glob("*.onnx"):
        onnx.checker.check_model(str(file), full_check=True)
        onnx.shape_inference.infer_shapes(onnx.load(file), strict_mode=True, data_prop=True)


@pytest.mark.parametrize("route", ["lowered", "traced"])
def test_a_chunk_hands_on_what_the_network_gave(
    route: str, captures: Captures, denoisers: dict[str, nn.Module], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Under a name of its own, where guidance combines nothing and the state is the network's output."""
    if route == "traced":
        monkeypatch.setattr(compiler, "lower_sampler", raises_type_error)
    program = compile(Sampler(denoisers["tiny"], create("pndm", 8), None), layout="chunked:2", captures=captures)
    assert program.verify().error <= 1e-5
    program.save(tmp_path / "x.onnx")
    for part in program.parts:
        assert [output.name for output in part.model.graph.outputs] == [t.name for t in part.manifest.outputs]
    assert "state_0" in [t.name for t in program.parts[0].manifest.outputs]


def raises_type_error(*_: object, **__: object) -> None:
    raise TypeError


def engine_of(layout: str, scheduler: str, steps: int, folder: Path, captures: Captures, *more: int) -> Engine:
    sampler = Sampler(seeded_net(), create(scheduler, steps), None)
    others = [Sampler(sampler.model, create(scheduler, n), None) for n in more]
    program = compile(sampler, batch=2, layout=layout, more=others, captures=captures)
    return Engine(program.save(folder / f"{program.manifest.name}.onnx"))


_NET: list[nn.Module] = []


def seeded_net() -> nn.Module:
    if not _NET:
        _NET.append(seeded(Unconditional()))
    return _NET[0]


@pytest.mark.parametrize("layout", ["chunked:2", "repeated:2", "step"])
def test_progress_previews_and_cancelling(layout: str, captures: Captures, tmp_path: Path) -> None:
    engine = engine_of(layout, "heun", 5, tmp_path, captures)
    told: list[tuple[int, int]] = []
    seen: list[tuple[int, tuple[int, ...]]] = []
    engine(
        seed=0,
        samples=3,
        progress=lambda done, total: told.append((done, total)),
        preview=lambda step, x0: seen.append((step, x0.shape)),
    )
    # Of 9 evaluations in calls of 2, the first call has one, which ends no step, and the last ends two.
    stops = {"chunked:2": [1, 3, 4], "repeated:2": [0, 1, 2, 4], "step": [0, 1, 2, 3, 4]}[layout]
    assert told == [(k + 1, 2 * len(stops)) for k in range(2 * len(stops))]
    shape = engine.manifest.sample_shape
    assert seen == [(s, (rows, *shape)) for rows in (2, 1) for s in stops]
    with pytest.raises(CancelledError, match=f"after step {stops[1] + 1}"):
        engine(seed=0, progress=lambda done, _: done < 2)
    with pytest.raises(CancelledError, match=f"after step {stops[0] + 1}"):
        engine(seed=0, preview=lambda step, _: False)


@pytest.mark.parametrize(
    ("layout", "remedy"), [("step", "make one with `samplegraph plan"), ("repeated:3", "export it with --steps 8,5")]
)
def test_one_graph_runs_every_step_count_it_has_a_table_for(
    layout: str, remedy: str, captures: Captures, tmp_path: Path
) -> None:
    engine = engine_of(layout, "euler_ancestral", 8, tmp_path, captures, 4, 12)
    for steps in (4, 8, 12):
        alone = engine_of("unrolled", "euler_ancestral", steps, tmp_path, captures)
        found, expected = engine(seed=3, steps=steps), alone(seed=3)
        assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
    with pytest.raises(InputError, match=f"tables for 4, 8, 12 steps; {remedy}"):
        engine(seed=3, steps=5)
    with pytest.raises(InputError, match="takes 4 steps; export one with --layout step"):
        engine_of("unrolled", "euler_ancestral", 4, tmp_path, captures)(seed=0, steps=5)


def test_chunks_of_different_exports_do_not_run(captures: Captures, tmp_path: Path) -> None:
    first = engine_of("chunked:2", "ddim", 4, tmp_path / "a", captures).path
    other = engine_of("chunked:2", "ddim", 4, tmp_path / "b", captures).path
    assert Engine(first.with_name(first.name.replace("00", "01")))(seed=0).shape[0] == 1
    last = first.with_name(first.name.replace("00", "01"))
    last.unlink()
    with pytest.raises(InputError, match=r"chunk-01\.onnx: is missing; put all 2 chunks into one folder"):
        Engine(first)
    alien = engine_of("chunked:2", "euler", 4, tmp_path / "c", captures).path
    last.write_bytes(alien.with_name(alien.name.replace("00", "01")).read_bytes())
    with pytest.raises(InputError, match="is not of the same export"):
        Engine(first)
    last.write_bytes(other.read_bytes())
    with pytest.raises(InputError, match="does not follow the chunk before it"):
        Engine(first)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_repeated_graphs_of_any_batch_and_precision(precision: str, captures: Captures, tmp_path: Path) -> None:
    """A network whose timestep and condition meet, so that the constants of all evaluations are stacked."""
    sampler = Sampler(seeded(TinyDiT()), create("dpm_multistep", 7), 2.0)
    batches = ["dynamic", 2]
    made = [compile(sampler, batch=b, layout="repeated:3", captures=captures, precision=precision) for b in batches]
    given = {k: v.numpy() for k, v in example_inputs(sampler, made[1].signature, seed=5).items()}
    samples = []
    for program, batch in zip(made, batches, strict=True):
        program.verify()
        samples.append(Engine(program.save(tmp_path / f"{batch}.onnx"))(**given))
    bound = {"fp32": 1e-5, "fp16": 1e-2}[precision]
    assert np.abs(samples[0] - samples[1]).max() <= bound * np.abs(samples[1]).max()
    known = made[0].manifest.recurrence
    assert known is not None
    assert known.constants is not None
    assert known.constants == made[1].manifest.recurrence.constants  # type: ignore[union-attr]
    assert (tmp_path / known.constants.file).stat().st_size == 4 * 7 * known.constants.width


def test_repeated_graphs_need_their_constants(captures: Captures, tmp_path: Path) -> None:
    path = engine_of("repeated:2", "ddim", 4, tmp_path, captures).path
    (file,) = tmp_path.glob("constants-*.bin")
    file.write_bytes(file.read_bytes()[:-4])
    with pytest.raises(InputError, match=r"constants-\w+\.bin: has \d+ bytes, not \d+; export the graph again"):
        Engine(path)
    file.unlink()
    with pytest.raises(InputError, match=r"its constants file '.*' cannot be read .*; put it beside the graph"):
        Engine(path)


@pytest.mark.parametrize("layout", ["chunked:0", "chunked:9", "chunked", "chunked:x", "repeated:9", "woven"])
def test_a_layout_that_does_not_fit_is_refused(layout: str, captures: Captures) -> None:
    with pytest.raises(ExportError, match=r"does not fit (steps=8|the 8 eval)|is not known; choose one of unrolled, "):
        compile(Sampler(seeded_net(), create("ddim", 8), None), layout=layout, captures=captures)


@pytest.mark.parametrize("layout", ["chunked:2", "repeated:2", "step", "loop"])
@pytest.mark.parametrize("options", [{"strength": 0.6}, {"inpaint": True}], ids=["image to image", "inpaint"])
def test_layouts_of_a_run_that_starts_in_the_middle(
    options: dict[str, object], layout: str, captures: Captures, tmp_path: Path
) -> None:
    sampler = Sampler(seeded_net(), create("dpm_multistep", 8), None, **options)  # type: ignore[arg-type]
    if "inpaint" in options and layout != "chunked:2":
        with pytest.raises(ExportError, match="cannot put the known part back"):
            compile(sampler, layout=layout, captures=captures)
        return
    program = compile(sampler, batch=2, layout=layout, captures=captures)
    program.verify()
    inputs = example_inputs(sampler, program.signature, seed=5)
    expected = run_eager_steps(sampler, inputs)[-1]
    engine = Engine(program.save(tmp_path / f"{program.manifest.name}.onnx"))
    found = engine(**{k: v.numpy() for k, v in inputs.items()})
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()

"""Chunks, evaluations and loops in the C++ runtime: the bits, positions, previews and errors of the Python runtime."""

from __future__ import annotations

import ctypes
import json
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from binding import NativeEngine, SamplegraphError
from both import inputs, refused
from networks import TinyUNet, seeded

from samplegraph.export import Captures, compile
from samplegraph.export.sampling.coefficients import further_table
from samplegraph.models import Sampler
from samplegraph.models.tokens import tokens
from samplegraph.runtime import Engine, InputError
from samplegraph.runtime.manifest import METADATA_KEY
from samplegraph.runtime.tables import plan_file, tables_json
from samplegraph.schedulers import create

Export = Callable[..., Path]
#: So that a few steps have jumps back in them.
OPTIONS: dict[str, dict[str, Any]] = {"repaint": {"jump_length": 2, "jump_n_sample": 2, "single_draw": True}}
#: Its steps draw, and nothing is drawn before them; ascending sigmas make NaN of ``sde-``.
OPTIONS["dpm_multistep_inverse"] = {"algorithm_type": "sde-dpmsolver++", "use_flow_sigmas": True}
CASES = [
    *[(name, "step") for name in ("dpm_multistep", "euler_ancestral", "ipndm", "heun", "ddim")],
    ("dpm_multistep", "chunked:2"),  # with a state
    ("euler_ancestral", "chunked:3"),
    ("ipndm", "chunked:1"),  # its first step evaluates nothing
    *[(name, "repeated:3") for name in ("dpm_multistep", "euler_ancestral", "heun")],
    ("ddim", "loop"),
    ("repaint", "chunked:3"),
    ("vq_diffusion", "chunked:2"),
    *[("dpm_multistep_inverse", layout) for layout in ("unrolled", "chunked:2", "step", "repeated:3", "loop")],
]
#: Each step of these is a large graph, or jumps back need a few.
STEPS = {"repaint": 6, "ipndm": 4, "vq_diffusion": 4}


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Export:
    """``export(scheduler, layout, batch=..., **start)`` -> a file, over small models captured once."""
    models, captures = {"float32": seeded(TinyUNet()), "int64": tokens()}, Captures()
    folder = tmp_path_factory.mktemp("layouts")

    def write(name: str, layout: str, *, batch: int | str = 2, **start: Any) -> Path:
        steps = STEPS.get(name, 5)
        path = folder / f"{name}-{layout}-{batch}-{steps}{'-'.join(start)}.onnx".replace(":", "")
        if layout.startswith("chunked"):
            path = path.with_suffix(".chunk-00.onnx")
        if not path.exists():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                scheduler = create(name, steps, **OPTIONS.get(name, {}))
                sampler = Sampler(models[scheduler.sample_dtype], scheduler, **start)
                saved = compile(sampler, batch=batch, layout=layout, captures=captures).save(
                    path.with_name(path.name.replace(".chunk-00", ""))
                )
            assert saved == path
        return path

    return write


@pytest.mark.parametrize(("name", "layout"), CASES)
def test_samples_and_positions(
    library: ctypes.CDLL, onnxruntime: Path, export: Export, name: str, layout: str
) -> None:
    path = export(name, layout)
    python = Engine(path)
    given = inputs(python.manifest, 3)
    told: list[tuple[int, int]] = []
    shown: list[tuple[int, Any]] = []
    theirs = python(
        seed=[4, 5, 6],
        progress=lambda *each: told.append(each),
        preview=lambda step, x0: shown.append((step, x0.copy())),
        **given,
    )
    places: list[tuple[int, int]] = []
    rows: list[tuple[int, int]] = []
    seen: list[tuple[int, int, Any]] = []

    def watch(position: Any, x0: Any) -> None:
        places.append((position.done, position.total))
        rows.append((position.first_row, position.shape[0]))
        if x0 is not None:
            seen.append((position.step, position.first_row, x0))

    with NativeEngine(library, path, onnxruntime) as native:
        ours = native(seed=[4, 5, 6], watch=watch, **given)
        progress: list[tuple[int, int]] = []
        assert native(seed=[4, 5, 6], progress=lambda *each: progress.append(each), **given).tobytes() == ours.tobytes()
    assert ours.tobytes() == theirs.tobytes()
    assert places == progress == told
    assert rows == [(0, 2)] * (len(told) // 2) + [(2, 1)] * (len(told) // 2)
    assert [step for step, _, _ in seen] == [step for step, _ in shown]
    assert all(a[2].tobytes() == b[1].tobytes() for a, b in zip(seen, shown, strict=True))
    assert {row for _, row, _ in seen} == ({0, 2} if shown else set())


@pytest.mark.parametrize("layout", ["chunked:2", "step"])
@pytest.mark.parametrize("start", [{"strength": 0.9}, {"inpaint": True}], ids=str)
def test_samples_that_start_from_one(
    library: ctypes.CDLL, onnxruntime: Path, export: Export, layout: str, start: dict[str, Any]
) -> None:
    if layout == "step" and "inpaint" in start:
        pytest.skip("not linear")
    path = export("ddpm" if "inpaint" in start else "dpm_multistep", layout, batch="dynamic", **start)
    python = Engine(path)
    given = inputs(python.manifest, 3)
    with NativeEngine(library, path, onnxruntime) as native:
        for rows in (1, 3):
            own = {key: value[:rows] for key, value in given.items()}
            assert native(seed=1, **own).tobytes() == python(seed=1, **own).tobytes()


def test_an_inversion_by_evaluations(library: ctypes.CDLL, onnxruntime: Path, export: Export) -> None:
    path = export("ddim_inverse", "step")
    given = inputs(Engine(path).manifest, 2)
    with NativeEngine(library, path, onnxruntime) as native:
        assert native(**given).tobytes() == Engine(path)(**given).tobytes()


@pytest.mark.parametrize("layout", ["chunked:3", "step"])
def test_both_callbacks_cancel(library: ctypes.CDLL, onnxruntime: Path, export: Export, layout: str) -> None:
    path, part = export("ddim", layout), layout.partition(":")[0].replace("chunked", "chunk")
    total = {"step": 5, "chunk": 2}[part]
    with NativeEngine(library, path, onnxruntime) as native:
        for watching in ({"progress": lambda done, _: done == 2}, {"watch": lambda position, _: position.done == 2}):
            with pytest.raises(SamplegraphError, match=f"cancelled after 2 of {total} {part}s") as caught:
                native(seed=0, class_labels=1, **watching)
            assert caught.value.code == 5
        with native.stop() as stop:
            stopping = {"watch": lambda position, _: stop.request() if position.done == 1 else None}
            with pytest.raises(SamplegraphError, match=f"cancelled after 1 of {total} {part}s"):
                native(seed=0, class_labels=1, stop=stop, **stopping)
        assert native(seed=0, class_labels=1).tobytes() == Engine(path)(seed=0, class_labels=1).tobytes()


def test_a_set_that_is_not_whole(library: ctypes.CDLL, onnxruntime: Path, export: Export, tmp_path: Path) -> None:
    first = export("ddim", "chunked:3")
    names = [first.name.replace("-00", f"-0{k}") for k in range(2)]
    files = [tmp_path / name for name in names]
    weights = list(first.parent.glob("*.bin"))

    def restore() -> None:
        for file in [*files, *(tmp_path / each.name for each in weights)]:
            file.write_bytes((first.parent / file.name).read_bytes())

    restore()
    with NativeEngine(library, files[1], onnxruntime) as native:  # any of them stands for the set
        assert native(seed=0, class_labels=1).tobytes() == Engine(first)(seed=0, class_labels=1).tobytes()
    files[1].unlink()
    assert "is missing; put all 2 chunks into one folder" in refused(library, files[0], onnxruntime)
    files[1].write_bytes(files[0].read_bytes())
    assert "does not follow the chunk before it" in refused(library, files[0], onnxruntime)
    other = export("ddim", "chunked:3", batch=1)
    files[1].write_bytes(other.with_name(other.name.replace("-00", "-01")).read_bytes())
    assert "is not of the same export" in refused(library, files[0], onnxruntime)
    restore()
    renamed = files[0].rename(tmp_path / "first.onnx")
    assert "is not called so; name it <stem>.chunk-00.onnx again" in refused(library, renamed, onnxruntime)
    (tmp_path / files[0].name).write_bytes(_carrying_another_type(first).SerializeToString())
    with pytest.raises(SamplegraphError, match="does not follow the chunk before it"):
        NativeEngine(library, files[1], onnxruntime)


def _edited(path: Path, change: Callable[[dict[str, Any]], None]) -> onnx.ModelProto:
    """The graph with another manifest."""
    model = onnx.load(path, load_external_data=False)
    data = json.loads(next(p.value for p in model.metadata_props if p.key == METADATA_KEY))
    change(data)
    onnx.helper.set_model_props(model, {METADATA_KEY: json.dumps(data)})
    return model


def _carrying_another_type(path: Path) -> onnx.ModelProto:
    def change(data: dict[str, Any]) -> None:
        next(t for t in data["outputs"] if t["role"] == "x0")["shape"][-1] = 1

    return _edited(path, change)


def test_step_counts_of_the_manifest_and_of_a_plan(
    library: ctypes.CDLL, onnxruntime: Path, export: Export, run_cli: Callable[..., Any], tmp_path: Path
) -> None:
    path = export("euler_ancestral", "step")
    python = Engine(path)
    known = python.manifest.recurrence
    assert known is not None
    network = seeded(TinyUNet())
    tables = [
        further_table(Sampler(network, create("euler_ancestral", n)), known)
        for n in (1, 4, 9)
    ]
    plan_file(path).write_text(tables_json(known, tables))
    try:
        with NativeEngine(library, path, onnxruntime) as native:
            assert native.step_counts == [5, 1, 4, 9]
            for steps in (0, 5, 1, 4, 9):
                theirs = python(seed=3, samples=3, class_labels=2, steps=steps or None)
                assert native(seed=3, samples=3, class_labels=2, steps=steps).tobytes() == theirs.tobytes()
            with pytest.raises(InputError) as expected:
                python(seed=0, class_labels=1, steps=7)
            with pytest.raises(SamplegraphError) as found:
                native(seed=0, class_labels=1, steps=7)
            assert str(found.value) == str(expected.value)
        out = tmp_path / "out.npy"
        done = run_cli(path, "--steps", 4, "--seed", 3, "--set", "class_labels=2", "--output", out)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        assert np.load(out).tobytes() == python(seed=3, class_labels=2, steps=4).tobytes()
        done = run_cli(path, "--steps", 7, "--set", "class_labels=2", "--output", out)
        assert (done.returncode, done.stderr) == (2, f"error: {expected.value}\n")
        plan_file(path).write_text(tables_json(replace(known, sampler="0"), tables))
        with NativeEngine(library, path, onnxruntime) as native:
            native(seed=0, class_labels=1)
            with pytest.raises(SamplegraphError, match=r"plan\.json: cannot be used \(it is for another sampler\)"):
                native(seed=0, class_labels=1, steps=4)
    finally:
        plan_file(path).unlink()


def test_step_counts_of_an_inversion_that_draws(library: ctypes.CDLL, onnxruntime: Path, export: Export) -> None:
    path = export("dpm_multistep_inverse", "step")
    python = Engine(path)
    known, given = python.manifest.recurrence, inputs(python.manifest, 3)
    assert known is not None
    sampler = Sampler(seeded(TinyUNet()), create("dpm_multistep_inverse", 3, **OPTIONS["dpm_multistep_inverse"]))
    plan_file(path).write_text(tables_json(known, [further_table(sampler, known)]))
    with NativeEngine(library, path, onnxruntime) as native:
        for steps in (3, 5):
            assert native(seed=1, steps=steps, **given).tobytes() == python(seed=1, steps=steps, **given).tobytes()


def test_constants_of_a_repeated_graph(
    library: ctypes.CDLL, onnxruntime: Path, export: Export, tmp_path: Path
) -> None:
    first = export("heun", "repeated:3")
    known = Engine(first).manifest.recurrence
    assert known is not None
    assert known.constants is not None
    for file in (first, *first.parent.glob("*.bin")):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    path, constants = tmp_path / first.name, tmp_path / known.constants.file
    with NativeEngine(library, path, onnxruntime) as native:
        assert native.step_counts == [5]
        errors = []
        for engine in (native, Engine(path)):
            with pytest.raises((InputError, SamplegraphError)) as found:
                engine(seed=0, class_labels=1, steps=7)
            errors.append(str(found.value))
        assert errors[0] == errors[1]
        assert errors[0].endswith("has tables for 5 steps; export it with --steps 5,7")
    constants.write_bytes(constants.read_bytes()[:-4])
    assert "export the graph again" in refused(library, path, onnxruntime)
    constants.unlink()
    assert "put it beside the graph" in refused(library, path, onnxruntime)
    for fields, words in (({"file": "../x"}, r"constants\.file is '../x'"), ({"rows": 1}, "constants that are not")):
        damaged = _edited(first, lambda data, own=fields: data["recurrence"]["constants"].update(own))
        path.write_bytes(damaged.SerializeToString())
        with pytest.raises(SamplegraphError, match=words):
            NativeEngine(library, path, onnxruntime)
        with pytest.raises(InputError, match=words):
            Engine(path)


def test_steps_of_another_layout(library: ctypes.CDLL, onnxruntime: Path, export: Export) -> None:
    path = export("ddim", "loop")
    with NativeEngine(library, path, onnxruntime) as native:
        assert native.step_counts == [5]
        for steps, words in ((7, f"steps=7: {path} takes 5 steps; export one"), (-1, "steps=-1 is not allowed")):
            with pytest.raises(SamplegraphError, match="steps=") as found:
                native(seed=0, class_labels=1, steps=steps)
            assert str(found.value).startswith(words)


def _table(change: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
    def damage(data: dict[str, Any]) -> None:
        change(data["recurrence"]["tables"][0])

    return damage


def _input(role: str, **fields: Any) -> Callable[[dict[str, Any]], None]:
    def damage(data: dict[str, Any]) -> None:
        next(t for t in data["inputs"] if t["role"] == role).update(fields)

    return damage


DAMAGES: dict[str, Callable[[dict[str, Any]], None]] = {
    "is not of one length": _table(lambda t: t["step_of"].pop()),
    "does not fit": _table(lambda t: t["coefficients"][1][0].pop()),
    "reads slices that are not there": _table(lambda t: t["slices"][0].append(1000)),
    "has more steps": _table(lambda t: t["step_of"].__setitem__(0, 99)),
    "step_of is -1": _table(lambda t: t["step_of"].__setitem__(0, -1)),
    "contradict each other": _table(lambda t: t.update(noise_slices=9)),
    "has no registers or no tables": lambda data: data["recurrence"].update(tables=[]),
    "do not go together": lambda data: data.update(recurrence=None),
    "coefficients does not fit": _input("coefficients", shape=[1, 1]),
    "sample_in does not fit": _input("carried", shape=[2, 1, 16, 1]),
    "do not hold all registers": lambda data: data["inputs"].__setitem__(
        slice(None), [t for t in data["inputs"] if t["role"] != "carried"]
    ),
}


@pytest.mark.parametrize("reason", DAMAGES)
def test_a_damaged_table(library: ctypes.CDLL, onnxruntime: Path, export: Export, tmp_path: Path, reason: str) -> None:
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(_edited(export("euler_ancestral", "step"), DAMAGES[reason]).SerializeToString())
    with pytest.raises(SamplegraphError, match=f"the manifest is damaged .*{reason}") as found:
        NativeEngine(library, damaged, onnxruntime)
    assert found.value.code == 2


@pytest.mark.parametrize("name", ["euler_ancestral", "dpm_multistep_inverse"])
def test_slices_of_another_size_than_the_sample(
    library: ctypes.CDLL, onnxruntime: Path, export: Export, tmp_path: Path, name: str
) -> None:
    def change(data: dict[str, Any]) -> None:
        next(t for t in data["caller"] if t["role"] == "step_noise")["shape"][-1] = 1

    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(_edited(export(name, "step"), change).SerializeToString())
    with pytest.raises(SamplegraphError, match=r"the manifest is damaged .*step_noise "):
        NativeEngine(library, damaged, onnxruntime)


def test_describe_of_a_part_shows_what_a_caller_gives(run_cli: Callable[..., Any], export: Export) -> None:
    for layout in ("chunked:3", "step"):
        done = run_cli(export("euler_ancestral", layout), "--describe")
        assert done.returncode == 0, done.stderr
        given = done.stdout.split("outputs")[0]
        assert "step_noise" in given
        assert "_in " not in given

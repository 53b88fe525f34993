"""Reads a manifest from JSON and checks it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, TypeVar

from samplegraph.runtime.errors import InputError
from samplegraph.runtime.manifest import (
    DTYPES,
    FORMAT,
    FORMAT_VERSION,
    ROLES,
    TASKS,
    BindingCost,
    Chunk,
    CoefficientTable,
    Constants,
    EngineInfo,
    Evaluation,
    GuidancePlan,
    Manifest,
    Model,
    NoisePlan,
    OptimizedFor,
    Recurrence,
    SchedulerInfo,
    Stage,
    Tables,
    Tensor,
    Weights,
)

T = TypeVar("T")
#: Layouts that a table drives.
RECURRENT = ("step", "repeated")
#: The largest number of a manifest.
LARGEST = 2**63


def parse_manifest(text: str, source: str = "manifest") -> Manifest:
    """The manifest in ``text``, checked.

    Raises:
        InputError: not JSON, not a samplegraph manifest, from a newer version, or with a field missing.
    """
    try:
        data = json.loads(text, parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{source}: the manifest is not JSON ({error}); export the file again") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise InputError(f"{source}: not a samplegraph manifest; give a file that `samplegraph export` wrote")
    version = data.get("format_version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise InputError(f"{source}: format_version={version!r} is not a version; export the file again")
    if version > FORMAT_VERSION:
        raise InputError(
            f"{source}: manifest version {version} is newer than this runtime, which reads up to {FORMAT_VERSION}; "
            "update samplegraph"
        )
    try:
        return _parse(data)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        reason = f"{type(error).__name__}: {error}".replace("\n", " ")
        raise InputError(f"{source}: the manifest is damaged ({reason}); export the file again") from error


def _build(cls: type[T], data: Mapping[str, Any]) -> T:
    """``cls`` from the keys of ``data`` that it knows; lists become tuples, and values have the declared types."""
    known = {f.name: str(f.type) for f in fields(cls)}  # type: ignore[arg-type]
    return cls(**{k: _typed(k, v, known[k]) for k, v in dict(data).items() if k in known})


def _typed(name: str, value: Any, declared: str) -> Any:
    """``value`` if it is what a field declared ``int``, ``float``, ``str``, a tuple or a mapping may hold.

    Raises:
        ValueError: it is not; a number too large for any table counts as none.
    """
    kind, _, optional = declared.partition(" | ")
    if value is None and optional == "None":
        return None
    kind = kind.partition("[")[0]
    types: Any = {"int": int, "float": (int, float), "str": str, "bool": bool}.get(kind)
    types = {"tuple": (list, tuple), "Mapping": dict}.get(kind, types)
    if types is None:
        return value
    number = kind in ("int", "float")
    if not isinstance(value, types) or (number and (isinstance(value, bool) or abs(value) > LARGEST)):
        raise ValueError(f"{name} is not of type {kind}")
    return tuple(value) if isinstance(value, list) else value


def _finite(text: str) -> float:
    """A JSON number; Python also reads NaN, Infinity, and 1e999 as infinity."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not a finite number")
    return value


def _parse(data: dict[str, Any]) -> Manifest:
    tables = dict(data["tables"])
    tables["evaluations"] = [_build(Evaluation, e) for e in tables["evaluations"]]
    for name in ("timesteps", "alphas", "sigmas"):
        tables[name] = [float(v) for v in tables[name]]
    rows = tables.get("coefficients", [])
    tables["coefficients"] = [{str(k): float(v) for k, v in dict(row).items()} for row in rows]
    tables["visited"] = [str(name) for name in tables.get("visited", [])]
    manifest = Manifest(
        name=str(data["name"]),
        layout=str(data["layout"]),
        model=_build(Model, data["model"]),
        scheduler=_build(SchedulerInfo, data["scheduler"]),
        tables=_build(Tables, tables),
        guidance=_build(GuidancePlan, {**data["guidance"], "scales": _scales(data["guidance"].get("scales", []))}),
        noise=_build(NoisePlan, data["noise"]),
        inputs=tuple(_tensor(t) for t in data["inputs"]),
        outputs=tuple(_tensor(t) for t in data["outputs"]),
        weights=_build(Weights, data["weights"]),
        versions={str(k): str(v) for k, v in dict(data["versions"]).items()},
        bindings={str(k): _build(BindingCost, v) for k, v in dict(data.get("bindings", {})).items()},
        specialised={str(k): int(v) for k, v in dict(data.get("specialised", {})).items()},
        optimized_for=_build(OptimizedFor, data["optimized_for"]) if data.get("optimized_for") else None,
        precision=str(data.get("precision", "fp32")),
        keep_fp32=tuple(str(pattern) for pattern in data.get("keep_fp32", [])),
        task=str(data.get("task", "generate")),
        caller=tuple(_tensor(t) for t in data.get("caller", ())),
        results=tuple(_tensor(t) for t in data.get("results", ())),
        pre=tuple(_build(Stage, stage) for stage in data.get("pre", ())),
        post=_build(Stage, data["post"]) if data.get("post") else None,
        sample=_tensor(data["sample"]) if data.get("sample") else None,
        chunk=_chunk(data.get("chunk")),
        recurrence=_recurrence(data.get("recurrence")),
        engine=_engine(data.get("engine")),
        format_version=data["format_version"],
    )
    if not manifest.outputs or (manifest.input("noise") is None and manifest.input("init_sample") is None):
        raise ValueError("it names no noise input and no init_sample, or no output")
    if manifest.task not in TASKS:
        raise ValueError(f"task is {manifest.task!r}")
    if (manifest.layout.partition(":")[0] in RECURRENT) != (manifest.recurrence is not None):
        raise ValueError(f"layout {manifest.layout!r} and the table of coefficients do not go together")
    if manifest.recurrence is not None and (manifest.pre or manifest.post or manifest.results):
        raise ValueError("a table of coefficients drives no module in front or behind")
    if manifest.results and manifest.chunk is None:
        raise ValueError("its result is not its graph's output, and it is no chunk")
    _whole("noise.slices", manifest.noise.slices, 0)
    steps = manifest.input("step_noise")
    slices = (0,) if steps is None else steps.shape[:2]  # (K, B, ...), or (B, K, ...) in a form that merges calls
    if manifest.noise.slices not in slices:
        raise ValueError("step_noise and noise.slices contradict each other")
    if manifest.noise.kind not in ("normal", "uniform"):
        raise ValueError(f"noise.kind is {manifest.noise.kind!r}")
    _whole("scheduler.steps", manifest.scheduler.steps, 1)
    _whole("scheduler.nfe", manifest.scheduler.nfe, 0)
    if manifest.optimized_for is not None:
        _whole("optimized_for.channel_block", manifest.optimized_for.channel_block, 0)
    _whole("scheduler.begin", manifest.scheduler.begin, 0)
    return manifest


def _scales(data: Iterable[Any]) -> list[float | None]:
    return [None if scale is None else float(scale) for scale in data]


def _engine(data: Mapping[str, Any] | None) -> EngineInfo | None:
    if data is None:
        return None
    files = {str(name): str(digest) for name, digest in dict(data.get("weight_files", {})).items()}
    made = _build(EngineInfo, {**data, "weight_files": files})
    _whole("engine.bytes", made.bytes, 1)
    for rows in made.batch:
        _whole("engine.batch", rows, 1)
    if len(made.batch) not in (0, 3) or list(made.batch) != sorted(made.batch):
        raise ValueError(f"engine.batch is {made.batch}")
    return made


def _chunk(data: Mapping[str, Any] | None) -> Chunk | None:
    if data is None:
        return None
    chunk = _build(Chunk, data)
    for name, value in (*zip(("slices", "slices"), chunk.slices, strict=True), ("index", chunk.index)):
        _whole(f"chunk.{name}", value, 0)
    if not (chunk.index < chunk.count and 0 <= chunk.first < chunk.last and chunk.slices[0] <= chunk.slices[1]):
        raise ValueError(f"chunk is {chunk}")
    return chunk


def _recurrence(data: Mapping[str, Any] | None) -> Recurrence | None:
    if data is None:
        return None
    own: dict[str, Any] = {"tables": [coefficient_table(t) for t in data["tables"]]}
    if data.get("constants") is not None:
        own["constants"] = found = _build(Constants, data["constants"])
        _whole("constants.rows", found.rows, 1)
        _whole("constants.width", found.width, 1)
        if not found.file or set(found.file) & set("/\\\0") or found.file in (".", ".."):
            raise ValueError(f"constants.file is {found.file!r}")
    made = _build(Recurrence, {**data, **own})
    _whole("recurrence.slices", made.slices, 0)
    _whole("recurrence.evaluations", made.evaluations, 1)
    if not made.registers or not made.tables:
        raise ValueError("recurrence has no registers or no tables")
    for table in made.tables:
        table.check(len(made.registers), made.slices)
        if made.constants and not 0 <= table.first_constants <= made.constants.rows - len(table.step_of):
            raise ValueError(f"the table of {table.steps} steps reads constants that are not there")
    return made


def coefficient_table(data: Mapping[str, Any]) -> CoefficientTable:
    """A table as JSON has it; numbers and their count are checked.

    Raises:
        ValueError, TypeError, KeyError: it is damaged.
    """
    rows = tuple(tuple(tuple(float(c) for c in row) for row in rows) for rows in data["coefficients"])
    slices = tuple(tuple(int(k) for k in one) for one in data["slices"])
    own = {"coefficients": rows, "slices": slices, "step_of": tuple(int(i) for i in data["step_of"])}
    return _build(CoefficientTable, {**data, **own, "timesteps": tuple(float(t) for t in data["timesteps"])})


def _tensor(data: Mapping[str, Any]) -> Tensor:
    tensor = _build(Tensor, data)
    if tensor.dtype not in DTYPES or tensor.role not in ROLES or not isinstance(tensor.name, str):
        raise ValueError(f"tensor {tensor.name!r} has dtype {tensor.dtype!r} and role {tensor.role!r}")
    for axis in tensor.shape:
        if not isinstance(axis, str):
            _whole(f"an axis of {tensor.name}", axis, 1)
    for bound in (tensor.default, tensor.minimum, tensor.maximum):
        if bound is not None and (isinstance(bound, bool) or not isinstance(bound, int | float)):
            raise ValueError(f"a limit of {tensor.name} is {bound!r}")
    return tensor


def _whole(name: str, value: object, low: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise ValueError(f"{name} is {value!r}")

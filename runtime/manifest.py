"""The manifest: everything a runtime needs to know about a compiled sampler, as versioned JSON.

It travels in the ONNX file's ``metadata_props`` under ``METADATA_KEY`` and in a sidecar beside it, ``<file>.json``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, TypeVar

from samplegraph.runtime.errors import InputError

FORMAT = "samplegraph"
FORMAT_VERSION = 1
METADATA_KEY = "samplegraph.manifest"
#: Keywords of a runtime's call, which no condition can be called.
RESERVED = ("seed", "samples", "rng", "progress", "preview", "steps")
DTYPES = ("float32", "float16", "bfloat16", "float64", "int64", "int32", "bool")
ROLES = (
    *("noise", "step_noise", "condition", "negative", "guidance_scale", "sample", "image", "mask", "init_sample"),
    *("carried", "x0", "timestep", "coefficients"),
)
#: What a sampler is for: ``init_sample`` is given for all but the first.
TASKS = ("generate", "image_to_image", "inpaint", "invert")


@dataclass(frozen=True)
class Tensor:
    """One input or output of the graph.

    Args:
        shape: axes in order; a string names a symbolic axis (``"batch"``).
        role: what it is, one of ``ROLES``.
        default: value used where the caller gives none; None if it has to be given.
        minimum, maximum: allowed values, both included; None if unlimited.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]
    role: str
    description: str = ""
    default: float | None = None
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True)
class Model:
    """The denoiser: its name, what it predicts, and the declared noise schedule (None: the scheduler's)."""

    name: str
    prediction_type: str
    timestep_dtype: str
    noise_schedule: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class SchedulerInfo:
    """The scheduler with all its options, N steps, its order and number of denoiser evaluations.

    Steps ``begin`` to N - 1 are taken: all, unless the sampler starts from an image.
    """

    name: str
    config: Mapping[str, Any]
    steps: int
    nfe: int
    order: int
    begin: int = 0


@dataclass(frozen=True)
class Evaluation:
    """One denoiser evaluation: in which step, at which timestep, where x = alpha * x0 + sigma * eps."""

    step: int
    timestep: float
    alpha: float
    sigma: float
    input_scale: float


@dataclass(frozen=True)
class Tables:
    """The exact grid (N or more points plus the final one) and a digest of the sampler's coefficients.

    ``coefficients`` has one entry per step taken where the sampler is affine: the next sample as a linear combination
    of ``x``, ``state_j``, the network's outputs ``output_j``, clipped predictions ``clean_j`` and draws ``noise_j``.
    ``visited`` names the value of the graph that holds the sample after each step.
    """

    timesteps: tuple[float, ...]
    alphas: tuple[float, ...]
    sigmas: tuple[float, ...]
    evaluations: tuple[Evaluation, ...]
    sha256: str
    coefficients: tuple[Mapping[str, float], ...] = ()
    visited: tuple[str, ...] = ()


@dataclass(frozen=True)
class GuidancePlan:
    """Classifier-free guidance: ``mode`` is ``none``, ``baked``, ``input`` or ``per_step``.

    Rows of the denoiser's batch are ordered [unconditional, conditional].

    Args:
        scale: the baked or default scale.
        scales: that of each evaluation, where they differ; None where it is the input, 1 where there is the conditional
            branch alone.
        interval: where guidance applies, as ``sigma:0.3,5.0`` or ``steps:0.2,0.8``; None if everywhere.
        rescale: how much of the guided output's deviation is brought back to the conditional one's (arXiv:2305.08891).
    """

    mode: str
    scale: float | None = None
    conditions: tuple[str, ...] = ()
    scales: tuple[float | None, ...] = ()
    interval: str | None = None
    rescale: float = 0.0


@dataclass(frozen=True)
class NoisePlan:
    """K slices of unit normal ``step_noise`` in the order in which the steps draw them; which step draws each."""

    slices: int
    steps: tuple[int, ...]
    init_noise_sigma: float
    kind: Literal["normal", "uniform"] = "normal"


@dataclass(frozen=True)
class Weights:
    """A digest of all weights in graph order, their bytes, and the files that hold them, relative to the graph.

    ``file`` is the first of ``files``, or None where all are embedded: ``weights-<digest>.bin``, written for the graph,
    else a safetensors checkpoint that it refers to.
    """

    sha256: str
    bytes: int
    file: str | None = None
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class OptimizedFor:
    """What the graph was optimised for, offline: ONNX Runtime loads it as it stands, on its CPU provider only.

    Args:
        provider: ``cpu``.
        onnxruntime: the version that wrote it; an older one may lack its operators.
        channel_block: channels per block of its convolutions (8 with AVX2, 16 with AVX-512); 0 runs on every CPU.
        prepack: whether weights are packed at load: that takes time and memory, and runs a little faster.
        file: the weights that optimising made, beside the graph; None if they are inside.
        bytes: of that file.
    """

    provider: str
    onnxruntime: str
    channel_block: int = 0
    prepack: bool = True
    file: str | None = None
    bytes: int = 0


@dataclass(frozen=True)
class Chunk:
    """Place of a graph in a set: steps ``first`` to ``last - 1``, which draw ``slices`` ``[from, to)``."""

    index: int
    count: int
    first: int
    last: int
    slices: tuple[int, int]


@dataclass(frozen=True)
class CoefficientTable:
    """What drives a graph of one evaluation through a sampler of N steps.

    Args:
        init_noise_sigma: factor of unit noise, and
        init_sample_scale: of ``init_sample``, in the first sample; the other registers start at zero.
        evaluations: which step each belongs to, and the timestep that the network is told.
        slices: per evaluation, the slices of ``step_noise`` that it reads.
        noise_slices: how many slices there are.
        coefficients: per evaluation, rows (network's input, x0, next registers) over (registers, slices, output, x0).
    """

    steps: int
    init_noise_sigma: float
    noise_slices: int
    step_of: tuple[int, ...]
    timesteps: tuple[float, ...]
    slices: tuple[tuple[int, ...], ...]
    coefficients: tuple[tuple[tuple[float, ...], ...], ...]
    init_sample_scale: float = 0.0

    def check(self, registers: int, slices: int) -> None:
        """Whether all parts have the same number of evaluations and fit that many registers and slices.

        Raises:
            ValueError: they do not.
        """
        e, wide = len(self.coefficients), registers + slices + 2
        if not e or {len(self.step_of), len(self.timesteps), len(self.slices)} != {e}:
            raise ValueError(f"the table of {self.steps} steps is not of one length")
        if any(len(rows) != 2 + registers or any(len(row) != wide for row in rows) for rows in self.coefficients):
            raise ValueError(f"the table of {self.steps} steps does not fit {registers} registers and {slices} slices")
        if any(len(s) > slices or not all(0 <= k < self.noise_slices for k in s) for s in self.slices):
            raise ValueError(f"the table of {self.steps} steps reads slices that are not there")
        if any(not 0 <= i < self.steps for i in self.step_of):
            raise ValueError(f"the table of {self.steps} steps has more steps")


@dataclass(frozen=True)
class Recurrence:
    """A sampler as linear maps on ``registers``, the sample first: one row of ``tables`` per evaluation.

    ``slices`` is the most draws that one evaluation reads, ``sampler`` a digest of what the tables depend on besides N.
    """

    registers: tuple[str, ...]
    slices: int
    clip: float | None
    sampler: str
    tables: tuple[CoefficientTable, ...]


@dataclass(frozen=True)
class BindingCost:
    """Nodes, floating-point operations and bytes written by one evaluation's part of one binding class."""

    nodes: int
    flops: int
    bytes: int


@dataclass(frozen=True)
class Manifest:
    """All of it. ``layout`` is ``unrolled``, ``chunked:K``, ``step`` or ``loop``, ``task`` one of ``TASKS``;
    ``versions`` names the tools that wrote the file. ``caller`` are the inputs of the sampler where they are not those
    of the graph, which then is one of a set (``chunk``) or one evaluation (``recurrence``).

    ``bindings`` says what one denoiser evaluation consists of, by what it depends on; ``specialised`` counts the
    denoiser's nodes by what became of them: folded, hoisted, batched over steps, in front per site, per site.
    ``precision`` is what the network computes in, but for what the patterns ``keep_fp32`` name; inputs, output and all
    of the sampler around it are float32. ``optimized_for`` is None for the plain graph, which runs anywhere.
    """

    name: str
    layout: str
    model: Model
    scheduler: SchedulerInfo
    tables: Tables
    guidance: GuidancePlan
    noise: NoisePlan
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    weights: Weights
    versions: Mapping[str, str] = field(default_factory=dict)
    bindings: Mapping[str, BindingCost] = field(default_factory=dict)
    specialised: Mapping[str, int] = field(default_factory=dict)
    optimized_for: OptimizedFor | None = None
    precision: str = "fp32"
    keep_fp32: tuple[str, ...] = ()
    task: str = "generate"
    caller: tuple[Tensor, ...] = ()
    chunk: Chunk | None = None
    recurrence: Recurrence | None = None
    format: str = FORMAT
    format_version: int = FORMAT_VERSION

    def input(self, role: str) -> Tensor | None:
        """The first input of that role that a caller gives."""
        return next((t for t in self.sampler_inputs if t.role == role), None)

    @property
    def sampler_inputs(self) -> tuple[Tensor, ...]:
        """What a caller of the sampler gives: ``caller``, or the graph's inputs where those are the same."""
        return self.caller or self.inputs

    @property
    def batch(self) -> int | None:
        """Rows per call, or None where the batch axis is symbolic."""
        rows = self.outputs[0].shape[0]
        return rows if isinstance(rows, int) else None

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of one sample, without the batch axis."""
        return tuple(int(n) for n in self.outputs[0].shape[1:])

    def to_json(self) -> str:
        """Stable JSON: sorted keys, one value for one manifest."""
        return json.dumps(asdict(self), sort_keys=True, indent=1, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str, source: str = "manifest") -> Manifest:
        """Parse and check.

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


T = TypeVar("T")
#: The largest number of a manifest.
LARGEST = 2**63


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
        chunk=_chunk(data.get("chunk")),
        recurrence=_recurrence(data.get("recurrence")),
        format_version=data["format_version"],
    )
    if not manifest.outputs or (manifest.input("noise") is None and manifest.input("init_sample") is None):
        raise ValueError("it names no noise input and no init_sample, or no output")
    if manifest.input("noise") is None and manifest.input("step_noise") is not None:
        raise ValueError("it has step_noise but no noise")
    if manifest.task not in TASKS:
        raise ValueError(f"task is {manifest.task!r}")
    if (manifest.layout == "step") != (manifest.recurrence is not None):
        raise ValueError(f"layout {manifest.layout!r} and the table of coefficients do not go together")
    _whole("noise.slices", manifest.noise.slices, 0)
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
    made = _build(Recurrence, {**data, "tables": [coefficient_table(t) for t in data["tables"]]})
    _whole("recurrence.slices", made.slices, 0)
    if not made.registers or not made.tables:
        raise ValueError("recurrence has no registers or no tables")
    for table in made.tables:
        table.check(len(made.registers), made.slices)
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

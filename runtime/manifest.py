"""The manifest: everything a runtime needs to know about a compiled sampler, as versioned JSON.

It travels in the ONNX file's ``metadata_props`` under ``METADATA_KEY`` and in a sidecar beside it, ``<file>.json``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from samplegraph.runtime.engine_info import EngineInfo
from samplegraph.runtime.manifest_layouts import CARRIED, Chunk, CoefficientTable, Constants, Recurrence
from samplegraph.runtime.manifest_stages import Stage

__all__ = [
    "CARRIED",
    "DTYPES",
    "FORMAT",
    "FORMAT_VERSION",
    "METADATA_KEY",
    "RESERVED",
    "ROLES",
    "TASKS",
    "BindingCost",
    "Chunk",
    "CoefficientTable",
    "Constants",
    "EngineInfo",
    "Evaluation",
    "GuidancePlan",
    "Manifest",
    "Model",
    "NoisePlan",
    "OptimizedFor",
    "Recurrence",
    "SchedulerInfo",
    "Stage",
    "Tables",
    "Tensor",
    "Weights",
]

FORMAT = "samplegraph"
FORMAT_VERSION = 1
METADATA_KEY = "samplegraph.manifest"
#: Keywords of a runtime's call, which no condition can be called.
RESERVED = ("seed", "samples", "rng", "progress", "preview", "steps", "device_output")
DTYPES = ("float32", "float16", "bfloat16", "float64", "int64", "int32", "bool")
ROLES = (
    *("noise", "step_noise", "condition", "negative", "guidance_scale", "sample", "image", "mask", "init_sample"),
    *("carried", "x0", "timestep", "coefficients", "constants"),
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
class BindingCost:
    """Nodes, floating-point operations and bytes written by one evaluation's part of one binding class."""

    nodes: int
    flops: int
    bytes: int


@dataclass(frozen=True)
class Manifest:
    """All of it. ``layout`` is ``unrolled``, ``chunked:K``, ``repeated:K``, ``step`` or ``loop``, ``task`` one of
    ``TASKS``; ``versions`` names the tools that wrote the file. ``caller`` are the inputs of the sampler where they are
    not those of the graph, which then is one of a set (``chunk``) or of one or K evaluations (``recurrence``);
    ``results`` is what it gives where that is another tensor than the graph's first output, as in all chunks but the
    last of a sampler with a module behind it.

    ``pre`` and ``post`` are the modules in front of and behind the sampler that its graph holds, ``sample`` the final
    sample that ``post`` is given (None: the sampler's output).

    ``bindings`` says what one denoiser evaluation consists of, by what it depends on; ``specialised`` counts the
    denoiser's nodes by what became of them: folded, hoisted, batched over steps, in front per site, per site.
    ``precision`` is what the network computes in, but for what the patterns ``keep_fp32`` name; inputs, output and all
    of the sampler around it are float32. ``optimized_for`` is None for the plain graph, which runs anywhere.
    ``engine`` is None for a graph.
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
    results: tuple[Tensor, ...] = ()
    pre: tuple[Stage, ...] = ()
    post: Stage | None = None
    sample: Tensor | None = None
    chunk: Chunk | None = None
    recurrence: Recurrence | None = None
    engine: EngineInfo | None = None
    format: str = FORMAT
    format_version: int = FORMAT_VERSION

    def input(self, role: str) -> Tensor | None:
        """The first input of that role that a caller gives."""
        return next((t for t in self.sampler_inputs if t.role == role), None)

    @property
    def drawn(self) -> Tensor | None:
        """What a seed's first draw makes: ``noise``, else a slice of ``step_noise``; None where nothing is drawn."""
        return self.input("noise") or self.input("step_noise")

    @property
    def sampler_inputs(self) -> tuple[Tensor, ...]:
        """What a caller of the sampler gives: ``caller``, or the graph's inputs where those are the same."""
        return self.caller or self.inputs

    @property
    def result(self) -> Tensor:
        """What the sampler gives: the sample, or what ``post`` makes of it."""
        return (self.results or self.outputs)[0]

    @property
    def batch(self) -> int | None:
        """Rows per call, or None where the batch axis is symbolic."""
        rows = self.result.shape[0]
        return rows if isinstance(rows, int) else None

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of one row of the result, without the batch axis."""
        return tuple(int(n) for n in self.result.shape[1:])

    @property
    def shown_shape(self) -> tuple[int, ...]:
        """Shape of one row of what a preview shows: a sample, before ``post``."""
        return tuple(int(n) for n in (self.sample or self.result).shape[1:])

    def to_json(self) -> str:
        """Stable JSON: sorted keys, one value for one manifest."""
        return json.dumps(asdict(self), sort_keys=True, indent=1, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str, source: str = "manifest") -> Manifest:
        """Parse and check.

        Raises:
            InputError: not JSON, not a samplegraph manifest, from a newer version, or with a field missing.
        """
        from samplegraph.runtime.manifest_json import parse_manifest

        return parse_manifest(text, source)

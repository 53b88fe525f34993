"""What a manifest says of an engine file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class EngineInfo:
    """The engine file that the manifest describes, and what it was built from.

    Args:
        sha256: of the engine file, and
        bytes: its size.
        graph_sha256: of the ``.onnx`` file it was built from; external weights are told by
        weights_sha256: the digest that the graph's ``weights`` has.
        builder: ``tensorrt-rtx`` or ``tensorrt``, and
        builder_version: the version that built it and that alone can load it, unless it is
        version_compatible: later ones of that major version load it too; it carries host code of its own.
        refittable: whether its weights can be changed.
        target: the compute capability it runs on, as ``sm89``.
        batch: smallest, best and largest number of rows of a call; empty where the graph's batch is static.
        weight_files: the files beside the graph that its weights were read from, each with its SHA-256.
    """

    sha256: str
    bytes: int
    graph_sha256: str
    weights_sha256: str
    builder: str
    builder_version: str
    target: str
    batch: tuple[int, ...] = ()
    version_compatible: bool = False
    refittable: bool = False
    weight_files: Mapping[str, str] = field(default_factory=dict)

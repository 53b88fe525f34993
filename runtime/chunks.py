"""The chunked layout: a set of graphs that hand the sample and the solver's state on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from samplegraph.runtime.driver import Position, Watch
from samplegraph.runtime.errors import InputError
from samplegraph.runtime.manifest import Chunk, Manifest
from samplegraph.runtime.manifest_layouts import CARRIED, chunk_suffix
from samplegraph.runtime.session import Session
from samplegraph.runtime.values import Value

_NAME = re.compile(r"(?P<stem>.*)\.chunk-(?P<index>\d{2,})(?P<kind>\.onnx|\.\w+\.(engine|plan|trt))")


def chunk_files(path: Path, chunk: Chunk) -> list[Path]:
    """All files of the set that ``path`` belongs to, in order.

    Raises:
        InputError: the file is not called ``<stem>.chunk-NN.onnx`` or ``.chunk-NN.sm89.engine``; one is missing.
    """
    match = _NAME.fullmatch(path.name)
    if match is None or int(match["index"]) != chunk.index:
        kind = path.suffix if path.suffix == ".onnx" else "".join(path.suffixes[-2:])
        raise InputError(
            f"{path}: is chunk {chunk.index} of {chunk.count} and is not called so; "
            f"name it <stem>{chunk.suffix}{kind} again"
        )
    files = [path.with_name(f"{match['stem']}{chunk_suffix(k)}{match['kind']}") for k in range(chunk.count)]
    for file in files:
        if not file.is_file():
            raise InputError(f"{file}: is missing; put all {chunk.count} chunks into one folder, or export them again")
    return files


def chunk_feed(manifest: Manifest, inputs: Mapping[str, Value], carried: Mapping[str, Value]) -> dict[str, Value]:
    """The inputs of one chunk: its slices of ``step_noise``, what the one before hands on, and the sampler's own."""
    assert manifest.chunk is not None
    first, last = manifest.chunk.slices
    feed = {}
    for t in manifest.inputs:
        if t.role == "carried":
            feed[t.name] = carried[t.name.removesuffix(CARRIED)]
        else:
            feed[t.name] = inputs[t.name][first:last] if t.role == "step_noise" else inputs[t.name]
    return feed


class Chunks:
    """Runs a set of chunks one after the other; shows its position after each.

    Args:
        files: names for errors.

    Raises:
        InputError: the chunks are not of one export.
    """

    def __init__(self, files: Sequence[Path], manifests: Sequence[Manifest], sessions: Sequence[Session]) -> None:
        self._parts = list(zip(manifests, sessions, strict=True))
        one, handed = manifests[0], {"sample"}
        for k, (file, m) in enumerate(zip(files, manifests, strict=True)):
            own = (m.name, m.layout, m.tables.sha256, m.weights.sha256, m.caller, m.result)
            if own != (one.name, one.layout, one.tables.sha256, one.weights.sha256, one.caller, one.result):
                raise InputError(f"{file}: is not of the same export as {files[0]}; export all chunks again")
            takes = {t.name.removesuffix(CARRIED) for t in m.inputs if t.role == "carried"}
            known = {t.name for t in m.caller}
            if m.chunk is None or m.chunk.index != k or m.chunk.count != len(files) or (k and not takes <= handed):
                raise InputError(f"{file}: does not follow the chunk before it; export all chunks again")
            if any(t.role != "carried" and t.name not in known for t in m.inputs):
                raise InputError(f"{file}: takes an input that the sampler does not have; export all chunks again")
            handed = {t.name for t in m.outputs}
        self._result = one.result.name
        if self._result not in handed:
            raise InputError(f"{files[-1]}: does not give {self._result}; export all chunks again")

    @property
    def providers(self) -> tuple[str, ...]:
        return self._parts[0][1].providers

    @property
    def stops(self) -> int:
        return len(self._parts)

    def run(self, feed: Mapping[str, Value], watch: Watch | None = None) -> Value:
        carried: dict[str, Value] = {}
        for manifest, session in self._parts:
            outputs = session.run(chunk_feed(manifest, feed, carried))
            carried = dict(zip((t.name for t in manifest.outputs), outputs, strict=True))
            if watch is not None:
                assert manifest.chunk is not None
                sample = carried[manifest.outputs[0].name]
                watch(Position(manifest.chunk.last - 1, sample, carried.get("x0")))
        return carried[self._result]

"""A compiled sampler: the graph, its manifest, and what compiling it took."""

from __future__ import annotations

import resource
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import onnx
import onnx_ir as ir

from samplegraph.export.atomic import replacing_together, scratch_folder
from samplegraph.export.errors import ExportError, VerificationError
from samplegraph.export.offline import optimise as offline
from samplegraph.export.partial.cost import Cost, Work
from samplegraph.export.phases import Phases
from samplegraph.export.sampling.part import Part
from samplegraph.export.signature import Signature
from samplegraph.export.storage import emit
from samplegraph.export.storage.constants import write_constants
from samplegraph.export.storage.placement import Placement, place
from samplegraph.export.storage.raw import Digests
from samplegraph.export.storage.weights import is_external
from samplegraph.export.verification.comparison import Verification
from samplegraph.export.verification.verify import verify
from samplegraph.models import Sampler
from samplegraph.runtime.manifest import Manifest


@dataclass(frozen=True)
class Report:
    """What a compilation gave and took.

    Args:
        nodes: nodes of the graph.
        bytes: size of the graph file, embedded weights included; ``weight_bytes`` counts the weights.
        nfe: denoiser evaluations.
        bindings: cost of one denoiser evaluation by binding class.
        specialised: denoiser nodes by what became of them.
        saved: what a host loop over the denoiser computes and this graph does not, over all evaluations; what the
            branches of guidance share is included.
        total: what that host loop computes.
        seconds: by phase.
        peak_memory: most bytes this process has held so far.
        error: largest relative error against eager, once verified.
    """

    nodes: int
    bytes: int
    weight_bytes: int
    nfe: int
    bindings: dict[str, Cost]
    specialised: dict[str, int]
    saved: Cost
    total: Cost
    seconds: dict[str, float]
    peak_memory: int
    error: float | None


@dataclass(repr=False)
class Program:
    """The result of ``compile``: ``parts`` are its graphs, of which a chunked layout has several.

    ``weights`` are the network's own, of all parts.
    ``note`` is what is to be said about the weights in this precision. ``mode`` says where the weights go (see
    ``compile``), ``digests`` what they hash to; ``placement`` is where ``save`` put them.
    """

    parts: list[Part]
    sampler: Sampler
    signature: Signature
    weights: list[ir.Value]
    phases: Phases = field(default_factory=Phases)
    note: str = ""
    mode: str = "auto"
    digests: Digests = field(default_factory=Digests)
    verification: Verification | None = None
    placement: Placement = field(default_factory=Placement)

    def __repr__(self) -> str:
        return f"<Program {self.manifest.name}, {self.manifest.layout}: {', '.join(map(repr, self.parts))}>"

    @property
    def model(self) -> ir.Model:
        """The ONNX IR of the (first) graph."""
        return self.parts[0].model

    @property
    def manifest(self) -> Manifest:
        """The manifest of the (first) graph."""
        return self.parts[0].described

    def verify(self, *, seed: int = 0, tolerance: float | None = None) -> Verification:
        """Run the graph in ONNX Runtime against the eager sampler, step by step.

        Args:
            tolerance: largest error of the final sample relative to its largest value; 1e-5 where left out, and for
                a network in less than float32 none: there every step has to keep a cosine of 0.999.

        Raises:
            VerificationError: they differ by more.
        """
        with scratch_folder() as folder, self.phases.phase("verify"):
            path = self._write(folder / f"{self.manifest.name}.onnx", self._placed(folder))
            self.verification = verify(
                path,
                self.sampler,
                self.signature,
                self.manifest.tables.visited,
                precision=self.manifest.precision,
                seed=seed,
                tolerance=tolerance,
            )
        return self.verification

    def save(self, path: str | Path) -> Path:
        """Write ``path`` (``.onnx``), its sidecar ``<path>.json`` and, where external, the weights beside them.

        Weights that a safetensors file in or below the folder holds are read from there and not written.
        A chunked layout is written as ``<stem>.chunk-00.onnx`` and so on; the first one's path is returned.
        All are written to temporary names first. The same program gives the same bytes.

        Raises:
            ExportError: the path does not end in .onnx or cannot be written, or a safetensors file there is damaged.
        """
        path = Path(path)
        if path.suffix != ".onnx":
            raise ExportError(f"path={str(path)!r} does not end in .onnx; give a file name that does")
        with self.phases.phase("place weights"):
            self.placement = self._placed(path.parent)
            for part in self.parts:
                stored = self.placement.recorded(part.described.weights)
                part.manifest = replace(part.described, weights=stored)
        with self.phases.phase("save"):
            return self._write(path, self.placement)

    def optimize(
        self, path: str | Path, target: str = "cpu", *, prepack: bool | None = None, verified: bool = True
    ) -> Path:
        """Optimise the graph saved at ``path`` offline and write the result beside it; see ``offline.optimize``.

        Args:
            verified: compare it with the eager sampler before it is kept.

        Returns:
            The optimised graph's path.

        Raises:
            VerificationError: it differs from the eager sampler.
            ExportError: as ``offline.optimize`` raises.
        """

        def check(made: Path, manifest: Manifest) -> None:
            try:
                optimized, precision = manifest.optimized_for, manifest.precision
                verify(made, self.sampler, self.signature, optimized=optimized, precision=precision)
            except VerificationError as error:
                raise VerificationError(str(error).replace(made.name, f"{manifest.name}.onnx")) from error

        with self.phases.phase(f"optimise for {target}"):
            return offline.optimize(Path(path), target, prepack=prepack, check=check if verified else None)

    def report(self) -> Report:
        """Figures of this compilation."""
        nfe = self.manifest.scheduler.nfe
        work = sum((part.work for part in self.parts), Work())
        return Report(
            nodes=sum(len(part.model.graph) for part in self.parts),
            bytes=sum(self._proto(part, self.placement).ByteSize() for part in self.parts),
            weight_bytes=self.manifest.weights.bytes,
            nfe=nfe,
            bindings=max((part.bindings for part in self.parts), key=lambda costs: costs["sample"].nodes),
            specialised=dict(self.manifest.specialised),
            saved=work.saved,
            total=work.total,
            seconds=dict(self.phases.seconds),
            peak_memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            error=self.verification.error if self.verification else None,
        )

    def _placed(self, folder: Path) -> Placement:
        if not is_external(self.mode, self.manifest.weights.bytes):
            return Placement()
        return place(self.weights, folder, self.digests, search=self.mode != "copy")

    def _proto(self, part: Part, placement: Placement) -> onnx.ModelProto:
        return emit.to_proto(part.model, part.described.to_json(), part.weights, placement.places)

    def _write(self, path: Path, placement: Placement) -> Path:
        graphs = [path.with_name(f"{path.stem}{part.suffix}.onnx") for part in self.parts]
        writers: dict[Path, Callable[[Path], object]] = {}
        if placement.own and not placement.is_written(path.parent):
            writers[path.with_name(placement.own)] = placement.write
        for part, graph in zip(self.parts, graphs, strict=True):
            known = part.described.recurrence
            if part.constants is not None and known is not None and known.constants is not None:
                writers[path.with_name(known.constants.file)] = partial(write_constants, part.constants)
            writers[graph.with_name(f"{graph.name}.json")] = partial(_write_sidecar, part)
            writers[graph] = partial(self._write_graph, part, placement)
        with replacing_together(list(writers)) as temporaries:
            for write, temporary in zip(writers.values(), temporaries, strict=True):
                write(temporary)
        return graphs[0]

    def _write_graph(self, part: Part, placement: Placement, path: Path) -> None:
        path.write_bytes(self._proto(part, placement).SerializeToString(deterministic=True))


def _write_sidecar(part: Part, path: Path) -> None:
    path.write_text(part.described.to_json(), encoding="utf-8")

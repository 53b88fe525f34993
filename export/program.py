"""A compiled sampler: the graph, its manifest, and what compiling it took."""

from __future__ import annotations

import resource
from dataclasses import dataclass, field
from pathlib import Path

import onnx
import onnx_ir as ir

from samplegraph.export import emit, offline, weights
from samplegraph.export.atomic import replacing_together, scratch_folder
from samplegraph.export.comparison import Verification
from samplegraph.export.cost import Cost, Work
from samplegraph.export.errors import ExportError, VerificationError
from samplegraph.export.phases import Phases
from samplegraph.export.signature import Signature
from samplegraph.export.verify import verify
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


@dataclass
class Program:
    """The result of ``compile``. ``model`` is the ONNX IR, ``manifest`` describes it.

    ``bindings`` is the cost of one evaluation by binding class, of both branches under guidance, ``work`` that of all.
    ``note`` is what is to be said about the weights in this precision.
    """

    model: ir.Model
    manifest: Manifest
    sampler: Sampler
    signature: Signature
    weights: list[ir.Value]
    bindings: dict[str, Cost]
    work: Work = field(default_factory=Work)
    phases: Phases = field(default_factory=Phases)
    note: str = ""
    verification: Verification | None = None

    def verify(self, *, seed: int = 0, tolerance: float | None = None) -> Verification:
        """Run the graph in ONNX Runtime against the eager sampler, step by step.

        Args:
            tolerance: largest error of the final sample relative to its largest value; 1e-5 where left out, and for
                a network in less than float32 none: there every step has to keep a cosine of 0.999.

        Raises:
            VerificationError: they differ by more.
        """
        with scratch_folder() as folder, self.phases.phase("verify"):
            path = folder / f"{self.manifest.name}.onnx"
            self._write(path)
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

        All are written to temporary names first. The same program gives the same bytes.

        Raises:
            ExportError: the path does not end in .onnx or cannot be written.
        """
        path = Path(path)
        if path.suffix != ".onnx":
            raise ExportError(f"path={str(path)!r} does not end in .onnx; give a file name that does")
        with self.phases.phase("save"):
            self._write(path)
        return path

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
        return Report(
            nodes=len(self.model.graph),
            bytes=self._proto().ByteSize(),
            weight_bytes=self.manifest.weights.bytes,
            nfe=nfe,
            bindings=self.bindings,
            specialised=dict(self.manifest.specialised),
            saved=self.work.saved,
            total=self.work.total,
            seconds=dict(self.phases.seconds),
            peak_memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            error=self.verification.error if self.verification else None,
        )

    def _proto(self) -> onnx.ModelProto:
        file = self.manifest.weights.file
        offsets = weights.layout(self.weights) if file else {}
        return emit.to_proto(self.model, self.manifest.to_json(), self.weights, offsets, file)

    def _write(self, path: Path) -> None:
        data = self._proto().SerializeToString(deterministic=True)
        paths = [path.with_name(f"{path.name}.json"), path]
        file, offsets = self.manifest.weights.file, weights.layout(self.weights)
        if file and not weights.same(path.with_name(file), self.weights, offsets):
            paths.insert(0, path.with_name(file))
        with replacing_together(paths) as (*beside, sidecar, graph):
            for each in beside:
                weights.write(each, self.weights, offsets)
            sidecar.write_text(self.manifest.to_json(), encoding="utf-8")
            graph.write_bytes(data)

"""The vendor's own command line that builds the same engine, for machines without this package."""

from __future__ import annotations

import shlex

from samplegraph.export.engine.files import EnginePlan


def command_line(plan: EnginePlan) -> str:
    """``trtexec ...``, or ``tensorrt_rtx ...``, which takes the same options. It writes no sidecar.

    Options are those of trtexec 11, whose networks are strongly typed by themselves. The line for ``tensorrt_rtx``
    leaves TF32 on: no switch for it is documented. Neither line has been run.
    """
    settings, kind = plan.settings, plan.kind
    words = [kind.program, f"--onnx={plan.graph}", f"--saveEngine={plan.output}", "--skipInference"]
    if kind.targets:
        words.append(f"--computeCapabilities={plan.target.removeprefix('sm')}")
    else:
        words += ["--noTF32", f"--maxAuxStreams={settings.max_aux_streams}"]
    if settings.optimization_level is not None:
        words.append(f"--builderOptimizationLevel={settings.optimization_level}")
    if settings.workspace_mb is not None:
        words.append(f"--memPoolSize=workspace:{settings.workspace_mb}")
    if settings.timing_cache is not None:
        words.append(f"--timingCacheFile={settings.timing_cache}")
    if settings.version_compatible:
        words.append("--versionCompatible")
    if settings.refittable:
        words.append("--refit")
    if plan.profile is not None:
        symbolic = [t for t in plan.manifest.inputs if any(isinstance(axis, str) for axis in t.shape)]
        for index, name in enumerate(("min", "opt", "max")):
            shapes = [f"{t.name}:{'x'.join(map(str, plan.profile.shapes(t)[index]))}" for t in symbolic]
            words.append(f"--{name}Shapes={','.join(shapes)}")
    return shlex.join(words)

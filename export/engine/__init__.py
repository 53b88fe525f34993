"""Builds engines: a compiled sampler's graph through TensorRT or TensorRT-RTX, each loaded when it is first used."""

from samplegraph.export.engine.batch_profile import BatchProfile
from samplegraph.export.engine.builders import BUILDERS, BuilderKind
from samplegraph.export.engine.files import EnginePlan, build_engine, plan_engines
from samplegraph.export.engine.settings import BuildSettings

__all__ = ["BUILDERS", "BatchProfile", "BuildSettings", "BuilderKind", "EnginePlan", "build_engine", "plan_engines"]

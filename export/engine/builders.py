"""The builders: TensorRT-RTX, ahead of time for a target, and TensorRT, on the GPU at hand. One Python interface."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from importlib import import_module
from typing import Any

from samplegraph.export.engine.device import compute_capability
from samplegraph.export.engine.settings import BuildSettings
from samplegraph.export.errors import ExportError
from samplegraph.runtime.errors import one_line, suggest


@dataclass(frozen=True)
class BuilderKind:
    """A builder by name.

    Args:
        module: what Python imports.
        oldest: first version whose interface is known.
        targets: what it builds for without a GPU; empty where it builds on the GPU at hand.
        program: its command-line tool.
        lacks: settings that it takes and ignores, or fails at, and why.
        described: the version that ``builder_rules`` describes.
    """

    name: str
    module: str
    oldest: tuple[int, int]
    targets: tuple[str, ...]
    program: str
    lacks: Mapping[str, str]
    described: tuple[int, int] | None = None

    def load(self) -> Any:
        """The module.

        Raises:
            ExportError: not installed, its libraries do not load, or too old.
        """
        try:
            module = import_module(self.module)
        except Exception as error:  # a missing library shows as OSError, ImportError or RuntimeError
            vendor = " and NVIDIA's TensorRT libraries, which come from the vendor" if not self.targets else ""
            raise ExportError(
                f"builder={self.name} cannot be imported ({one_line(error)}); "
                f'pip install "samplegraph[{self.name}]"{vendor}'
            ) from error
        release = tuple(int(part) for part in module.__version__.split(".")[:2])
        if release < self.oldest:
            needed = ".".join(map(str, self.oldest))
            raise ExportError(f"builder={self.name} {module.__version__} is too old; update it to {needed} or newer")
        return module

    def is_described(self) -> bool:
        """Whether ``builder_rules`` hold for the version that is installed."""
        if self.described is None:
            return False
        try:
            version = str(self.load().__version__)
        except ExportError:
            return False
        return tuple(int(part) for part in version.split(".")[:2]) == self.described

    def check_settings(self, settings: BuildSettings) -> None:
        """Refuse what this builder would ignore.

        Raises:
            ExportError: a setting of ``lacks`` is not at its default.
        """
        for field in fields(settings):
            value = getattr(settings, field.name)
            if field.name in self.lacks and value != field.default:
                raise ExportError(f"{field.name}={value}: {self.name} {self.lacks[field.name]}; leave it out")

    def choose_targets(self, given: Sequence[str]) -> tuple[str, ...]:
        """``given`` if this builder builds for them; the GPU at hand where it builds there.

        Raises:
            ExportError: none given, one twice, one that it does not build for, or no GPU at hand.
        """
        if not self.targets:
            here = compute_capability()
            if here is None:
                raise ExportError(
                    f"builder={self.name} builds on the GPU at hand and there is none; "
                    "use a machine with an NVIDIA GPU, or --builder tensorrt-rtx"
                )
            found = f"sm{here[0]}{here[1]}"
            if set(given) - {found}:
                raise ExportError(f"target={','.join(given)}: builder={self.name} builds for the GPU at hand, {found}")
            return (found,)
        allowed = ", ".join(self.targets)
        if not given:
            raise ExportError(f"target is missing; give one or more of {allowed}, such as --target sm89")
        for target in given:
            if target not in self.targets:
                near = suggest(target, self.targets)
                raise ExportError(f"target={target} is not one that {self.name} builds for; choose of {allowed}{near}")
            if given.count(target) > 1:
                raise ExportError(f"target={','.join(given)} names {target} twice; give each once")
        return tuple(given)


_RTX_TARGETS = ("sm75", "sm80", "sm86", "sm89", "sm120", "sm121")
_RTX_LACKS = {
    "timing_cache": "measures no kernels",
    "optimization_level": "builds the same engine at every level",
    "max_aux_streams": "assigns no streams before it runs",
    "version_compatible": "has no runtime for such engines to carry",
    "refittable": "builds such engines with a GPU at hand alone",
}
BUILDERS = {
    kind.name: kind
    for kind in (
        BuilderKind("tensorrt-rtx", "tensorrt_rtx", (1, 7), _RTX_TARGETS, "tensorrt_rtx", _RTX_LACKS, (1, 7)),
        BuilderKind("tensorrt", "tensorrt", (11, 0), (), "trtexec", {}),
    )
}


def builder_kind(name: str) -> BuilderKind:
    """The builder of that name.

    Raises:
        ExportError: there is none.
    """
    if name not in BUILDERS:
        raise ExportError(f"builder={name} is not known; choose one of {', '.join(BUILDERS)}{suggest(name, BUILDERS)}")
    return BUILDERS[name]

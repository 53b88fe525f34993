"""One graph in ONNX Runtime: loaded, checked against its manifest, run."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from samplegraph.runtime.errors import InputError, one_line
from samplegraph.runtime.manifest import Manifest, Tensor
from samplegraph.runtime.optimized import load_as_it_stands
from samplegraph.runtime.precision import check_precision, prepare_weights
from samplegraph.runtime.provider_choice import captures
from samplegraph.runtime.providers import Named, provider_name, short_name
from samplegraph.runtime.values import Value, host

Array = npt.NDArray[Any]

#: ONNX Runtime's names for the manifest's dtypes.
_TYPES = {"float32": "float", "float16": "float16", "bfloat16": "bfloat16", "float64": "double"}
_FATAL = 4


class OnnxSession:
    """An ``onnxruntime.InferenceSession`` whose errors are one line.

    Args:
        file: the graph.
        manifest: what it is said to be.
        chosen: execution providers, as ``choose_providers`` names them.
        threads: threads within an operator; None for one per core.

    Raises:
        InputError: ONNX Runtime is missing or refuses the graph; no provider has its precision; the
            external weights are missing or lie outside the graph's folder; the graph is not what the manifest says, or
            was optimised for something else.
    """

    def __init__(self, file: Path, manifest: Manifest, chosen: Sequence[Named], threads: int | None) -> None:
        self._file = file
        self._outputs = [t.name for t in manifest.outputs]
        self._ort = ort = onnxruntime()
        check_precision(manifest.precision, chosen)
        _check_weights(file, [manifest.weights.file, *manifest.weights.files])
        optimized = manifest.optimized_for
        options = ort.SessionOptions()
        options.log_severity_level = _FATAL
        if threads is not None:
            if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
                raise InputError(f"threads={threads!r} is not allowed; give a whole number of at least 1")
            options.intra_op_num_threads = threads
        prepare_weights(manifest.precision, chosen, options)
        if optimized is not None:
            _check_weights(file, [optimized.file])
            load_as_it_stands(file, optimized, chosen, options, ort)
        try:
            self._session = ort.InferenceSession(str(file), options, providers=list(chosen), enable_fallback=0)
        except Exception as error:  # its exceptions share no base class
            raise InputError(
                f"{file}: ONNX Runtime cannot load it ({_reason(error)}); "
                "export it again, or update onnxruntime"
            ) from error
        self.providers: tuple[str, ...] = tuple(self._session.get_providers())
        #: Whether ONNX Runtime was told to capture CUDA graphs.
        self.captures = captures(chosen)
        for each in chosen:
            name = provider_name(each)
            if name not in self.providers:
                raise InputError(
                    f"providers={short_name(name)!r} is installed but does not start here; "
                    "check its driver and libraries, or use cpu"
                )
        _compare(file, manifest.inputs, self._session.get_inputs())
        _compare(file, manifest.outputs, self._session.get_outputs())

    def run(self, feed: Mapping[str, Value]) -> list[Value]:
        """The outputs, in the manifest's order.

        Raises:
            InputError: ONNX Runtime fails.
        """
        try:
            outputs: list[Value] = self._session.run(
                self._outputs, {name: np.asarray(host(value), order="C") for name, value in feed.items()}
            )
        except Exception as error:
            raise self._failed(error) from error
        return outputs

    def io_binding(self) -> Any:
        """An ``IOBinding`` of nothing."""
        return self._session.io_binding()

    def run_bound(self, binding: Any, options: Mapping[str, str]) -> None:
        """Run on bound tensors, with ONNX Runtime's run ``options``, to the end.

        Raises:
            InputError: ONNX Runtime fails.
        """
        told = self._ort.RunOptions()
        for key, value in options.items():
            told.add_run_config_entry(key, value)
        try:
            self._session.run_with_iobinding(binding, told)
        except Exception as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> InputError:
        return InputError(f"{self._file}: ONNX Runtime failed at running it ({_reason(error)})")


def _reason(error: Exception) -> str:
    """What ONNX Runtime says, without its codes and where in its source it said so."""
    said = re.split(r"\[ONNXRuntimeError\] : \d+ : \w+ : |Exception during initialization: ", str(error))[-1]
    return one_line(re.sub(r"^\S*/onnxruntime/\S+:\d+ [^()]*\([^()]*\) ", "", said))


def onnxruntime() -> Any:
    """The package.

    Raises:
        InputError: it is not installed, or its libraries do not load.
    """
    try:
        return import_module("onnxruntime")
    except ImportError as error:
        raise InputError(
            f'onnxruntime cannot be imported ({one_line(error)}); pip install "samplegraph[cpu]", or '
            '"samplegraph[gpu]" for NVIDIA GPUs'
        ) from error


def _check_weights(file: Path, names: Sequence[str | None]) -> None:
    """ONNX Runtime reads external weights only below the graph's folder."""
    folder = file.parent.resolve()
    for name in dict.fromkeys(names):
        if name is None:
            continue
        found = (folder / name).resolve()
        if not found.is_relative_to(folder):
            raise InputError(
                f"{file}: its weights {name!r} lie outside its folder; put the file beside the graph"
            )
        if not found.is_file():
            raise InputError(f"{file}: its weights file {name!r} is missing; put it {_beside(name)} the graph")


def _beside(name: str) -> str:
    folder = Path(name).parent.as_posix()
    return "beside" if folder == "." else f"into {folder} beside"


def _compare(file: Path, expected: Sequence[Tensor], found: Sequence[Any]) -> None:
    """Names, dtypes and static axes in the graph are the manifest's."""
    graph = {each.name: each for each in found}
    for tensor in expected:
        if tensor.dtype == "bfloat16":
            raise InputError(
                f"{file}: {tensor.name} is bfloat16, which numpy lacks; export with a float32 edge"
            )
        each = graph.pop(tensor.name, None)
        kind = f"tensor({_TYPES.get(tensor.dtype, tensor.dtype)})"
        if each is None or each.type != kind or not _same_shape(tensor.shape, each.shape):
            seen = "it is not there" if each is None else f"it is {each.type} {each.shape}"
            raise InputError(
                f"{file}: the manifest says {tensor.name} is {kind} {list(tensor.shape)}, "
                f"in the graph {seen}; export the file again"
            )
    if graph:
        names = ", ".join(graph)
        raise InputError(f"{file}: the manifest does not name {names} of the graph; export the file again")


def _same_shape(expected: Sequence[int | str], found: Sequence[int | str | None]) -> bool:
    return len(expected) == len(found) and all(
        isinstance(a, str) or not isinstance(b, int) or a == b for a, b in zip(expected, found, strict=True)
    )

"""Reads an ONNX file, and finds the files of weights that it names: beside it, or in the cache of the hub."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx.external_data_helper import uses_external_data

from samplegraph.models.sources.onnx_refusals import refuse_foreign, tensors_of
from samplegraph.schedulers import OptionError

_OUTSIDE = "outside of the model's folder; put it there and export the model anew"


@dataclass(frozen=True)
class OnnxFile:
    """``model`` without the weights that lie in other files; their locations are relative to ``folder``."""

    model: onnx.ModelProto
    folder: Path


def read_onnx(path: Path) -> OnnxFile:
    """Read the file at ``path``.

    In the cache of the Hugging Face hub the files of a snapshot are links to ``blobs`` beside the snapshots. ONNX
    Runtime refuses links that leave a folder, so locations name those files themselves then.

    Raises:
        OptionError: no such file, not ONNX, or one that ``refuse_foreign`` refuses, or weights that lie elsewhere.
    """
    where = f"model={str(path)!r}"
    try:
        model = onnx.load(path, load_external_data=False)
    except OSError as error:
        raise OptionError(f"{where}: cannot be read ({error.strerror}); give an .onnx file") from error
    except Exception as error:
        raise OptionError(f"{where}: is not ONNX ({type(error).__name__}); give a whole .onnx file") from error
    if not model.graph.node:
        raise OptionError(f"{where}: holds no graph; give a whole .onnx file")
    refuse_foreign(model, path)
    return OnnxFile(model, _place_weights(model, path))


def _place_weights(model: onnx.ModelProto, path: Path) -> Path:
    """Refuse weights outside of the model's folder; the folder that they lie in, by their own names."""
    blobs = _blobs_of(path)
    folder = path.resolve().parent if blobs is None else path.parent.resolve()
    linked = False
    for tensor in tensors_of(model):
        if not uses_external_data(tensor):
            continue
        told = {entry.key: entry for entry in tensor.external_data}
        location = told["location"].value if "location" in told else ""
        what = f"model={str(path)!r}: the weight {tensor.name!r} lies in {location!r}"
        if not location or "\0" in location or Path(location).is_absolute():
            raise OptionError(f"{what}, {_OUTSIDE}")
        found = (folder / location).resolve()
        in_cache = found.parent == blobs and ".." not in Path(location).parts
        if not in_cache and not found.is_relative_to(folder):
            raise OptionError(f"{what}, {_OUTSIDE}")
        if not found.is_file():
            raise OptionError(f"{what}, which is not there; keep the files of a model together")
        if not _holds(found.stat().st_size, tensor, {key: entry.value for key, entry in told.items()}):
            raise OptionError(f"{what}, which is cut short or another file; keep the files of a model together")
        if in_cache:
            told["location"].value, linked = found.name, True
    return blobs if linked and blobs is not None else folder


def _holds(size: int, tensor: onnx.TensorProto, told: Mapping[str, str]) -> bool:
    """Whether a file of ``size`` bytes holds ``tensor`` where it is said to lie."""
    offset, length = told.get("offset") or "0", told.get("length")
    halved = tensor.data_type in (onnx.TensorProto.INT4, onnx.TensorProto.UINT4, onnx.TensorProto.FLOAT4E2M1)
    bits = 4 if halved else 8 * onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    needed = math.ceil(math.prod(tensor.dims) * bits / 8)
    whole = offset.isdecimal() and (length is None or (length.isdecimal() and int(length) == needed))
    return whole and int(offset) + needed <= size


def _blobs_of(path: Path) -> Path | None:
    """``blobs`` of the repository in the hub's cache in whose snapshot ``path`` lies; None elsewhere.

    ``models--<owner>--<name>/snapshots/<revision>/<path>`` links to ``models--<owner>--<name>/blobs/<digest>``.
    """
    for above in path.parent.resolve().parents:
        blobs = above.parent / "blobs"
        if above.name == "snapshots" and above.parent.name.startswith("models--"):
            return blobs if blobs.is_dir() and not blobs.is_symlink() else None
    return None

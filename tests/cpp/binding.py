"""The C interface of samplegraph through ctypes: no compiled glue, so it shows that other languages can call it."""

from __future__ import annotations

import ctypes as c
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

ARRAY_TYPES = "float32 float16 bfloat16 float64 int64 int32 int16 int8 uint64 uint32 uint16 uint8 bool".split()
DTYPES = {name: number for number, name in enumerate(ARRAY_TYPES, 1)}
Array = npt.NDArray[Any]
Progress = c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_int64, c.c_int64)


class CPosition(c.Structure):
    _fields_ = [
        ("struct_size", c.c_size_t),
        ("done", c.c_int64),
        ("total", c.c_int64),
        ("step", c.c_int64),
        ("first_row", c.c_int64),
        ("x0", c.c_void_p),
        ("shape", c.POINTER(c.c_int64)),
        ("rank", c.c_size_t),
    ]


Watch = c.CFUNCTYPE(c.c_int, c.c_void_p, c.POINTER(CPosition))


class CArray(c.Structure):
    _fields_ = [
        ("name", c.c_char_p),
        ("data", c.c_void_p),
        ("shape", c.POINTER(c.c_int64)),
        ("rank", c.c_size_t),
        ("dtype", c.c_int32),
        ("reserved", c.c_int32),
    ]


class CRequest(c.Structure):
    _fields_ = [
        ("struct_size", c.c_size_t),
        ("rng", c.c_int32),
        ("seed_kind", c.c_int32),
        ("seed", c.c_uint64),
        ("seeds", c.POINTER(c.c_uint64)),
        ("seed_count", c.c_size_t),
        ("samples", c.c_int64),
        ("inputs", c.POINTER(CArray)),
        ("input_count", c.c_size_t),
        ("progress", Progress),
        ("progress_data", c.c_void_p),
        ("stop", c.c_void_p),
        ("watch", Watch),
        ("watch_data", c.c_void_p),
        ("steps", c.c_int64),
    ]


class CProvider(c.Structure):
    _fields_ = [
        ("name", c.c_char_p),
        ("keys", c.POINTER(c.c_char_p)),
        ("values", c.POINTER(c.c_char_p)),
        ("option_count", c.c_size_t),
    ]


class COptions(c.Structure):
    _fields_ = [
        ("struct_size", c.c_size_t),
        ("onnxruntime", c.c_char_p),
        ("providers", c.POINTER(CProvider)),
        ("provider_count", c.c_size_t),
        ("threads", c.c_int32),
        ("inter_op_threads", c.c_int32),
        ("affinity", c.c_char_p),
        ("no_spinning", c.c_int32),
        ("config_keys", c.POINTER(c.c_char_p)),
        ("config_values", c.POINTER(c.c_char_p)),
        ("config_count", c.c_size_t),
    ]


class CTensorInfo(c.Structure):
    _fields_ = [
        ("struct_size", c.c_size_t),
        ("name", c.c_char_p),
        ("description", c.c_char_p),
        ("dtype", c.c_int32),
        ("role", c.c_int32),
        ("rank", c.c_size_t),
        ("shape", c.POINTER(c.c_int64)),
        ("axes", c.POINTER(c.c_char_p)),
        ("default", c.c_double),
        ("minimum", c.c_double),
        ("maximum", c.c_double),
    ]


class SamplegraphError(Exception):
    """A status other than 0, with the text of ``sg_last_error``."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def load(path: str | os.PathLike[str]) -> c.CDLL:
    """The shared library, with the types of what it returns."""
    library = c.CDLL(os.fspath(path))
    for name in ("sg_last_error", "sg_version", "sg_dtype_name", "sg_engine_providers", "sg_manifest_json"):
        getattr(library, name).restype = c.c_char_p
    library.sg_engine_library_version.restype = c.c_char_p
    library.sg_engine_manifest.restype = c.c_void_p
    library.sg_manifest_json.argtypes = [c.c_void_p]
    library.sg_dtype_size.restype = c.c_size_t
    library.sg_engine_step_counts.restype = c.POINTER(c.c_int64)
    return library


class NativeEngine:
    """``samplegraph.runtime.Engine`` on the C library: the same call, the same samples, the same error texts."""

    def __init__(
        self,
        library: c.CDLL,
        path: str | os.PathLike[str],
        onnxruntime: str | os.PathLike[str] | None = None,
        *,
        providers: Sequence[str] = (),
        threads: int = 0,
    ) -> None:
        self._library = library
        self._handle = c.c_void_p()
        given = (CProvider * len(providers))(*[CProvider(name.encode()) for name in providers])
        options = COptions(struct_size=c.sizeof(COptions), threads=threads)
        options.onnxruntime = os.fsencode(onnxruntime) if onnxruntime is not None else None
        options.providers, options.provider_count = given, len(given)
        self._check(library.sg_engine_open(os.fsencode(path), c.byref(options), c.byref(self._handle)))
        info = CTensorInfo(struct_size=c.sizeof(CTensorInfo))
        manifest = c.c_void_p(library.sg_engine_manifest(self._handle))
        self._check(library.sg_manifest_output(manifest, c.c_size_t(0), c.byref(info)))
        self._row = [info.shape[axis] for axis in range(1, info.rank)]
        self._dtype = np.dtype(ARRAY_TYPES[info.dtype - 1])
        self.providers = library.sg_engine_providers(self._handle).decode()
        self.library_version = library.sg_engine_library_version(self._handle).decode()

    def close(self) -> None:
        self._library.sg_engine_close(self._handle)
        self._handle = c.c_void_p()

    def __enter__(self) -> NativeEngine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __call__(
        self,
        seed: int | Sequence[int] | None = None,
        *,
        samples: int | None = None,
        rng: str = "torch",
        progress: Any = None,
        watch: Any = None,
        stop: NativeStop | None = None,
        steps: int = 0,
        **inputs: object,
    ) -> Array:
        """``watch(position, x0)`` is told every position; x0 is a copy, or None."""
        arrays = {name: np.asarray(value, order="C") for name, value in inputs.items() if value is not None}
        given = (CArray * len(arrays))()
        for place, (name, array) in zip(given, arrays.items(), strict=True):
            shape = (c.c_int64 * array.ndim)(*array.shape)
            place.name, place.data, place.shape = name.encode(), array.ctypes.data, shape
            place.rank, place.dtype = array.ndim, DTYPES[array.dtype.name]
        request = CRequest(struct_size=c.sizeof(CRequest), samples=samples or 0, rng=("torch", "philox").index(rng))
        request.inputs, request.input_count = given, len(given)
        if isinstance(seed, int | np.integer):
            request.seed_kind, request.seed = 1, int(seed)
        elif seed is not None:
            seeds = (c.c_uint64 * len(seed))(*seed)
            request.seed_kind, request.seeds, request.seed_count = 2, seeds, len(seed)
        if progress is not None:
            request.progress = Progress(lambda _, done, total: int(bool(progress(done, total))))
        request.steps = steps
        if stop is not None:
            request.stop = stop.handle
        if watch is not None:
            request.watch = Watch(lambda _, position: int(bool(watch(position[0], self._x0(position[0])))))
        count = c.c_int64()
        self._check(self._library.sg_count(self._handle, c.byref(request), c.byref(count)))
        out = np.empty((count.value, *self._row), self._dtype)
        self._check(
            self._library.sg_sample(self._handle, c.byref(request), c.c_void_p(out.ctypes.data), c.c_size_t(out.nbytes))
        )
        return out

    def warm_up(self) -> None:
        """One call of the defaults."""
        self._check(self._library.sg_warm_up(self._handle, None, 1))

    def stop(self) -> NativeStop:
        """A switch for calls of this engine."""
        handle = c.c_void_p()
        self._check(self._library.sg_stop_create(self._handle, c.byref(handle)))
        return NativeStop(self._library, handle)

    @property
    def step_counts(self) -> list[int]:
        """What ``steps`` may be, the default first."""
        count = c.c_size_t()
        known = self._library.sg_engine_step_counts(self._handle, c.byref(count))
        return list(known[: count.value])

    def _x0(self, position: CPosition) -> Array | None:
        if position.x0 is None:
            return None
        shape = tuple(position.shape[: position.rank])
        size = int(np.prod(shape)) * self._dtype.itemsize
        return np.frombuffer(c.string_at(position.x0, size), self._dtype).reshape(shape)

    def _check(self, status: int) -> None:
        if status:
            raise SamplegraphError(status, self._library.sg_last_error().decode(errors="replace"))


class NativeStop:
    """``sg_stop``."""

    def __init__(self, library: c.CDLL, handle: c.c_void_p) -> None:
        self._library, self.handle = library, handle

    def request(self) -> None:
        self._library.sg_stop_request(self.handle)

    def __enter__(self) -> NativeStop:
        return self

    def __exit__(self, *_: object) -> None:
        self._library.sg_stop_destroy(self.handle)


def draw(
    library: c.CDLL,
    seed: int | Sequence[int],
    *,
    samples: int,
    sample_shape: Sequence[int],
    slices: int,
    rng: str = "torch",
    dtype: npt.DTypeLike = np.float32,
    noise_kind: str = "normal",
) -> tuple[Array, Array]:
    """``samplegraph.runtime.noise.draw`` on the C library."""
    seeds = [seed] if isinstance(seed, int) else list(seed)
    noise = np.empty((samples, *sample_shape), dtype)
    steps = np.empty((slices, samples, *sample_shape), dtype)
    batch = (
        1 if isinstance(seed, int) else 2,
        (c.c_uint64 * len(seeds))(*seeds),
        c.c_int64(samples),
        (c.c_int64 * len(sample_shape))(*sample_shape),
        c.c_size_t(len(sample_shape)),
        c.c_int64(slices),
    )
    out = c.c_void_p(noise.ctypes.data), c.c_void_p(steps.ctypes.data)
    if noise_kind == "uniform":
        status = library.sg_draw_uniform(*batch, *out)
    else:
        status = library.sg_draw_noise(("torch", "philox").index(rng), *batch, DTYPES[noise.dtype.name], *out)
    if status:
        raise SamplegraphError(status, library.sg_last_error().decode())
    return noise, steps


def onnxruntime_folder() -> Path:
    """Where the Python wheel keeps the C library of ONNX Runtime."""
    import onnxruntime

    return Path(onnxruntime.__file__).parent / "capi"

"""The C interface from Python's ctypes, without numpy: python smoke.py libsamplegraph.so GRAPH.onnx [LABEL]."""

from __future__ import annotations

import ctypes as c
import sys


class Array(c.Structure):
    _fields_ = [
        ("name", c.c_char_p),
        ("data", c.c_void_p),
        ("shape", c.POINTER(c.c_int64)),
        ("rank", c.c_size_t),
        ("dtype", c.c_int32),
        ("reserved", c.c_int32),
    ]


class Request(c.Structure):
    _fields_ = [
        ("struct_size", c.c_size_t),
        ("rng", c.c_int32),
        ("seed_kind", c.c_int32),
        ("seed", c.c_uint64),
        ("seeds", c.POINTER(c.c_uint64)),
        ("seed_count", c.c_size_t),
        ("samples", c.c_int64),
        ("inputs", c.POINTER(Array)),
        ("input_count", c.c_size_t),
        ("progress", c.c_void_p),
        ("progress_data", c.c_void_p),
        ("stop", c.c_void_p),
    ]


def main(library: str, graph: str, label: str = "3") -> None:
    sg = c.CDLL(library)
    sg.sg_last_error.restype = c.c_char_p
    engine, value, rows = c.c_void_p(), c.c_int64(int(label)), c.c_int64(1)
    image = (c.c_float * 256)()
    array = Array(b"class_labels", c.addressof(value), c.pointer(rows), 1, 5, 0)
    request = Request(c.sizeof(Request), seed_kind=1, inputs=c.pointer(array), input_count=1)
    if sg.sg_engine_open(graph.encode(), None, c.byref(engine)):
        sys.exit(f"error: {sg.sg_last_error().decode()}")
    if sg.sg_sample(engine, c.byref(request), image, c.c_size_t(c.sizeof(image))):
        sys.exit(f"error: {sg.sg_last_error().decode()}")
    sg.sg_engine_close(engine)
    for y in range(16):
        print("".join("#" if v > 0 else "+" if v > -0.5 else " " for v in image[16 * y : 16 * y + 16]))


if __name__ == "__main__":
    main(*sys.argv[1:])

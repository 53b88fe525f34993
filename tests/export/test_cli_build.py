"""``samplegraph build``: what it prints, and what it refuses before any builder is at work."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from samplegraph.export.cli import main
from samplegraph.export.engine import builders
from samplegraph.runtime import read_manifest
from samplegraph.runtime.manifest import OptimizedFor
from samplegraph.runtime.manifest_file import sidecar

Toy = Callable[..., Path]


def samplegraph(*arguments: object) -> int:
    return main([str(a) for a in arguments], program="samplegraph")


def test_it_builds_and_inspect_shows_it(toy: Toy, capsys: pytest.CaptureFixture[str]) -> None:
    version = pytest.importorskip("tensorrt_rtx").__version__
    graph = toy(batch="batch")
    assert samplegraph("build", graph, "--target", "sm86,sm89", "--batch", "1:4:8") == 0
    out = capsys.readouterr().out
    engine = graph.with_suffix(".sm89.engine")
    assert [line.split("  ")[0] for line in out.splitlines()] == [str(graph.with_suffix(".sm86.engine")), str(engine)]
    assert samplegraph("inspect", engine) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert f"for sm89, by tensorrt-rtx {version}" in shown
    assert "batch 1:4:8" in shown
    assert samplegraph("verify", engine) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{engine}: whole, and built from {graph.name} as it is now; by tensorrt-rtx {version} for")
    assert "; not run against eager: no NVIDIA GPU can be used here" in out


def test_print_trtexec_builds_nothing(
    toy: Toy, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builders, "compute_capability", lambda: (9, 0))
    graph = toy(batch="batch", slices=2)
    assert samplegraph("build", graph, "--target", "sm89", "--batch", "1:4:8", "--print-trtexec") == 0
    out = capsys.readouterr().out
    assert out.startswith(f"tensorrt_rtx --onnx={graph} --saveEngine={graph.with_suffix('.sm89.engine')} ")
    assert "--skipInference --computeCapabilities=89 --minShapes=noise:1x1x4x4," in out
    assert "--optShapes=noise:4x1x4x4,step_noise:2x4x1x4x4,class_labels:4" in out
    more = ("--workspace", 64, "--timing-cache", "x.cache", "--optimization-level", 4, "--max-aux-streams", 2)
    more = (*more, "--version-compatible", "--refittable")
    assert samplegraph("build", graph, "--builder", "tensorrt", *more, "--print-trtexec") == 0
    out = capsys.readouterr().out
    assert out.startswith("trtexec ")
    assert ".sm90.engine --skipInference --noTF32 --maxAuxStreams=2 --builderOptimizationLevel=4 " in out
    assert " --memPoolSize=workspace:64 --timingCacheFile=x.cache --versionCompatible --refit --minShapes=" in out
    assert [p.name for p in graph.parent.iterdir()] == [graph.name]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "target is missing; give one or more of sm75, sm80, sm86, sm89, sm120"),
        (("--target", "sm98"), "target=sm98 is not one that tensorrt-rtx builds for"),
        (("--target", "sm89,sm89"), "names sm89 twice"),
        (("--builder", "tensorrtx"), "builder=tensorrtx is not known; choose one of tensorrt-rtx, tensorrt"),
        (("--builder", "tensorrt"), "builds on the GPU at hand and there is none"),
        (("--target", "sm89", "--batch", "1:4:8"), "always takes 1 rows; leave it out"),
        (("--target", "sm89", "--batch", "4"), "batch=4 is not allowed; give MIN:OPT:MAX"),
        (("--target", "sm89", "--batch", "4:2:8"), "batch=4:2:8 is not allowed"),
        (("--target", "sm89", "--workspace", "0"), "workspace=0 is not allowed"),
        (("--target", "sm89", "--max-aux-streams", "-1"), "max_aux_streams=-1 is not allowed"),
        (("--target", "sm89", "--optimization-level", "6"), "optimization_level=6 is not allowed; give 0 to 5"),
        (("--target", "sm89", "--timing-cache", "x"), "timing_cache=x: tensorrt-rtx measures no kernels"),
        (("--target", "sm89", "--optimization-level", "0"), "optimization_level=0: tensorrt-rtx builds the same"),
        (("--target", "sm89", "--max-aux-streams", "1"), "max_aux_streams=1: tensorrt-rtx assigns no streams before"),
        (("--target", "sm89", "--version-compatible"), "version_compatible=True: tensorrt-rtx has no runtime for such"),
        (("--target", "sm89", "--refittable"), "refittable=True: tensorrt-rtx builds such engines with a GPU at hand"),
    ],
)
def test_bad_input_is_one_line(
    arguments: tuple[str, ...],
    words: str,
    toy: Toy,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(builders, "compute_capability", lambda: None)
    graph = toy()
    assert samplegraph("build", graph, *arguments) == 2
    err = capsys.readouterr().err
    assert words in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert [p.name for p in graph.parent.iterdir()] == [graph.name]


def test_tensorrt_builds_for_the_gpu_at_hand_alone(
    toy: Toy, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builders, "compute_capability", lambda: (8, 6))
    assert samplegraph("build", toy(), "--builder", "tensorrt", "--target", "sm89") == 2
    assert "target=sm89: builder=tensorrt builds for the GPU at hand, sm86" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("builder", "words"),
    [
        ("tensorrt-rtx", 'pip install "samplegraph[tensorrt-rtx]"\n'),
        ("tensorrt", '[tensorrt]" and NVIDIA\'s TensorRT libraries, which come from the vendor\n'),
    ],
)
def test_a_missing_builder_is_named(
    builder: str, words: str, toy: Toy, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builders, "compute_capability", lambda: (8, 9))
    monkeypatch.setitem(sys.modules, builder.replace("-", "_"), None)
    assert samplegraph("build", toy(), "--builder", builder, "--target", "sm89") == 2
    assert words in capsys.readouterr().err


def test_an_old_builder_is_refused(
    toy: Toy, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", SimpleNamespace(__version__="1.6.9"))
    assert samplegraph("build", toy(), "--target", "sm89") == 2
    assert "builder=tensorrt-rtx 1.6.9 is too old; update it to 1.7 or newer" in capsys.readouterr().err


def test_graphs_that_no_builder_reads_are_refused(toy: Toy, capsys: pytest.CaptureFixture[str]) -> None:
    graph = toy()
    made = replace(read_manifest(graph), optimized_for=OptimizedFor("cpu", "1.31.1"))
    import onnx

    model = onnx.load(graph)
    del model.metadata_props[:]
    onnx.save(model, graph)
    sidecar(graph).write_text(made.to_json(), encoding="utf-8")
    assert samplegraph("build", graph, "--target", "sm89") == 2
    assert "was optimised for ONNX Runtime and no builder reads it; give the plain graph" in capsys.readouterr().err
    assert samplegraph("build", graph.with_name("absent.onnx"), "--target", "sm89") == 2
    assert "no such file" in capsys.readouterr().err.lower()


def test_ctrl_c_cancels_and_leaves_nothing(
    toy: Toy, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signal comes while the builder is at work."""
    pytest.importorskip("tensorrt_rtx")
    import threading

    from samplegraph.export.cli import engines

    graph, begun = toy(), threading.Event()
    build_apart, join = engines.build_apart, threading.Thread.join

    def slowly(plan: object, listener: Callable[[str, int, int], bool]) -> object:
        begun.set()
        while listener("waiting", 1, 2):
            pass
        return build_apart(plan, listener)  # type: ignore[arg-type]

    def interrupted(thread: threading.Thread, timeout: float | None = None) -> None:
        if timeout == 0.1 and begun.is_set():
            raise KeyboardInterrupt
        join(thread, timeout)

    monkeypatch.setattr(engines, "build_apart", slowly)
    monkeypatch.setattr(threading.Thread, "join", interrupted)
    assert samplegraph("build", graph, "--target", "sm89") == 130
    assert "error: interrupted" in capsys.readouterr().err
    assert [p.name for p in graph.parent.iterdir()] == [graph.name]

"""A capture kept on the disk gives the same bytes as a fresh one, and is never used for anything that differs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from networks import TinyDiT, seeded
from torch import Tensor, nn

from samplegraph.export import Captures, compile
from samplegraph.export.cli import main
from samplegraph.export.denoiser import capture, fingerprint, weightless
from samplegraph.export.denoiser.capture_cache import SUFFIX, CaptureCache, user_cache
from samplegraph.export.denoiser.torch_export import trace_module
from samplegraph.export.storage.raw import Digests
from samplegraph.models import ModelSpec, Sampler
from samplegraph.runtime.kept_files import VARIABLE
from samplegraph.schedulers import create

SHAPE = (16, 16)


def _offset() -> float:
    """What a network's code reads besides itself."""
    return 0.25


class Tables(nn.Module):
    """Buffers, one of them not persistent, a tensor that is neither, tied weights, three layers in one, half floats."""

    spec = ModelSpec(name="tables", sample_shape=SHAPE, prediction_type="epsilon")

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out, self.again = nn.Linear(16, 48), nn.Linear(16, 16), nn.Linear(16, 16)
        self.again.weight = self.out.weight
        self.register_buffer("kept", torch.linspace(0.5, 1.5, 256).reshape(SHAPE))
        self.register_buffer("passing", torch.linspace(0.1, 0.3, 512), persistent=False)
        self.short = nn.Parameter(torch.linspace(0.5, 1.0, 1024).to(torch.bfloat16))
        self.plain = torch.linspace(-1.0, 1.0, 16)
        self.slope = 1e-3

    def forward(self, sample: Tensor, timestep: Tensor) -> Tensor:
        q, k, v = self.qkv(sample @ self.kept).chunk(3, dim=-1)
        h = self.again(self.out(torch.softmax(q @ k.transpose(1, 2), dim=-1) @ v)) * self.plain
        scale = self.passing[:16] * self.short.float()[:16] + timestep[:, None, None] * self.slope
        return torch.tanh(h) * scale + _offset()


def _tables() -> Tables:
    network = Tables()
    generator = torch.Generator().manual_seed(0)
    for layer in (network.qkv, network.out):
        layer.weight.data = torch.randn(layer.weight.shape, generator=generator) * 0.2
    for parameter in (network.qkv.bias, network.out.bias, network.again.bias):
        parameter.data.fill_(0.1)
    return network.eval().requires_grad_(False)


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Grows with each network that torch's exporter is given."""
    found: list[object] = []

    def counted(*args: Any, original: Any = capture.export_module) -> Any:
        found.append(args)
        return original(*args)

    monkeypatch.setattr(capture, "export_module", counted)
    return found


def _files(network: nn.Module, folder: Path, cache: CaptureCache | None) -> dict[str, bytes]:
    """What an export writes in a process that has captured nothing before."""
    sampler = Sampler(network, create("ddim", 2, clip_sample=False))
    program = compile(sampler, captures=Captures(cache), name="x", weights="external")
    program.save(folder / "x.onnx")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("make", [_tables, lambda: seeded(TinyDiT())])
def test_same_bytes_without_the_exporter(
    make: Callable[[], nn.Module], exported: list[object], tmp_path: Path
) -> None:
    cache = CaptureCache(tmp_path / "cache")
    fresh = _files(make(), tmp_path / "fresh", None)
    kept, used = (_files(make(), tmp_path / name, cache) for name in ("kept", "used"))
    assert len(exported) == 2
    assert fresh == kept == used
    (entry,) = cache.folder.iterdir()
    for name, weight in make().named_parameters():
        if weight.nbytes >= 512:
            assert weight.view(torch.uint8).numpy().tobytes()[:256] not in entry.read_bytes(), name


def test_a_damaged_entry_is_none(exported: list[object], tmp_path: Path) -> None:
    cache = CaptureCache(tmp_path / "cache")
    first = _files(_tables(), tmp_path / "first", cache)
    (entry,) = cache.folder.iterdir()
    whole = entry.read_bytes()
    entry.write_bytes(whole[:600] + b"?" + whole[601:])
    assert _files(_tables(), tmp_path / "second", cache) == first
    assert len(exported) == 2
    assert entry.read_bytes() == whole
    entry.write_bytes(whole[:-100])
    assert cache.files.read(entry.stem) is None


def _digest(network: nn.Module, rows: int = 1, names: tuple[str, ...] = ("sample", "timestep")) -> str | None:
    program = trace_module(network, (torch.zeros(rows, *SHAPE), torch.ones(rows)))
    assert program is not None
    return fingerprint.fingerprint(program, names, Digests())


def _parameter(tensor: Tensor) -> nn.Parameter:
    return nn.Parameter(tensor, requires_grad=False)


def _changed(change: Callable[[Tables], object]) -> Tables:
    network = _tables()
    with torch.no_grad():
        change(network)
    return network


def test_the_digest_tells_networks_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = _digest(_tables())
    assert plain is not None
    assert _digest(_tables()) == plain
    others = [
        _digest(_changed(lambda n: n.out.weight[3, 4].mul_(1.0001))),
        _digest(_changed(lambda n: n.short[1000].mul_(2))),
        _digest(_changed(lambda n: n.kept[0, 0].add_(1e-6))),
        _digest(_changed(lambda n: n.passing[511].add_(1))),
        _digest(_changed(lambda n: n.plain[0].add_(1))),
        _digest(_changed(lambda n: setattr(n, "slope", 1.0000001e-3))),
        _digest(_changed(lambda n: setattr(n.again, "weight", _parameter(n.out.weight.clone())))),
        _digest(_tables(), rows=2),
        _digest(_tables(), names=("sample", "t")),
    ]
    with monkeypatch.context() as patched:
        patched.setitem(globals(), "_offset", lambda: 0.5)
        others.append(_digest(_tables()))
    with monkeypatch.context() as patched:
        patched.setattr(fingerprint, "_code", lambda: ("a later version",))
        others.append(_digest(_tables()))
    program = trace_module(_tables(), (torch.zeros(1, *SHAPE), torch.ones(1)))
    assert program is not None
    with monkeypatch.context() as patched:
        patched.setattr(torch, "get_default_dtype", lambda: torch.float64)
        others.append(fingerprint.fingerprint(program, ("sample", "timestep"), Digests()))
    assert None not in others
    assert len({plain, *others}) == 1 + len(others)


def test_what_is_not_certain_has_no_digest() -> None:
    assert _digest(_changed(lambda n: setattr(n.out, "weight", _parameter(n.out.weight.T)))) is None

    class Own(Tables):
        def forward(self, sample: Tensor, timestep: Tensor) -> Tensor:
            out: Tensor = torch.onnx.ops.symbolic("own::Op", (sample,), dtype=sample.dtype, shape=sample.shape)
            return out + timestep[:, None, None]

    assert _digest(Own().eval().requires_grad_(False)) is None


def test_constants_that_may_be_weights_are_not_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(weightless, "MOST", 8)
    cache = CaptureCache(tmp_path / "cache")
    _files(_tables(), tmp_path / "out", cache)
    assert not cache.folder.exists()


def test_a_folder_that_cannot_be_written_to_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "x.onnx" in _files(_tables(), tmp_path / "out", CaptureCache(tmp_path / "file"))


def test_the_longest_unused_go_first(tmp_path: Path) -> None:
    cache = CaptureCache(tmp_path, limit=3000)
    for age, name in enumerate(("a", "b", "c", "d")):
        (tmp_path / f"{name}{SUFFIX}").write_bytes(bytes(1000))
        os.utime(tmp_path / f"{name}{SUFFIX}", (1e9 - age, 1e9 - age))
    (tmp_path / "of someone else").write_bytes(bytes(9000))
    cache.files.read("d")
    cache.files.write("e", bytes(500))
    assert sorted(path.stem for path in tmp_path.glob(f"*{SUFFIX}")) == ["a", "d", "e"]
    assert (tmp_path / "of someone else").exists()


def test_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "mine"))
    command = ("export", "--scheduler", "ddim", "--steps", "2", "--model", "cli_models:tinydit", "--no-verify")
    assert main([*command, "--no-cache"], program="samplegraph") == 0
    assert not (tmp_path / "mine").exists()
    assert main(command, program="samplegraph") == 0
    assert len(list((tmp_path / "mine").iterdir())) == 1


def test_where_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")
    assert user_cache() is None
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert user_cache() == CaptureCache(tmp_path)
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert user_cache() == CaptureCache(tmp_path / "x" / "samplegraph")
    monkeypatch.setattr("sys.platform", "darwin")
    found = user_cache()
    assert found is not None
    assert found.folder == Path.home() / "Library" / "Caches" / "samplegraph"

"""``samplegraph export`` and ``run`` with a sample to start from."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from samplegraph.export.cli import main
from samplegraph.export.cli.values import parse_value
from samplegraph.runtime import Engine, InputError, read_manifest

TINY = ("--model", "cli_models:tiny", "--steps", "4", "--output", "out")

pytestmark = pytest.mark.usefixtures("quick_export")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def samplegraph(*arguments: str) -> int:
    return main(arguments, program="samplegraph")


def test_export_run_verify_and_inspect(capsys: pytest.CaptureFixture[str]) -> None:
    assert samplegraph("export", *TINY, "--scheduler", "dpm_multistep", "--strength", "0.5", "--inpaint") == 0
    path = Path("out/tiny-dpm_multistep-4-s0.5-inpaint.onnx")
    assert (read_manifest(path).task, read_manifest(path).scheduler.begin) == ("inpaint", 2)
    given = {"init_sample": np.zeros((1, 2, 8, 8)), "mask": np.ones((1, 1, 8, 8)), "class_labels": 1}
    settings = ["--set", "class_labels=1"]
    for name in ("init_sample", "mask"):
        np.save(f"{name}.npy", given[name])
        settings += ["--set", f"{name}=@{name}.npy"]
    assert samplegraph("run", str(path), "--seed", "3", *settings, "--output", "x.npy") == 0
    assert np.array_equal(np.load("x.npy"), Engine(path)(seed=3, **given))
    assert samplegraph("verify", str(path), "--model", "cli_models:tiny") == 0
    capsys.readouterr()
    assert samplegraph("inspect", str(path)) == 0
    shown = capsys.readouterr().out
    assert "inpaint, steps 2 to 3" in shown
    assert re.findall(r"^│ +(\d+|end) │", shown, re.MULTILINE) == ["2", "3", "end"]
    assert shown.count("*x") == 2


def test_an_inversion_needs_no_seed(capsys: pytest.CaptureFixture[str]) -> None:
    assert samplegraph("export", *TINY, "--scheduler", "ddim_inverse") == 0
    path = Path("out/tiny-ddim_inverse-4.onnx")
    np.save("x.npy", np.zeros((3, 2, 8, 8), np.float32))
    start = ("run", str(path), "--set", "init_sample=@x.npy", "--set", "class_labels=1", "--output", "z.npy")
    assert samplegraph(*start) == 0
    assert np.load("z.npy").shape == (3, 2, 8, 8)
    capsys.readouterr()
    assert samplegraph(*start, "--seed", "0") == 2
    assert "seed is given, but tiny-ddim_inverse-4 draws no noise; leave it out" in capsys.readouterr().err


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("1", 1), ("RGB", 3), ("RGBA", 3)])
def test_pictures_as_values(mode: str, channels: int) -> None:
    Image.new(mode, (6, 4), 0).save("x.png")
    sample, mask = parse_value("@x.png", "init_sample"), parse_value("@x.png", "mask")
    assert (sample.shape, mask.shape) == ((channels, 4, 6), (1, 4, 6))
    assert (sample == -1).all()
    assert (mask == 0).all()
    Image.new("RGB", (1, 1), (255, 0, 0)).save("x.png")
    assert parse_value("@x.png", "init_sample").ravel().tolist() == [1, -1, -1]


@pytest.mark.parametrize("content", [None, b"", b"no picture", b"\x89PNG\r\n\x1a\n"])
def test_files_that_are_no_pictures(content: bytes | None) -> None:
    if content is not None:
        Path("x.png").write_bytes(content)
    with pytest.raises(InputError, match=r"init_sample=@x.png: cannot be read"):
        parse_value("@x.png", "init_sample")

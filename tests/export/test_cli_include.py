"""``export --include``: what becomes of it on the command line, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import whole_pipelines

from samplegraph.export.cli import main
from samplegraph.runtime import read_manifest


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("include") / "sd"
    whole_pipelines.stable_diffusion().save_pretrained(made)
    return made


@pytest.fixture
def said(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """``said(*options)`` of an export from the pipeline's folder: the exit code and the line on stderr."""

    def run(*options: str, model: str | None = None) -> tuple[int, str]:
        arguments = ["export", "--model", model or str(folder), "--steps", "2", "--output", str(tmp_path / "out")]
        code = main([*arguments, *options], program="samplegraph")
        return code, capsys.readouterr().err

    return run


@pytest.mark.slow
def test_verify_finds_in_the_manifest_what_was_included(
    folder: Path, tmp_path: Path, said: Callable[..., tuple[int, str]]
) -> None:
    code, text = said("--include", "text_encoder, vae", "--clip-skip", "1", "--no-verify")
    assert (code, text) == (0, "")
    path = tmp_path / "out" / "sd-pndm-2-pre-post.onnx"
    manifest = read_manifest(path)
    assert [t.name for t in manifest.inputs] == ["noise", "input_ids", "negative_input_ids", "guidance_scale"]
    assert manifest.outputs[0].name == "image"
    assert main(["verify", str(path), "--model", str(folder)], program="samplegraph") == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--include", "tokenizer"], "include='tokenizer' is not known; choose one of text_encoder, vae, vae_encoder"),
        (["--include", "vae", "--post", "m:f"], "post='m:f' and include='vae' would both make the output; give one"),
        (["--include", "vae", "--clip-skip", "1"], "clip_skip=1 needs include='text_encoder'"),
        (["--include", "text_encoder", "--clip-skip", "9"], "clip_skip=9 is not allowed for text_encoder, which has 3"),
        (["--include", "vae_encoder"], "gives 'init_sample', which the model does not take"),
    ],
)
def test_refused(
    options: list[str], message: str, tmp_path: Path, said: Callable[..., tuple[int, str]]
) -> None:
    code, text = said(*options)
    assert code == 2
    assert message in text
    assert text.count("\n") == 1
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_a_model_without_a_pipeline(said: Callable[..., tuple[int, str]]) -> None:
    code, text = said("--include", "vae", "--scheduler", "ddim", model="digits")
    assert code == 2
    assert "include=vae is for folders of diffusers pipelines, and model='digits' is none" in text

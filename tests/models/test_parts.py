"""Text encoders and decoders of pipelines against what diffusers' pipelines make of the same prompts and latents."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
import torch
import whole_pipelines
from diffusers.image_processor import VaeImageProcessor
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from safetensors.torch import load_file, save_file
from torch import Tensor
from whole_pipelines import NEGATIVE, PROMPT, token_ids

from samplegraph.models import load_parts
from samplegraph.models.parts.branches import BRANCH
from samplegraph.schedulers import OptionError

#: Pipeline -> lengths of its ids.
LENGTHS = {
    "stable_diffusion": (12,),
    "stable_diffusion_xl": (12, 12),
    "stable_diffusion_3": (12, 12, 10),
    "flux": (12, 10),
    "pixart_sigma": (10,),
    "sana": (10,),
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Any, Path]]:
    """``saved(name)`` is a pipeline and the folder it was written to."""
    known: dict[str, tuple[Any, Path]] = {}

    def make(name: str) -> tuple[Any, Path]:
        if name not in known:
            pipeline, folder = getattr(whole_pipelines, name)(), tmp_path_factory.mktemp(name) / name
            pipeline.save_pretrained(folder)
            known[name] = pipeline, folder
        return known[name]

    return make


def encoded(pipeline: Any, prompt: str | None, negative: str | None, **own: Any) -> dict[str, Tensor]:
    """What the pipeline's ``encode_prompt`` gives, under our names, rows of the negative prompt first."""
    kind = type(pipeline).__name__
    if kind == "StableDiffusionPipeline":
        cond, uncond = pipeline.encode_prompt(prompt, "cpu", 1, True, negative, **own)
        return {"encoder_hidden_states": torch.cat([uncond, cond])}
    if kind == "FluxPipeline":
        cond, pooled, _ = pipeline.encode_prompt(prompt, None, max_sequence_length=10)
        return {"encoder_hidden_states": cond, "pooled_projections": pooled}
    if kind in ("PixArtSigmaPipeline", "SanaPipeline"):
        own = {"max_sequence_length": 10, **own}
        cond, mask, uncond, other = pipeline.encode_prompt(prompt, True, negative, **own)
        masks = torch.cat([other, mask]).float()
        return {"encoder_hidden_states": torch.cat([uncond, cond]), "encoder_attention_mask": masks}
    pooled_name, three = "text_embeds", {}
    if kind == "StableDiffusion3Pipeline":
        pooled_name, three = "pooled_projections", {"prompt_3": None, "max_sequence_length": 10}
    found = pipeline.encode_prompt(prompt, prompt_2=None, negative_prompt=negative, **three, **own)
    cond, uncond, pooled, other = found
    return {"encoder_hidden_states": torch.cat([uncond, cond]), pooled_name: torch.cat([other, pooled])}


def both(pipeline: Any, lengths: Sequence[int], prompt: str = PROMPT, negative: str = NEGATIVE) -> dict[str, Tensor]:
    """Ids as a sampler stacks them, and which rows are of prompts."""
    first, second = token_ids(pipeline, negative, lengths), token_ids(pipeline, prompt, lengths)
    return {name: torch.cat([first[name], second[name]]) for name in first} | {BRANCH.name: torch.tensor([0, 1])}


def same(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    assert set(found) == set(expected)
    for name, rows in expected.items():
        ours = found[name][-len(rows) :]  # Flux has no negative prompt
        assert ours.shape == rows.shape
        assert (ours - rows).abs().max() <= 1e-5 * rows.abs().max()


@pytest.mark.parametrize("name", LENGTHS)
def test_prompts_are_read_as_the_pipeline_reads_them(name: str, saved: Callable[[str], tuple[Any, Path]]) -> None:
    pipeline, folder = saved(name)
    front = load_parts(folder, ["text_encoder"]).pre[-1]
    given = both(pipeline, LENGTHS[name])
    expected = encoded(pipeline, PROMPT, NEGATIVE)
    same(front(**{name: given[name] for name in front.inputs}), expected)
    assert expected["encoder_hidden_states"].std() > 0.1


@pytest.mark.parametrize("name", ["stable_diffusion", "stable_diffusion_xl", "stable_diffusion_3"])
def test_layers_are_skipped_for_prompts_alone(
    name: str, saved: Callable[[str], tuple[Any, Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline, folder = saved(name)
    front = load_parts(folder, ["text_encoder"], clip_skip=1).pre[-1]
    if name == "stable_diffusion":  # diffusers looks where older versions of transformers had it
        norm = SimpleNamespace(final_layer_norm=pipeline.text_encoder.final_layer_norm)
        monkeypatch.setattr(pipeline.text_encoder, "text_model", norm, raising=False)
    expected = encoded(pipeline, PROMPT, NEGATIVE, clip_skip=1)
    plain = encoded(pipeline, PROMPT, NEGATIVE)
    same(front(**both(pipeline, LENGTHS[name])), expected)
    assert not torch.allclose(plain["encoder_hidden_states"], expected["encoder_hidden_states"], atol=1e-2)


def test_no_negative_prompt_is_zeros(saved: Callable[[str], tuple[Any, Path]]) -> None:
    pipeline, folder = saved("stable_diffusion_xl")
    front = load_parts(folder, ["text_encoder"]).pre[-1]
    given = both(pipeline, LENGTHS["stable_diffusion_xl"])
    given["input_ids"][0] = given["input_ids_2"][0] = -1
    expected = encoded(pipeline, PROMPT, None)
    assert not expected["encoder_hidden_states"][0].any()
    same(front(**{name: given[name] for name in front.inputs}), expected)


def test_zeros_in_place_of_t5(saved: Callable[[str], tuple[Any, Path]], tmp_path: Path) -> None:
    whole, folder = saved("stable_diffusion_3")
    shutil.copytree(folder, tmp_path / "copy")
    _index(tmp_path / "copy", text_encoder_3=[None, None], tokenizer_3=[None, None])
    parts = {**whole.components, "text_encoder_3": None, "tokenizer_3": None}
    pipeline = type(whole)(**parts)
    front = load_parts(tmp_path / "copy", ["text_encoder"]).pre[-1]
    given = both(pipeline, (12, 12))
    cond, uncond, pooled, other = pipeline.encode_prompt(PROMPT, None, None, negative_prompt=NEGATIVE)
    expected = {"encoder_hidden_states": torch.cat([uncond, cond]), "pooled_projections": torch.cat([other, pooled])}
    same(front(**{name: given[name] for name in front.inputs}), expected)


def test_an_instruction_in_front_of_prompts(
    saved: Callable[[str], tuple[Any, Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sana keeps the first id and the last ones, and a negative prompt has no instruction."""
    from samplegraph.models.parts import sana

    monkeypatch.setattr(sana, "LENGTH", 10)
    pipeline, folder = saved("sana")
    front = load_parts(folder, ["text_encoder"]).pre[-1]
    instruction = ["draw it well: "]
    expected = encoded(pipeline, PROMPT, NEGATIVE, complex_human_instruction=instruction)
    length = len(pipeline.tokenizer.encode(instruction[0])) + 10 - 2
    assert length > 10
    given = both(pipeline, (length,), instruction[0] + PROMPT)
    same(front(**{name: given[name] for name in front.inputs}), expected)


@pytest.mark.parametrize("name", ["stable_diffusion_xl", "stable_diffusion_3", "sana", "ldm"])
def test_what_is_encoded_decodes_as_the_pipelines_latents(
    name: str, saved: Callable[[str], tuple[Any, Path]]
) -> None:
    """The mean of the autoencoder's own encoder, under the inverse of what the decoder does."""
    pipeline, folder = saved(name)
    parts = load_parts(folder, ["vae", "vae_encoder"], sample_shape=(4, 8, 8))
    (front,), post = parts.pre, parts.post
    assert front.inputs["init_image"].shape == (3, 16, 16)
    image = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    vae = pipeline.vqvae if name == "ldm" else pipeline.vae
    with torch.no_grad():
        read = vae.encode(VaeImageProcessor().preprocess(image))
        latents = read.latent_dist.mode() if hasattr(read, "latent_dist") else read[0]
        expected = VaeImageProcessor().postprocess(vae.decode(latents)[0], output_type="pt")
        found = front(init_image=image)["init_sample"]
    assert post is not None
    assert (post(found) - expected).abs().max() <= 1e-5
    assert (found - latents).abs().max() > 0.01


DECODERS: Mapping[str, Callable[[Any, Tensor], Tensor]] = {
    "stable_diffusion": lambda p, x: p.vae.decode(x / p.vae.config.scaling_factor)[0],
    "stable_diffusion_xl": lambda p, x: p.vae.decode(_by_channel(p.vae.config, x))[0],
    "flux": lambda p, x: p.vae.decode(x / p.vae.config.scaling_factor + p.vae.config.shift_factor)[0],
    "sana": lambda p, x: p.vae.decode(x / p.vae.config.scaling_factor)[0],
    "ldm": lambda p, x: p.vqvae.decode(x / p.vqvae.config.scaling_factor)[0],
}


def _by_channel(config: Any, latents: Tensor) -> Tensor:
    mean, deviation = (torch.tensor(each).view(1, 4, 1, 1) for each in (config.latents_mean, config.latents_std))
    return latents * deviation / config.scaling_factor + mean


@pytest.mark.parametrize("name", DECODERS)
def test_latents_are_decoded_as_the_pipeline_decodes_them(
    name: str, saved: Callable[[str], tuple[Any, Path]]
) -> None:
    pipeline, folder = saved(name)
    post = load_parts(folder, ["vae"]).post
    latents = 3 * torch.randn(2, 3 if name == "ldm" else 4, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        image = DECODERS[name](pipeline, latents)
        expected = VaeImageProcessor().postprocess(image, output_type="pt")
        assert post is not None
        found = post(latents)
    assert found.shape == (2, 3, 16, 16)
    assert (found - expected).abs().max() <= 1e-5
    assert ((expected > 0) & (expected < 1)).float().mean() > 0.3


def _weights(folder: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    held = load_file(folder / "model.safetensors")
    change(held)
    save_file(held, folder / "model.safetensors", {"format": "pt"})


def _index(folder: Path, **entries: Any) -> None:
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps({**index, **entries}))


#: What is done to Stable Diffusion's folder, what is asked for, and what is said.
REFUSED: Mapping[str, tuple[Callable[[Path], object], str, str]] = {
    "unknown part": (
        lambda f: None,
        "vea",
        r"include='vea' is not known; choose one of text_encoder, vae, vae_encoder; did you mean 'vae'",
    ),
    "no such part": (
        lambda f: _index(f, text_encoder=[None, None]),
        "text_encoder",
        r"include='text_encoder' is not in model='.*', which has vae and vae_encoder; leave it out$",
    ),
    "no folder": (
        lambda f: shutil.rmtree(f / "text_encoder"),
        "text_encoder",
        "has no text_encoder/config.json, and its model_index.json names text_encoder; give a folder that is whole",
    ),
    "no weights": (
        lambda f: (f / "text_encoder" / "model.safetensors").unlink(),
        "text_encoder",
        r"text_encoder' holds no model.safetensors; give a folder with weights",
    ),
    "a pickle": (
        lambda f: (f / "text_encoder" / "model.safetensors").rename(f / "text_encoder" / "pytorch_model.bin"),
        "text_encoder",
        r"text_encoder' holds pytorch_model.bin, a pickle: reading a pickle can run any code",
    ),
    "missing weight": (
        lambda f: _weights(f / "text_encoder", lambda held: held.pop("final_layer_norm.weight")),
        "text_encoder",
        r"text_encoder' lacks the weight 'final_layer_norm.weight' of CLIPTextModel",
    ),
    "other class": (
        lambda f: _index(f, text_encoder=["transformers", "BertModel"]),
        "text_encoder",
        r"text_encoder': the text encoder BertModel is not supported here, only CLIPTextModel; leave",
    ),
    "other autoencoder": (
        lambda f: (f / "vae" / "config.json").write_text('{"_class_name": "ConsistencyDecoderVAE"}'),
        "vae",
        r"vae': the autoencoder ConsistencyDecoderVAE is not supported, only AutoencoderKL, ",
    ),
    "no weights of the decoder": (
        lambda f: (f / "vae" / "diffusion_pytorch_model.safetensors").unlink(),
        "vae",
        r"vae' holds no diffusion_pytorch_model.safetensors",
    ),
    "no pipeline": (
        lambda f: (f / "model_index.json").rename(f / "other.json"),
        "vae",
        r"include='vae' needs a pipeline, and model='.*' is a denoiser alone; give the folder that holds its model_i",
    ),
}


@pytest.mark.parametrize("change", REFUSED)
def test_refused(change: str, saved: Callable[[str], tuple[Any, Path]], tmp_path: Path) -> None:
    act, include, message = REFUSED[change]
    folder = tmp_path / "copy"
    shutil.copytree(saved("stable_diffusion")[1], folder)
    act(folder)
    with pytest.raises(OptionError, match=message) as caught:
        load_parts(folder / "unet" if change == "no pipeline" else folder, [include])
    assert "\n" not in str(caught.value)


def test_layers_that_cannot_be_skipped(saved: Callable[[str], tuple[Any, Path]]) -> None:
    with pytest.raises(OptionError, match=r"clip_skip=3 is not allowed .* 3 layers; give 0 to 2"):
        load_parts(saved("stable_diffusion")[1], ["text_encoder"], clip_skip=3)
    with pytest.raises(OptionError, match=r"clip_skip=1 is for .*; leave it out"):
        load_parts(saved("flux")[1], ["text_encoder"], clip_skip=1)
    with pytest.raises(OptionError, match=r"clip_skip=1 needs include='text_encoder'"):
        load_parts(saved("flux")[1], ["vae"], clip_skip=1)


def test_a_model_that_is_no_folder() -> None:
    with pytest.raises(OptionError, match=r"include=vae is for folders of diffusers pipelines, and model='digits' is"):
        load_parts("digits", ["vae"])


@pytest.mark.parametrize("name", ["stable_diffusion", "stable_diffusion_xl"])
def test_a_lora_is_fused_into_text_encoders(
    name: str, saved: Callable[[str], tuple[Any, Path]], tmp_path: Path
) -> None:
    _, folder = saved(name)
    pipeline = getattr(whole_pipelines, name)()
    layers: dict[str, Any] = {}
    torch.manual_seed(3)
    for part in ("text_encoder", "text_encoder_2"):
        if (encoder := getattr(pipeline, part, None)) is not None:
            config = LoraConfig(r=2, lora_alpha=6, init_lora_weights=False, target_modules=["q_proj", "fc1"])
            encoder.add_adapter(config)
            layers[f"{part}_lora_layers"] = get_peft_model_state_dict(encoder)
            layers[f"{part}_lora_adapter_metadata"] = encoder.peft_config["default"].to_dict()
    pipeline.save_lora_weights(tmp_path, **layers)
    theirs = encoded(pipeline, PROMPT, NEGATIVE)
    front = load_parts(folder, ["text_encoder"], lora=[str(tmp_path)]).pre[-1]
    given = both(pipeline, LENGTHS[name])
    same(front(**{name: given[name] for name in front.inputs}), theirs)
    plain = load_parts(folder, ["text_encoder"]).pre[-1]
    states = plain(**{name: given[name] for name in front.inputs})["encoder_hidden_states"]
    assert (theirs["encoder_hidden_states"] - states).abs().max() > 0.05


def test_weights_of_what_is_included_come_from_the_hub(
    saved: Callable[[str], tuple[Any, Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, folder = saved("stable_diffusion")
    asked: dict[str, Any] = {}

    def fetched(repository: str, **options: Any) -> str:
        asked.update(options)
        return str(folder)

    files = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    files += ["safety_checker/model.safetensors", "text_encoder/pytorch_model.bin", "vae/model.fp16.safetensors"]
    monkeypatch.setattr(huggingface_hub.HfApi, "list_repo_files", lambda *_, **__: files)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetched)
    parts = load_parts("hub:owner/sd", ["text_encoder"])
    assert len(parts.pre) == 1
    weights = {name for name in asked["allow_patterns"] if name.endswith((".safetensors", ".bin"))}
    assert weights == {"text_encoder/model.safetensors", "unet/diffusion_pytorch_model.safetensors"}

"""LoRA files: fused weights give what diffusers gives with the updates beside them; what does not fit is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from safetensors.torch import load_file, save_file
from tiny_pipelines import CASES, rows, save

from samplegraph.models import load_model
from samplegraph.schedulers import OptionError

FILE = "pytorch_lora_weights.safetensors"
CONFIG = {"r": 2, "lora_alpha": 6, "init_lora_weights": False, "target_modules": ["to_q", "to_out.0", "conv1"]}


def saved(case: str, folder: Path) -> tuple[Any, dict[str, torch.Tensor]]:
    """A pipeline, written to ``folder``, and updates of its UNet's layers by peft's names."""
    pipeline = save(CASES[case], folder)
    torch.manual_seed(3)
    pipeline.unet.add_adapter(LoraConfig(**CONFIG))
    return pipeline, get_peft_model_state_dict(pipeline.unet)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A folder with a pipeline, ``sd``, and a LoRA for its UNet, ``lora``; and the pipeline."""
    folder = tmp_path_factory.mktemp("lora")
    pipeline, layers = saved("sd15", folder / "sd")
    metadata = pipeline.unet.peft_config["default"].to_dict()
    pipeline.save_lora_weights(folder / "lora", unet_lora_layers=layers, unet_lora_adapter_metadata=metadata)
    absent = dict.fromkeys(("text_encoder", "tokenizer", "safety_checker", "feature_extractor"))
    return folder, type(pipeline).from_pretrained(folder / "sd", **absent)


def evaluated(unet: Any, **conditions: Any) -> torch.Tensor:
    with torch.no_grad():
        found = unet(rows(1, 4, 8, 8), torch.tensor([300.0]), encoder_hidden_states=rows(1, 5, 12), **conditions)
    output: torch.Tensor = found if isinstance(found, torch.Tensor) else found[0]
    return output


@pytest.mark.parametrize("scale", [None, 0.5])
def test_a_fused_update_is_diffusers_unfused_one(made: tuple[Path, Any], scale: float | None) -> None:
    folder, pipeline = made
    plain = evaluated(pipeline.unet)
    pipeline.load_lora_weights(folder / "lora", adapter_name="own")
    pipeline.set_adapters(["own"], [1.0 if scale is None else scale])
    theirs = evaluated(pipeline.unet)
    pipeline.unload_lora_weights()
    text = str(folder / "lora" / FILE) + ("" if scale is None else f":{scale}")
    ours = evaluated(load_model(folder / "sd", lora=[text]))
    size = theirs.abs().max()
    assert (theirs - plain).abs().max() > 0.05 * size
    assert (ours - theirs).abs().max() <= 1e-5 * size


def test_the_update_is_the_papers(made: tuple[Path, Any]) -> None:
    folder, _ = made
    held = load_file(folder / "lora" / FILE)
    layer = next(key.split(".lora_A")[0] for key in held if "to_q.lora_A" in key).removeprefix("unet.")
    before = load_model(folder / "sd").network.get_submodule(layer).weight
    after = load_model(folder / "sd", lora=[f"{folder / 'lora'}:0.5"]).network.get_submodule(layer).weight
    update = held[f"unet.{layer}.lora_B.weight"] @ held[f"unet.{layer}.lora_A.weight"]
    assert torch.allclose(after - before, 0.5 * CONFIG["lora_alpha"] / CONFIG["r"] * update, atol=1e-6)


#: How kohya's scripts call the layers: SD 1.x by diffusers' names, SDXL by those of the original code.
SGM = {
    "down_blocks.0.resnets.0.conv1": "input_blocks_1_0_in_layers_2",
    "down_blocks.1.resnets.0.conv1": "input_blocks_3_0_in_layers_2",
    "down_blocks.1.attentions.0": "input_blocks_3_1",
    "mid_block.resnets.0.conv1": "middle_block_0_in_layers_2",
    "mid_block.resnets.1.conv1": "middle_block_2_in_layers_2",
    "mid_block.attentions.0": "middle_block_1",
    "up_blocks.0.resnets.0.conv1": "output_blocks_0_0_in_layers_2",
    "up_blocks.0.resnets.1.conv1": "output_blocks_1_0_in_layers_2",
    "up_blocks.0.attentions.0": "output_blocks_0_1",
    "up_blocks.0.attentions.1": "output_blocks_1_1",
    "up_blocks.1.resnets.0.conv1": "output_blocks_2_0_in_layers_2",
    "up_blocks.1.resnets.1.conv1": "output_blocks_3_0_in_layers_2",
}


def kohya(layers: dict[str, torch.Tensor], names: dict[str, str], alpha: float) -> dict[str, torch.Tensor]:
    """The updates as kohya's scripts write them."""
    out = {}
    for key, value in layers.items():
        layer, side = key.split(".lora_")
        known = next((name for name in names if layer.startswith(name)), None)
        layer = layer if known is None else layer.replace(known, names[known])
        stem = f"lora_unet_{layer.replace('.', '_')}"
        out[f"{stem}.lora_{'down' if side.startswith('A') else 'up'}.weight"] = value.contiguous()
        out[f"{stem}.alpha"] = torch.tensor(alpha)
    return out


@pytest.mark.parametrize(("case", "names"), [("sd15", {}), ("sdxl", SGM)])
def test_a_file_of_kohyas_scripts(case: str, names: dict[str, str], tmp_path: Path) -> None:
    """All layers get what they were trained to, and as much of it as diffusers gives them."""
    trained, layers = saved(case, tmp_path / "sd")
    save_file(kohya(layers, names, float(CONFIG["lora_alpha"])), tmp_path / "own.safetensors")
    absent = dict.fromkeys(("text_encoder", "tokenizer", "safety_checker", "feature_extractor"))
    absent = absent if case == "sd15" else dict.fromkeys(("text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2"))
    pipeline = type(trained).from_pretrained(tmp_path / "sd", **absent)
    own = {"text_embeds": rows(1, 10), "time_ids": torch.tensor([[70.0, 64, 0, 0, 8, 8]])} if case == "sdxl" else {}
    given = {"added_cond_kwargs": own} if own else {}
    plain = evaluated(pipeline.unet, **given)
    pipeline.load_lora_weights(tmp_path / "own.safetensors")
    theirs = evaluated(pipeline.unet, **given)
    ours = evaluated(load_model(tmp_path / "sd", lora=[str(tmp_path / "own.safetensors")]), **own)
    size = theirs.abs().max()
    assert (theirs - plain).abs().max() > 0.02 * size
    assert (ours - theirs).abs().max() <= 1e-5 * size
    assert (ours - evaluated(trained.unet, **given)).abs().max() <= 1e-5 * size


def _rename(old: str, new: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda held: {key.replace(old, new): value for key, value in held.items()}


BAD: dict[str, tuple[Callable[[dict[str, Any]], dict[str, Any]], str]] = {
    "other layer": (_rename("down_blocks.1", "down_blocks.7"), "is for a layer 'down_blocks.7.* which .* has not"),
    "only text": (_rename("unet.", "text_encoder."), "holds nothing for the unet, but text_encoder"),
    "other shape": (
        lambda held: {k: v[:, :3].clone().contiguous() if "lora_A" in k else v for k, v in held.items()},
        "does not fit",
    ),
    "other layer, kohya": (
        lambda held: kohya({k.removeprefix("unet.").replace("attn1", "attn7"): v for k, v in held.items()}, {}, 6.0),
        "is for a layer 'down_blocks.1.*attn7.*', which .* has not",
    ),
    "dora": (
        lambda held: (
            kohya({k.removeprefix("unet."): v for k, v in held.items()}, {}, 6.0)
            | {"lora_unet_mid_block_resnets_0_conv1.dora_scale": torch.ones(16, 1)}
        ),
        "has magnitudes besides its updates",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_files_that_do_not_fit(what: str, made: tuple[Path, Any], tmp_path: Path) -> None:
    change, words = BAD[what]
    save_file(change(load_file(made[0] / "lora" / FILE)), tmp_path / "own.safetensors")
    with pytest.raises(OptionError, match=words) as caught:
        load_model(made[0] / "sd", lora=[str(tmp_path / "own.safetensors")])
    assert "\n" not in str(caught.value)


def test_what_is_no_file_or_no_scale(made: tuple[Path, Any], tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"no file 'gone.safetensors'; give a safetensors file"):
        load_model(made[0] / "sd", lora=["gone.safetensors"])
    with pytest.raises(OptionError, match="the scale 'much' is not a number"):
        load_model(made[0] / "sd", lora=[f"{made[0] / 'lora'}:much"])
    (tmp_path / "own.bin").write_bytes(b"x")
    with pytest.raises(OptionError, match="is a pickle: reading a pickle can run any code"):
        load_model(made[0] / "sd", lora=[str(tmp_path / "own.bin")])
    with pytest.raises(OptionError, match="is for diffusers folders of UNet2DConditionModel"):
        load_model("digits", lora=[str(made[0] / "lora")])

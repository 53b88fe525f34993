"""diffusers' pipelines over tiny random networks: folders that ``save_pretrained`` writes, and loops to match."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
from networks import seeded
from torch import Tensor

STEPS = 3


@dataclass(frozen=True)
class Case:
    """A pipeline, what its user gives it, and what a user of the graph gives in place of that."""

    pipeline: Callable[[], Any]
    run: Callable[[Any, torch.Generator], Tensor]
    inputs: Mapping[str, Any] = field(default_factory=dict)
    steps: int = STEPS
    guidance_scale: str | float | None = "input"
    finish: Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]] = lambda sample: sample


def save(case: Case, folder: Path) -> Any:
    """Write the pipeline of ``case`` into ``folder`` and return it."""
    pipeline = case.pipeline()
    pipeline.set_progress_bar_config(disable=True)
    pipeline.save_pretrained(folder)
    return pipeline


def rows(*shape: int, seed: int = 7) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def latents(pipeline: Any, generator: torch.Generator, **arguments: Any) -> Tensor:
    found: Tensor = pipeline(
        num_inference_steps=STEPS, generator=generator, output_type="latent", return_dict=False, **arguments
    )[0]
    return found


def vae() -> Any:
    return diffusers.AutoencoderKL(block_out_channels=(4,), norm_num_groups=2, latent_channels=4)


def condition_unet(**config: Any) -> Any:
    own = {
        "sample_size": 8,
        "block_out_channels": (8, 16),
        "layers_per_block": 1,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        "cross_attention_dim": 12,
        "attention_head_dim": 2,
        "norm_num_groups": 4,
    }
    return seeded(diffusers.UNet2DConditionModel(**{**own, **config}))


#: Stable Diffusion's own.
SCALED = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


def stable_diffusion() -> Any:
    scheduler = diffusers.PNDMScheduler(**SCALED, skip_prk_steps=True, set_alpha_to_one=False, steps_offset=1)
    return diffusers.StableDiffusionPipeline(
        vae(), None, None, condition_unet(), scheduler, None, None, requires_safety_checker=False
    )


def stable_diffusion_2() -> Any:
    scheduler = diffusers.DDIMScheduler(
        **SCALED, prediction_type="v_prediction", clip_sample=False, set_alpha_to_one=False, steps_offset=1
    )
    unet = condition_unet(attention_head_dim=(2, 4), use_linear_projection=True)
    return diffusers.StableDiffusionPipeline(
        vae(), None, None, unet, scheduler, None, None, requires_safety_checker=False
    )


def stable_diffusion_xl() -> Any:
    scheduler = diffusers.EulerDiscreteScheduler(**SCALED, timestep_spacing="leading", steps_offset=1)
    unet = condition_unet(
        addition_embed_type="text_time", addition_time_embed_dim=4, projection_class_embeddings_input_dim=34
    )
    return diffusers.StableDiffusionXLPipeline(vae(), None, None, None, None, unet, scheduler)


def unet_2d() -> Any:
    return seeded(
        diffusers.UNet2DModel(
            sample_size=8,
            block_out_channels=(8, 16),
            layers_per_block=1,
            down_block_types=("DownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "UpBlock2D"),
            attention_head_dim=4,
            norm_num_groups=4,
        )
    )


def ddpm() -> Any:
    return diffusers.DDPMPipeline(unet_2d(), diffusers.DDPMScheduler())


def ddim() -> Any:
    return diffusers.DDIMPipeline(unet_2d(), diffusers.DDIMScheduler(beta_schedule="squaredcos_cap_v2"))


def picture(pipeline: Any, generator: torch.Generator) -> Tensor:
    found = pipeline(num_inference_steps=STEPS, generator=generator, output_type="np", return_dict=False)[0]
    return torch.from_numpy(np.asarray(found)).permute(0, 3, 1, 2)


def as_picture(sample: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    clipped: np.ndarray[Any, Any] = np.clip(sample / 2 + 0.5, 0, 1)
    return clipped


def prompt(length: int, width: int) -> dict[str, Tensor]:
    return {"prompt_embeds": rows(1, length, width), "negative_prompt_embeds": rows(1, length, width, seed=8)}


_TEXT = {"encoder_hidden_states": rows(1, 5, 12), "negative_encoder_hidden_states": rows(1, 5, 12, seed=8)}
_POOLED = {"text_embeds": rows(1, 10), "negative_text_embeds": rows(1, 10, seed=8)}


def _xl(pipeline: Any, generator: torch.Generator) -> Tensor:
    pooled = {"pooled_prompt_embeds": rows(1, 10), "negative_pooled_prompt_embeds": rows(1, 10, seed=8)}
    return latents(pipeline, generator, **prompt(5, 12), **pooled, guidance_scale=4.0, original_size=(70, 64))


CASES: Mapping[str, Case] = {
    "sd15": Case(
        stable_diffusion,
        lambda pipeline, generator: latents(pipeline, generator, **prompt(5, 12), guidance_scale=3.0),
        {**_TEXT, "guidance_scale": 3.0},
    ),
    "sd2": Case(
        stable_diffusion_2,
        lambda pipeline, generator: latents(pipeline, generator, **prompt(5, 12), guidance_scale=3.0),
        {**_TEXT, "guidance_scale": 3.0},
    ),
    "sdxl": Case(
        stable_diffusion_xl,
        _xl,
        {**_TEXT, **_POOLED, "time_ids": [[70, 64, 0, 0, 8, 8]], "guidance_scale": 4.0},
    ),
    "ddpm": Case(ddpm, picture, finish=as_picture),
    "ddim": Case(ddim, picture, finish=as_picture),
}

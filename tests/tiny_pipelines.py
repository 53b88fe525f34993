"""diffusers' pipelines over tiny random networks: folders that ``save_pretrained`` writes, and loops to match."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
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
    shape: tuple[int, ...] | None = None
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


def latent_consistency() -> Any:
    unet, scheduler = condition_unet(time_cond_proj_dim=6), diffusers.LCMScheduler(**SCALED)
    return diffusers.LatentConsistencyModelPipeline(vae(), None, None, unet, scheduler, None, None, None, False)


def guidance_embedding(scale: float, width: int) -> Tensor:
    """(1, width): of a distilled guidance, arXiv:2303.08797 as latent consistency models have it."""
    frequencies = torch.exp(torch.arange(width // 2) * -(math.log(10000.0) / (width // 2 - 1)))
    angles = (scale - 1) * 1000.0 * frequencies
    return torch.cat([angles.sin(), angles.cos()])[None]


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


def dance_diffusion() -> Any:
    unet = diffusers.UNet1DModel(
        sample_size=32,
        in_channels=2,
        out_channels=2,
        extra_in_channels=64,
        block_out_channels=(32, 32),
        down_block_types=("DownBlock1DNoSkip", "AttnDownBlock1D"),
        up_block_types=("AttnUpBlock1D", "UpBlock1DNoSkip"),
        norm_num_groups=2,
        use_timestep_embedding=False,
        time_embedding_type="fourier",
        flip_sin_to_cos=True,
    )
    unet.config.sample_rate = 32  # in the config of published ones
    unet.register_to_config(sample_rate=32)
    return diffusers.DanceDiffusionPipeline(seeded(unet), diffusers.IPNDMScheduler())


def sound(pipeline: Any, generator: torch.Generator) -> Tensor:
    arguments = {"num_inference_steps": STEPS, "audio_length_in_s": 1.0, "return_dict": False}
    return torch.from_numpy(pipeline(generator=generator, **arguments)[0])


def dit() -> Any:
    transformer = diffusers.DiTTransformer2DModel(
        num_attention_heads=2, attention_head_dim=6, out_channels=8, num_layers=1, sample_size=8, norm_num_groups=4
    )
    return diffusers.DiTPipeline(seeded(transformer), vae(), diffusers.DDIMScheduler(clip_sample=False))


def drawn(pipeline: Any, generator: torch.Generator) -> Tensor:
    """The latents that ``DiTPipeline`` decodes."""
    held: list[Tensor] = []

    def decode(latents: Tensor) -> Any:
        held.append(latents * pipeline.vae.config.scaling_factor)
        return SimpleNamespace(sample=latents)

    pipeline.vae.decode = decode
    pipeline([3], guidance_scale=3.0, generator=generator, num_inference_steps=STEPS, output_type="pt")
    return held[0]


def pixart_sigma() -> Any:
    transformer = diffusers.PixArtTransformer2DModel(
        num_attention_heads=2,
        attention_head_dim=6,
        num_layers=1,
        cross_attention_dim=12,
        caption_channels=10,
        sample_size=8,
        norm_num_groups=4,
        interpolation_scale=1,
    )
    scheduler = diffusers.DPMSolverMultistepScheduler(prediction_type="epsilon")
    return diffusers.PixArtSigmaPipeline(None, None, vae(), seeded(transformer), scheduler)


def pixart_alpha() -> Any:
    """At 1024 pixels, where the network is told resolution and aspect ratio; run at fewer."""
    transformer = diffusers.PixArtTransformer2DModel(
        num_attention_heads=2,
        attention_head_dim=12,
        num_layers=1,
        cross_attention_dim=24,
        caption_channels=10,
        sample_size=128,
        norm_num_groups=4,
    )
    scheduler = diffusers.DDIMScheduler(clip_sample=False)
    return diffusers.PixArtAlphaPipeline(None, None, vae(), seeded(transformer), scheduler)


def stable_diffusion_3() -> Any:
    transformer = diffusers.SD3Transformer2DModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        num_layers=2,
        attention_head_dim=4,
        num_attention_heads=3,
        joint_attention_dim=10,
        caption_projection_dim=12,
        pooled_projection_dim=14,
        pos_embed_max_size=8,
        dual_attention_layers=(0,),
        qk_norm="rms_norm",
    )
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    return diffusers.StableDiffusion3Pipeline(
        seeded(transformer), scheduler, vae(), None, None, None, None, None, None
    )


def flux() -> Any:
    transformer = diffusers.FluxTransformer2DModel(
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=10,
        pooled_projection_dim=14,
        guidance_embeds=True,
        axes_dims_rope=(2, 2, 4),
    )
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True, base_image_seq_len=4)
    return diffusers.FluxPipeline(scheduler, vae(), None, None, None, None, seeded(transformer))


def packed(sample: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """As Flux's pipeline returns latents: 2x2 of them in a token."""
    rows_, channels, height, width = sample.shape
    tokens = sample.reshape(rows_, channels, height // 2, 2, width // 2, 2).transpose(0, 2, 4, 1, 3, 5)
    return tokens.reshape(rows_, height * width // 4, channels * 4)


def sana() -> Any:
    """With the scheduler of the published ones."""
    transformer = diffusers.SanaTransformer2DModel(
        in_channels=4,
        out_channels=4,
        num_attention_heads=2,
        attention_head_dim=4,
        num_layers=1,
        num_cross_attention_heads=2,
        cross_attention_head_dim=4,
        cross_attention_dim=8,
        caption_channels=10,
        sample_size=8,
    )
    scheduler = diffusers.DPMSolverMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0, algorithm_type="dpmsolver++"
    )
    return diffusers.SanaPipeline(None, None, None, seeded(transformer), scheduler)


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


_NARROW = {"encoder_hidden_states": rows(1, 5, 10), "negative_encoder_hidden_states": rows(1, 5, 10, seed=8)}
_MASKS = {
    "encoder_attention_mask": torch.tensor([[1.0, 1, 1, 0, 0]]),
    "negative_encoder_attention_mask": torch.tensor([[1.0, 0, 0, 0, 0]]),
}


def _pooled(width: int) -> dict[str, Tensor]:
    return {"pooled_prompt_embeds": rows(1, width), "negative_pooled_prompt_embeds": rows(1, width, seed=8)}


def _masked(pipeline: Any) -> dict[str, Any]:
    """Embeddings with masks, of latents as large as the transformer's."""
    masks = {"prompt_attention_mask": _MASKS["encoder_attention_mask"]}
    masks["negative_prompt_attention_mask"] = _MASKS["negative_encoder_attention_mask"]
    side = 8 * pipeline.vae_scale_factor
    size = {"height": side, "width": side, "use_resolution_binning": False}
    return {**prompt(5, 10), **masks, **size, "negative_prompt": None}


def _xl(pipeline: Any, generator: torch.Generator) -> Tensor:
    return latents(pipeline, generator, **prompt(5, 12), **_pooled(10), guidance_scale=4.0, original_size=(70, 64))


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
    "lcm": Case(
        latent_consistency,
        lambda pipeline, generator: latents(
            pipeline, generator, prompt_embeds=rows(1, 5, 12), guidance_scale=8.0, original_inference_steps=50
        ),
        {"encoder_hidden_states": rows(1, 5, 12), "timestep_cond": guidance_embedding(8.0, 6)},
        guidance_scale=None,
    ),
    "pixart_alpha": Case(
        pixart_alpha,
        lambda pipeline, generator: latents(
            pipeline, generator, **_masked(pipeline) | {"height": 8, "width": 16}, guidance_scale=3.0
        ),
        {**_NARROW, **_MASKS, "guidance_scale": 3.0, "resolution": [[8.0, 16.0]], "aspect_ratio": [[0.5]]},
        shape=(4, 8, 16),
    ),
    "dance": Case(dance_diffusion, sound, finish=lambda sample: np.clip(sample, -1, 1)),
    "dit": Case(dit, drawn, {"class_labels": 3, "guidance_scale": 3.0}),
    "pixart": Case(
        pixart_sigma,
        lambda pipeline, generator: latents(pipeline, generator, **_masked(pipeline), guidance_scale=3.0),
        {**_NARROW, **_MASKS, "guidance_scale": 3.0},
    ),
    "sd3": Case(
        stable_diffusion_3,
        lambda pipeline, generator: latents(
            pipeline, generator, **prompt(5, 10), **_pooled(14), guidance_scale=3.0, height=8, width=8
        ),
        {**_NARROW, "pooled_projections": rows(1, 14), "negative_pooled_projections": rows(1, 14, seed=8)}
        | {"guidance_scale": 3.0},
    ),
    "flux": Case(
        flux,
        lambda pipeline, generator: latents(
            pipeline,
            generator,
            prompt_embeds=rows(1, 5, 10),
            pooled_prompt_embeds=rows(1, 14),
            guidance_scale=3.5,
            height=8,
            width=12,
        ),
        {"encoder_hidden_states": rows(1, 5, 10), "pooled_projections": rows(1, 14), "guidance": 3.5},
        shape=(4, 8, 12),
        finish=packed,
    ),
    "sana": Case(
        sana,
        lambda pipeline, generator: latents(pipeline, generator, **_masked(pipeline), guidance_scale=3.0),
        {**_NARROW, **_MASKS, "guidance_scale": 3.0},
    ),
    "ddpm": Case(ddpm, picture, finish=as_picture),
    "ddim": Case(ddim, picture, finish=as_picture),
}

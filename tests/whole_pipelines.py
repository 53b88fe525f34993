"""diffusers' pipelines with all their parts, tiny and with random weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import diffusers
from networks import seeded
from text_encoders import clip, clip_tokenizer, gemma, gemma_tokenizer, t5, t5_tokenizer
from tiny_pipelines import SCALED, condition_unet
from torch import Tensor

PROMPT, NEGATIVE = "a fox, 2", "blur"


def token_ids(pipeline: Any, prompt: str, lengths: Sequence[int], heads: str = "") -> dict[str, Tensor]:
    """``input_ids``, ``input_ids_2`` and so on, (1, tokens), of lengths in order; ``heads`` goes in front of names."""
    found = {}
    for number, length in enumerate(lengths, 1):
        tail = "" if number == 1 else f"_{number}"
        tokenizer = getattr(pipeline, "tokenizer" + tail)
        tokens = tokenizer(prompt, padding="max_length", max_length=length, truncation=True, return_tensors="pt")
        found[f"{heads}input_ids{tail}"] = tokens.input_ids
    return found


#: Through which a denoiser's attention hears of the prompt.
_HEARS = ("attn2.to_v", "attn2.to_out", "add_v_proj", "attn.to_out.0", "context_embedder", "caption_projection")


def heeding(network: Any) -> Any:
    """``network`` with more weight on the prompt, of which random weights leave almost nothing."""
    for name, parameter in network.named_parameters():
        if any(each in name for each in _HEARS):
            parameter.mul_(4)
    return network


def vae(**config: Any) -> Any:
    own = {"latent_channels": 4, "norm_num_groups": 2, "block_out_channels": (4, 8), "layers_per_block": 1}
    down, up = ("DownEncoderBlock2D",) * 2, ("UpDecoderBlock2D",) * 2
    return seeded(diffusers.AutoencoderKL(**{**own, **config}, down_block_types=down, up_block_types=up))


def stable_diffusion() -> Any:
    tokenizer = clip_tokenizer()
    scheduler = diffusers.PNDMScheduler(**SCALED, skip_prk_steps=True, set_alpha_to_one=False, steps_offset=1)
    parts = (vae(), clip(tokenizer), tokenizer, heeding(condition_unet()), scheduler)
    return diffusers.StableDiffusionPipeline(*parts, None, None, requires_safety_checker=False)


def stable_diffusion_xl() -> Any:
    first, second = clip_tokenizer(), clip_tokenizer(pad="!")
    unet = heeding(
        condition_unet(
            cross_attention_dim=20,
            addition_embed_type="text_time",
            addition_time_embed_dim=4,
            projection_class_embeddings_input_dim=34,
        )
    )
    scheduler = diffusers.EulerDiscreteScheduler(**SCALED, timestep_spacing="leading", steps_offset=1)
    own = vae(latents_mean=(0.1, -0.2, 0.3, 0.0), latents_std=(1.1, 0.9, 1.2, 0.8), scaling_factor=0.5)
    encoders = (clip(first, hidden_act="quick_gelu"), clip(second, 10, hidden=8, hidden_act="gelu"))
    return diffusers.StableDiffusionXLPipeline(own, *encoders, first, second, unet, scheduler)


def stable_diffusion_3() -> Any:
    first, second, third = clip_tokenizer(), clip_tokenizer(pad="!"), t5_tokenizer()
    transformer = diffusers.SD3Transformer2DModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        num_layers=1,
        attention_head_dim=4,
        num_attention_heads=3,
        joint_attention_dim=24,
        caption_projection_dim=12,
        pooled_projection_dim=16,
        pos_embed_max_size=8,
    )
    encoders = (clip(first, 6, hidden=8, exact_end=True), clip(second, 10), t5(third, 24))
    return diffusers.StableDiffusion3Pipeline(
        heeding(seeded(transformer)),
        diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae(scaling_factor=1.5305, shift_factor=0.0609),
        *(each for pair in zip(encoders, (first, second, third), strict=True) for each in pair),
    )


def flux() -> Any:
    first, second = clip_tokenizer(), t5_tokenizer()
    transformer = diffusers.FluxTransformer2DModel(
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=10,
        pooled_projection_dim=12,
        guidance_embeds=True,
        axes_dims_rope=(2, 2, 4),
    )
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True, base_image_seq_len=4)
    own = vae(scaling_factor=0.3611, shift_factor=0.1159)
    return diffusers.FluxPipeline(scheduler, own, clip(first), first, t5(second), second, heeding(seeded(transformer)))


def pixart_sigma() -> Any:
    tokenizer = t5_tokenizer()
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
    return diffusers.PixArtSigmaPipeline(tokenizer, t5(tokenizer), vae(), heeding(seeded(transformer)), scheduler)


def sana() -> Any:
    tokenizer = gemma_tokenizer()
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
    blocks = ("ResBlock", "EfficientViTBlock")
    autoencoder = diffusers.AutoencoderDC(
        latent_channels=4,
        attention_head_dim=2,
        encoder_block_types=blocks,
        decoder_block_types=blocks,
        encoder_block_out_channels=(4, 4),
        decoder_block_out_channels=(4, 4),
        encoder_qkv_multiscales=((), (5,)),
        decoder_qkv_multiscales=((), (5,)),
        encoder_layers_per_block=(1, 1),
        decoder_layers_per_block=(1, 1),
        downsample_block_type="conv",
        upsample_block_type="interpolate",
        decoder_act_fns="silu",
        scaling_factor=0.41407,
    )
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    tokenizer.padding_side = "right"  # as the pipeline sets it when it runs
    network = heeding(seeded(transformer))
    return diffusers.SanaPipeline(tokenizer, gemma(tokenizer), seeded(autoencoder), network, scheduler)


def dit() -> Any:
    transformer = diffusers.DiTTransformer2DModel(
        num_attention_heads=2, attention_head_dim=6, out_channels=8, num_layers=1, sample_size=8, norm_num_groups=4
    )
    return diffusers.DiTPipeline(heeding(seeded(transformer)), vae(), diffusers.DDIMScheduler(clip_sample=False))


def ldm() -> Any:
    unet = seeded(
        diffusers.UNet2DModel(
            sample_size=8,
            in_channels=3,
            out_channels=3,
            block_out_channels=(8, 16),
            layers_per_block=1,
            down_block_types=("DownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "UpBlock2D"),
            attention_head_dim=4,
            norm_num_groups=4,
        )
    )
    down, up = ("DownEncoderBlock2D",) * 2, ("UpDecoderBlock2D",) * 2
    autoencoder = diffusers.VQModel(
        block_out_channels=(4, 8), down_block_types=down, up_block_types=up, norm_num_groups=2, num_vq_embeddings=16
    )
    return diffusers.LDMPipeline(seeded(autoencoder), unet, diffusers.DDIMScheduler(**SCALED, clip_sample=False))

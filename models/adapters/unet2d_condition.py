"""diffusers' ``UNet2DConditionModel``: Stable Diffusion 1 and 2, SDXL and its refiner, latent consistency models."""

from __future__ import annotations

from torch import Tensor, nn

from samplegraph.models.adapters.declare import class_labels, declare, refuse, spatial, tokens
from samplegraph.models.sources.checkpoint import Checkpoint
from samplegraph.models.spec import Condition
from samplegraph.schedulers import OptionError

#: Tokens of a CLIP text encoder.
_TOKENS = 77
_TIME_IDS = "original height and width, crop from top and left, target height and width, in pixels"


class UNet2DCondition(nn.Module):
    """``sample`` (B, C, H, W), ``encoder_hidden_states`` (B, tokens, width); of SDXL ``text_embeds`` (B, width) and
    ``time_ids`` (B, 6), (B, 5) in its refiner; of a distilled guidance ``timestep_cond`` (B, width)."""

    def __init__(self, network: nn.Module, checkpoint: Checkpoint) -> None:
        super().__init__()
        self.network = network
        config = checkpoint.config
        refuse(config, "addition_embed_type", None, "text_time")
        refuse(config, "encoder_hid_dim_type", None)
        channels = config["in_channels"]
        if channels != config["out_channels"]:
            raise OptionError(
                f"model={str(checkpoint.folder)!r} takes {channels} channels and returns {config['out_channels']}, "
                "as for inpainting or editing; wrap it with those as a condition, and give package.module:factory"
            )
        width = config["cross_attention_dim"]
        width = width[0] if isinstance(width, list | tuple) else width
        length = checkpoint.part("text_encoder").get("max_position_embeddings", _TOKENS)
        conditions = [tokens("encoder_hidden_states", length, width)]
        labels = class_labels(config)
        if labels is not None:
            conditions.append(labels)
        if config.get("addition_embed_type") == "text_time":
            conditions += _text_time(checkpoint)
        if config.get("time_cond_proj_dim") is not None:
            text = "embedding of the guidance scale"
            own = Condition("timestep_cond", (config["time_cond_proj_dim"],), description=text, guided=False)
            conditions.append(own)
        shape = (channels, *spatial(config.get("sample_size")))
        scale = 5.0 if config.get("addition_embed_type") else 7.5
        self.spec = declare(checkpoint, shape, tuple(conditions), guidance_scale=scale, any_size=True)

    def forward(
        self,
        sample: Tensor,
        timestep: Tensor,
        encoder_hidden_states: Tensor,
        class_labels: Tensor | None = None,
        text_embeds: Tensor | None = None,
        time_ids: Tensor | None = None,
        timestep_cond: Tensor | None = None,
    ) -> Tensor:
        added = None if text_embeds is None else {"text_embeds": text_embeds, "time_ids": time_ids}
        output: Tensor = self.network(
            sample,
            timestep,
            encoder_hidden_states,
            class_labels=class_labels,
            timestep_cond=timestep_cond,
            added_cond_kwargs=added,
            return_dict=False,
        )[0]
        return output


def _text_time(checkpoint: Checkpoint) -> list[Condition]:
    """Their widths share ``projection_class_embeddings_input_dim``; the text encoder says which part is its own."""
    config = checkpoint.config
    total, each = config["projection_class_embeddings_input_dim"], config["addition_time_embed_dim"]
    text = checkpoint.part("text_encoder_2").get("projection_dim")
    ids = (total - text) // each if text else 5 if checkpoint.index.get("requires_aesthetics_score") else 6
    if ids < 1 or total - ids * each < 1:
        raise OptionError(
            f"projection_class_embeddings_input_dim={total} leaves no room for text_embeds beside {ids} time_ids of "
            f"{each}; give a config.json that belongs to SDXL"
        )
    return [
        Condition("text_embeds", (total - ids * each,), description="pooled embedding of the prompt"),
        Condition("time_ids", (ids,), description=_TIME_IDS, guided=False),
    ]

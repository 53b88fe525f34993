"""What a LoRA file holds for a text encoder, fused into it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from samplegraph.models.sources.checkpoint import Checkpoint
from samplegraph.models.sources.lora import lora_reader, parse_lora, read_lora, reading_lora
from samplegraph.schedulers import OptionError


def fuse_text_lora(checkpoint: Checkpoint, part: str, network: Any, text: str, allow_pickle: bool) -> None:
    """Fuse ``text`` (``FILE`` or ``FILE:SCALE``) into the text encoder ``part``, by diffusers and peft; a file without
    an update for it changes nothing.

    Raises:
        OptionError: the file cannot be read, or an update has no layer to go to.
    """
    path, scale = parse_lora(text)
    where, name = f"lora={text!r}", checkpoint.class_name
    with reading_lora(where, type(network).__name__):
        from peft.tuners.tuners_utils import BaseTunerLayer

        base: Any = import_module("diffusers.loaders.lora_base")
        config = import_module("diffusers.configuration_utils").FrozenDict(checkpoint.config)
        weights, alphas, metadata = read_lora(name, config, where, path, allow_pickle)
        wanted = {key.split(".lora")[0] for key in weights if key.startswith(f"{part}.")}
        if not wanted:
            return
        lora_reader(name).load_lora_into_text_encoder(
            weights, alphas, network, prefix=part, adapter_name="fused", metadata=metadata
        )
        count = sum(isinstance(module, BaseTunerLayer) for module in network.modules())
        if count != len(wanted):
            raise OptionError(
                f"{where} updates {len(wanted)} layers of {part}, which has {count} of them; give one made for it"
            )
        base.fuse_text_encoder_lora(network, scale, safe_fusing=True)
        base.recurse_remove_peft_layers(network)
        del network.peft_config
    network.requires_grad_(False)

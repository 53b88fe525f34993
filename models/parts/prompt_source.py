"""What the text encoders of a pipeline are made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from samplegraph.models.parts.text_encoder import TextEncoder, load_encoder
from samplegraph.models.parts.text_lora import fuse_text_lora
from samplegraph.models.sources.checkpoint import Checkpoint
from samplegraph.schedulers import OptionError


@dataclass(frozen=True)
class PromptSource:
    """A pipeline's folder, and how its prompts are to be read.

    Args:
        checkpoint: the denoiser in the pipeline.
        clip_skip: layers that diffusers leaves out at the end of a CLIP encoder, for prompts, not negative ones.
        lora: ``FILE`` or ``FILE:SCALE``, low-rank updates, as far as they are for text encoders.
        allow_pickle: read pickled weights.
    """

    checkpoint: Checkpoint
    clip_skip: int = 0
    lora: Sequence[str] = ()
    allow_pickle: bool = False

    def has(self, part: str) -> bool:
        """Whether the pipeline has that text encoder."""
        return self.checkpoint.part_class(part) is not None

    def encoder(self, part: str, *kinds: str) -> TextEncoder:
        """The text encoder ``part``, of one of the classes ``kinds``.

        Raises:
            OptionError: the pipeline has none such, its weights cannot be read, or it has no more layers than are to be
                left out.
        """
        made = load_encoder(self.checkpoint, part, kinds, self.allow_pickle)
        layers = int(made.config.num_hidden_layers)
        if made.is_clip and not 0 <= self.clip_skip < layers:
            raise OptionError(
                f"clip_skip={self.clip_skip} is not allowed for {part}, which has {layers} layers; give 0 to "
                f"{layers - 1}"
            )
        for text in self.lora:
            fuse_text_lora(self.checkpoint, part, made.network, text, self.allow_pickle)
        return made

"""Loads the text encoders of a pipeline, by transformers, and says which ids they take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from samplegraph.models.sources.checkpoint import Checkpoint
from samplegraph.models.sources.weights import (
    TRANSFORMERS,
    is_pickle,
    quiet_transformers,
    refuse_other_weights,
    stored_weights,
    variant_of,
)
from samplegraph.models.spec import Condition
from samplegraph.schedulers import OptionError

CLIP, CLIP_PROJECTED = "CLIPTextModel", "CLIPTextModelWithProjection"
T5, GEMMA = "T5EncoderModel", "Gemma2Model"


@dataclass(frozen=True)
class TextEncoder:
    """A text encoder: its component in the pipeline, such as ``text_encoder_2``, and its network."""

    part: str
    network: nn.Module

    @property
    def config(self) -> Any:
        """The config of transformers."""
        return self.network.config

    @property
    def input_name(self) -> str:
        """The graph input of its ids, which the tokenizer of the same number makes: ``input_ids_2``."""
        return "input_ids" + self.part.removeprefix("text_encoder")

    @property
    def is_clip(self) -> bool:
        """Whether its layers can be skipped."""
        return str(self.config.model_type) == "clip_text_model"

    @property
    def padding(self) -> int:
        """The id that fills prompts up."""
        return int(self.config.pad_token_id)

    def ids(self, length: int | None = None) -> Condition:
        """Its ids, (length,); of CLIP as many as it has positions.

        Args:
            length: the pipeline's ``max_sequence_length`` where the encoder takes any.
        """
        text = f"ids of the prompt's tokens, padded, from {self.part.replace('text_encoder', 'tokenizer')}"
        count = length or int(self.config.max_position_embeddings)
        largest = int(self.config.vocab_size) - 1
        return Condition(
            self.input_name, (count,), "int64", minimum=0, maximum=largest, description=text, any_length=True
        )


def load_encoder(checkpoint: Checkpoint, part: str, kinds: tuple[str, ...], allow_pickle: bool) -> TextEncoder:
    """The text encoder ``part`` of the pipeline in float32, with attention written out, in evaluation mode.

    Args:
        kinds: the classes of transformers that the pipeline can have there.

    Raises:
        OptionError: transformers is not installed, the class is another, or folder or weights are not those that the
            config describes.
    """
    folder = checkpoint.whole_part(part)
    where, name = f"model={str(folder)!r}", checkpoint.part_class(part)
    if name not in kinds:
        raise OptionError(
            f"{where}: the text encoder {name} is not supported here, only {' or '.join(kinds)}; "
            "leave text_encoder out of include, and give the graph embeddings"
        )
    names = stored_weights(where, folder, TRANSFORMERS, allow_pickle)
    try:
        import transformers
    except ModuleNotFoundError as error:
        raise OptionError(f'{where} needs {error.name}; pip install "samplegraph[diffusers]"') from error
    with quiet_transformers():
        try:
            network, info = getattr(transformers, name).from_pretrained(
                folder,
                variant=variant_of(names[0], TRANSFORMERS),
                use_safetensors=not is_pickle(Path(names[0])),
                local_files_only=True,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
                attn_implementation="eager",
                dtype=torch.float32,
            )
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise OptionError(f"{where}: {name} cannot be loaded ({reason[:300]})") from error
    refuse_other_weights(where, name, info)
    return TextEncoder(part, network.eval().requires_grad_(False))

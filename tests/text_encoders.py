"""Tiny text encoders with random weights, and tokenizers for real strings: one token for a character."""

from __future__ import annotations

import string
from typing import Any

import transformers
from networks import seeded

_CHARACTERS = string.ascii_lowercase + string.digits + string.punctuation
_BEGIN, _END = "<|startoftext|>", "<|endoftext|>"


def clip_tokenizer(length: int = 12, pad: str = _END) -> Any:
    """Of CLIP; the last two of its ids begin and end a prompt."""
    words = [*_CHARACTERS, *(f"{each}</w>" for each in _CHARACTERS), _BEGIN, _END]
    vocabulary = {word: i for i, word in enumerate(words)}
    return transformers.CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=length, pad_token=pad)


def clip(tokenizer: Any, projection: int | None = None, hidden: int = 12, exact_end: bool = False, **own: Any) -> Any:
    """A CLIP text encoder; ``eos_token_id`` is 2 in published ones, which then take the largest id for the end."""
    config = transformers.CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=3,
        num_attention_heads=2,
        max_position_embeddings=tokenizer.model_max_length,
        projection_dim=projection or 8,
        bos_token_id=0,
        eos_token_id=tokenizer.eos_token_id if exact_end else 2,
        pad_token_id=1,
        **own,
    )
    kind = transformers.CLIPTextModel if projection is None else transformers.CLIPTextModelWithProjection
    return seeded(kind(config))


def t5_tokenizer(length: int = 10) -> Any:
    words = ["<pad>", "</s>", "<unk>", "▁", *_CHARACTERS]
    return transformers.T5Tokenizer(vocab=[(word, -2.0) for word in words], extra_ids=0, model_max_length=length)


def t5(tokenizer: Any, width: int = 10) -> Any:
    config = transformers.T5Config(
        vocab_size=len(tokenizer),
        d_model=width,
        d_kv=4,
        d_ff=16,
        num_layers=2,
        num_heads=2,
        feed_forward_proj="gated-gelu",
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return seeded(transformers.T5EncoderModel(config))


def gemma_tokenizer() -> Any:
    words = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "▁", *_CHARACTERS]
    vocabulary = {word: i for i, word in enumerate(words)}
    return transformers.GemmaTokenizer(vocab=vocabulary, merges=[])


def gemma(tokenizer: Any, width: int = 10) -> Any:
    config = transformers.Gemma2Config(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=4,
        query_pre_attn_scalar=4,
        sliding_window=512,
        max_position_embeddings=512,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=tokenizer.bos_token_id,
    )
    return seeded(transformers.Gemma2Model(config))

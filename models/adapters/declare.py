"""What the configs of diffusers' denoisers say in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from samplegraph.models.sources.checkpoint import Checkpoint
from samplegraph.models.sources.trained import trained_with
from samplegraph.models.spec import Condition, ModelSpec
from samplegraph.schedulers import OptionError

#: Latents of one side where a config names no size: that of Stable Diffusion.
_SIDE = 64


def declare(
    checkpoint: Checkpoint,
    sample_shape: tuple[int, ...],
    conditions: tuple[Condition, ...] = (),
    *,
    guidance_scale: float = 1.0,
    learned_variance: bool = False,
    any_size: bool = False,
) -> ModelSpec:
    """The declaration of the denoiser in ``checkpoint``; its scheduler's config says what it was trained for."""
    config = checkpoint.scheduler_config
    trained = trained_with(config)
    return ModelSpec(
        name=checkpoint.name,
        sample_shape=sample_shape,
        prediction_type=trained.prediction_type,
        noise_schedule=trained.noise_schedule,
        conditions=conditions,
        guidance_scale=guidance_scale,
        learned_variance=learned_variance,
        any_size=any_size,
        scheduler_config=config,
    )


def spatial(size: int | Sequence[int] | None) -> tuple[int, int]:
    """``sample_size`` as (H, W).

    Raises:
        OptionError: it is neither a size nor two.
    """
    sides = [_SIDE] * 2 if size is None else [size] * 2 if isinstance(size, int) else list(size)
    if len(sides) != 2 or not all(isinstance(side, int) and side > 0 for side in sides):
        raise OptionError(f"sample_size={size!r} in config.json is not a size; give a whole number above 0, or two")
    return sides[0], sides[1]


def tokens(name: str, length: int, width: int, description: str = "embeddings of the prompt's tokens") -> Condition:
    """A condition of one embedding per token, (length, width), of any length."""
    return Condition(name, (length, width), description=description, any_length=True)


def mask(name: str, length: int) -> Condition:
    """Which tokens count, (length,)."""
    return Condition(name, (length,), minimum=0, maximum=1, description="1 for a token, 0 for padding", any_length=True)


def class_labels(config: Mapping[str, Any]) -> Condition | None:
    """``class_labels`` (), where the config embeds classes.

    Raises:
        OptionError: it embeds something else under that name.
    """
    kind, count = config.get("class_embed_type"), config.get("num_class_embeds")
    if kind is not None:
        refuse(config, "class_embed_type", None)
    if count is None:
        return None
    return Condition("class_labels", dtype="int64", minimum=0, maximum=count - 1, description="class of the sample")


def refuse(config: Mapping[str, Any], key: str, *allowed: object) -> None:
    """Raise where ``config`` has another value than ``allowed``, under which no adapter calls the model.

    Raises:
        OptionError: it has.
    """
    if config.get(key) not in allowed:
        raise OptionError(
            f"{config.get('_class_name')} with {key}={config[key]!r} is not supported, only "
            f"{', '.join(map(repr, allowed))}; wrap it yourself and give package.module:factory"
        )

"""``include``: the other parts of a denoiser's pipeline, as modules in front of the sampler and behind it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from torch import nn

from samplegraph.models.parts.branches import BRANCH, Branch
from samplegraph.models.parts.decoder import load_decoder
from samplegraph.models.parts.prompt_source import PromptSource
from samplegraph.models.sources.checkpoint import Checkpoint, find_checkpoint
from samplegraph.models.sources.hub import PREFIX, download
from samplegraph.models.stages import Back, Front
from samplegraph.schedulers import OptionError
from samplegraph.schedulers.errors import suggest

TEXT, DECODER = "text_encoder", "vae"
_PREFIXES = {TEXT: ("text_encoder",), DECODER: ("vae", "vqvae", "movq")}
#: Class of a denoiser -> file that reads its pipeline's prompts and class in it. Another pipeline adds one line here.
PROMPTS: Mapping[str, tuple[str, str]] = {
    "UNet2DConditionModel": ("stable_diffusion", "StableDiffusion"),
    "UNet2DConditionModel text_time": ("stable_diffusion_xl", "StableDiffusionXL"),
    "SD3Transformer2DModel": ("stable_diffusion_3", "StableDiffusion3"),
    "FluxTransformer2DModel": ("flux", "Flux"),
    "PixArtTransformer2DModel": ("pixart", "PixArt"),
    "SanaTransformer2DModel": ("sana", "Sana"),
}


@dataclass(frozen=True)
class Parts:
    """Modules in front of the sampler, in order, and the one behind it: its arguments ``pre`` and ``post``."""

    pre: tuple[Front, ...] = ()
    post: Back | None = None


def load_parts(
    source: str | os.PathLike[str],
    include: Sequence[str],
    *,
    clip_skip: int = 0,
    lora: Sequence[str] = (),
    allow_pickle: bool = False,
) -> Parts:
    """Parts of the diffusers pipeline in ``source``: a folder, or ``hub:owner/name``.

    Args:
        include: ``text_encoder``, for all of its text encoders (token ids in), and ``vae`` (a picture out).
        clip_skip: layers that CLIP leaves out at its end for prompts, not for negative ones, as in diffusers.
        lora: ``FILE`` or ``FILE:SCALE``, low-rank updates; what they hold for text encoders is fused.
        allow_pickle: read pickled weights.

    Raises:
        OptionError: it is no pipeline, lacks such a part, or has one of a class that is not supported or cannot be
            loaded.
    """
    text = os.fspath(source)
    if not include:
        return Parts()
    if text.startswith(PREFIX):
        checkpoint = download(text, allow_pickle, [head for name in include for head in _PREFIXES.get(name, (name,))])
    elif Path(text).is_dir():
        checkpoint = find_checkpoint(Path(text))
    else:
        raise OptionError(
            f"include={','.join(include)} is for folders of diffusers pipelines, and model={text!r} is none; give one, "
            "or modules of your own with --pre and --post"
        )
    kinds = {_kind(checkpoint, name) for name in include}
    if clip_skip and TEXT not in kinds:
        raise OptionError(f"clip_skip={clip_skip} needs include={TEXT!r}; give that too, or leave clip_skip out")
    pre = _prompts(PromptSource(checkpoint, clip_skip, lora, allow_pickle)) if TEXT in kinds else ()
    post = None
    if DECODER in kinds:
        part = next(name for name, kind in _available(checkpoint).items() if kind == DECODER)
        post = Back(load_decoder(checkpoint, part, allow_pickle), source=f"include:{DECODER}")
    return Parts(pre, post)


def _kind(checkpoint: Checkpoint, name: str) -> str:
    """Which kind of part the component ``name`` is; a kind's own name stands for what the pipeline has of it."""
    where = f"model={str(checkpoint.pipeline or checkpoint.folder)!r}"
    if checkpoint.pipeline is None:
        raise OptionError(
            f"include={name!r} needs a pipeline, and {where} is a denoiser alone; give the folder that holds its "
            "model_index.json"
        )
    has = _available(checkpoint)
    if name not in has and name not in has.values():
        raise OptionError(
            f"include={name!r} is not in {where}, which has {' and '.join(has) or 'nothing to include'}"
            f"{suggest(name, has)}"
        )
    return has.get(name, name)


def _available(checkpoint: Checkpoint) -> dict[str, str]:
    """The components of the pipeline that can be included, and of which kind they are."""
    present = [name for name in checkpoint.index if checkpoint.part_class(name) is not None]
    return {name: kind for name in present for kind, heads in _PREFIXES.items() if name.startswith(heads)}


def _prompts(source: PromptSource) -> tuple[Front, ...]:
    config, name = source.checkpoint.config, source.checkpoint.class_name
    key = f"{name} {config['addition_embed_type']}" if config.get("addition_embed_type") else name
    if key not in PROMPTS:
        raise OptionError(
            f"model={str(source.checkpoint.pipeline)!r}: how the pipeline of a {name} reads prompts is not known; "
            "leave text_encoder out of include, and give the graph embeddings"
        )
    file, cls = PROMPTS[key]
    module: nn.Module = getattr(import_module(f"samplegraph.models.parts.{file}"), cls)(source)
    if source.clip_skip and not hasattr(module, "clip_skip"):
        raise OptionError(f"clip_skip={source.clip_skip} is for Stable Diffusion, and not for a {name}; leave it out")
    front = Front(module.eval(), source=source.text)
    if BRANCH.name not in front.inputs:
        return (front,)
    ids = next(iter(front.spec.inputs or ()))
    return Front(Branch(ids), source=f"include:{BRANCH.name}"), front

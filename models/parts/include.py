"""``include``: the other parts of a denoiser's pipeline, as modules in front of the sampler and behind it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from torch import nn

from samplegraph.models.parts.branches import BRANCH, Branch
from samplegraph.models.parts.decoder import Decoder
from samplegraph.models.parts.image_encoder import ImageEncoder
from samplegraph.models.parts.prompt_source import PromptSource
from samplegraph.models.sources.checkpoint import INDEX, Checkpoint, find_checkpoint
from samplegraph.models.sources.hub import PREFIX, download
from samplegraph.models.stages import Back, Front
from samplegraph.schedulers import OptionError
from samplegraph.schedulers.errors import one_of

#: What can be included, and the components of pipelines that it is made from.
TEXT, DECODER, ENCODER = "text_encoder", "vae", "vae_encoder"
KINDS: Mapping[str, tuple[str, ...]] = {
    TEXT: ("text_encoder", "text_encoder_2", "text_encoder_3"),
    DECODER: ("vae", "vqvae", "movq"),
    ENCODER: ("vae", "vqvae", "movq"),
}
#: In front of a kind, in what manifests record of a module.
_RECORDED, _SKIP = "include:", ":clip_skip="
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
    sample_shape: Sequence[int] | None = None,
    lora: Sequence[str] = (),
    allow_pickle: bool = False,
) -> Parts:
    """Parts of the diffusers pipeline in ``source``: a folder, or ``hub:owner/name``.

    Args:
        include: ``text_encoder``, for all of its text encoders (token ids in), ``vae`` (a picture out) and
            ``vae_encoder`` (a picture in, where the sampler takes ``init_sample``).
        clip_skip: layers that CLIP leaves out at its end for prompts, not for negative ones, as in diffusers.
        sample_shape: (C, h, w) of the latents that ``vae_encoder`` is to make.
        lora: ``FILE`` or ``FILE:SCALE``, low-rank updates; what they hold for text encoders is fused.
        allow_pickle: read pickled weights.

    Raises:
        OptionError: it is no pipeline, lacks such a part, or has one of a class that is not supported or cannot be
            loaded.
    """
    text = os.fspath(source)
    if clip_skip and TEXT not in include:
        raise OptionError(f"clip_skip={clip_skip} needs include={TEXT!r}; give that too, or leave clip_skip out")
    if not include:
        return Parts()
    for kind in include:
        one_of("include", kind, KINDS)
    if text.startswith(PREFIX):
        checkpoint = download(text, allow_pickle, [name for kind in include for name in KINDS[kind]])
    elif Path(text).is_dir():
        checkpoint = find_checkpoint(Path(text))
    else:
        raise OptionError(
            f"include={','.join(include)} is for folders of diffusers pipelines, and model={text!r} is none; give one, "
            "or modules of your own with --pre and --post"
        )
    components = {kind: _component(checkpoint, kind) for kind in include}
    pre: list[Front] = []
    if TEXT in include:
        pre += _prompts(PromptSource(checkpoint, clip_skip, lora, allow_pickle))
    if ENCODER in include:
        encoder = ImageEncoder(checkpoint, components[ENCODER], sample_shape, allow_pickle)
        pre.append(Front(encoder.eval(), source=_RECORDED + ENCODER))
    if DECODER not in include:
        return Parts(tuple(pre))
    decoder = Decoder(checkpoint, components[DECODER], allow_pickle)
    return Parts(tuple(pre), Back(decoder.eval(), source=_RECORDED + DECODER))


def recorded(sources: Iterable[str]) -> tuple[list[str], int]:
    """``include`` and ``clip_skip`` of ``load_parts``, from the sources of modules that a manifest names.

    Other modules' sources are passed over.
    """
    include, clip_skip = [], 0
    for source in sources:
        kind, _, skip = source.removeprefix(_RECORDED).partition(_SKIP)
        if source.startswith(_RECORDED) and kind in KINDS:
            include.append(kind)
            clip_skip = int(skip) if skip.isdecimal() else clip_skip
    return include, clip_skip


def _component(checkpoint: Checkpoint, kind: str) -> str:
    """The first component of the pipeline that ``kind`` is made from."""
    where = f"model={str(checkpoint.pipeline or checkpoint.folder)!r}"
    if checkpoint.pipeline is None:
        raise OptionError(
            f"include={kind!r} needs a pipeline, and {where} is a denoiser alone; give the folder that holds its "
            f"{INDEX}"
        )
    found = [name for name in KINDS[kind] if checkpoint.part_class(name) is not None]
    if not found:
        has = [each for each, names in KINDS.items() if any(checkpoint.part_class(name) for name in names)]
        raise OptionError(
            f"include={kind!r} is not in {where}, which has {' and '.join(has) or 'nothing to include'}; leave it out"
        )
    return found[0]


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
    skip = f"{_SKIP}{source.clip_skip}" if source.clip_skip else ""
    front = Front(module.eval(), source=_RECORDED + TEXT + skip)
    if BRANCH.name not in front.inputs:
        return (front,)
    ids = next(iter(front.spec.inputs or ()))
    return Front(Branch(ids), source=_RECORDED + BRANCH.name), front

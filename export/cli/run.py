"""``samplegraph run``: draw samples with a compiled sampler."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Annotated, Any, cast

import numpy as np
import numpy.typing as npt
import typer

from samplegraph.export.atomic import replacing
from samplegraph.export.cli.console import interruptible, progress_bar, quiet_engine, stdout
from samplegraph.export.cli.output import check_output
from samplegraph.export.cli.picture import check_picture, is_picture, picture_range, write_png
from samplegraph.export.cli.values import parse_seed, parse_settings
from samplegraph.runtime import Engine, InputError
from samplegraph.runtime.manifest import RESERVED
from samplegraph.runtime.noise import Rng
from samplegraph.runtime.providers import short_name

EXAMPLE = "samplegraph run build/digits-ddim-25.onnx --seed 0 --set class_labels=0,1,2,3 --output digits.png"


def run(
    file: Annotated[
        Path,
        typer.Argument(
            help="The .onnx file that `samplegraph export` wrote, or the engine of `samplegraph build`.",
            show_default=False,
        ),
    ],
    seed: Annotated[
        str | None,
        typer.Option(help="One seed, or one per sample: 0 or 0,1,2. Default: 0.", show_default=False),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="An input: class_labels=0,1,2 or name=@file.npy (or .png). Repeatable."
        ),
    ] = None,
    guidance_scale: Annotated[
        float | None, typer.Option(help="Short for --set guidance_scale=...", show_default=False)
    ] = None,
    samples: Annotated[int | None, typer.Option(help="Number of samples, where nothing else tells.")] = None,
    rng: Annotated[str, typer.Option(help="torch (as torch.randn on the CPU) or philox.")] = "torch",
    steps: Annotated[
        int | None,
        typer.Option(help="Number of steps, for a graph of --layout step that has a table for it.", show_default=False),
    ] = None,
    previews: Annotated[
        Path | None,
        typer.Option(
            help="Folder for pictures of the clean samples predicted so far, after each chunk or step.",
            metavar="FOLDER",
            show_default=False,
        ),
    ] = None,
    providers: Annotated[
        str | None,
        typer.Option(
            help="ONNX Runtime providers in order, such as cuda,cpu, or auto: the best that starts here. Default: cpu.",
            show_default=False,
        ),
    ] = None,
    tf32: Annotated[bool, typer.Option("--tf32", help="Let a GPU multiply float32 with 10 bits of mantissa.")] = False,
    threads: Annotated[int | None, typer.Option(help="Threads. Default: one per core.")] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="A .png grid or a .npy array. Default: the file's name."),
    ] = None,
) -> None:
    """Draw samples with a compiled sampler, and write them as a picture or an array.

    Needs neither torch nor the model's code.
    """
    inputs = _inputs(seed, settings or [], guidance_scale)
    if output is not None:
        check_output(output, (".png", ".npy"))
    quiet_engine()
    start = perf_counter()
    engine = interruptible(
        lambda: Engine(
            file, providers=providers.split(",") if providers is not None else None, threads=threads, tf32=tf32
        )
    )
    drawn = engine.manifest.drawn
    if drawn is not None and "seed" not in inputs and drawn.role not in inputs:
        inputs["seed"] = 0
    shape = engine.manifest.sample_shape
    if output is None:
        output = Path(f"{file.stem}{'.png' if is_picture(shape) else '.npy'}")
        check_output(output, (".png", ".npy"))
    if output.suffix.lower() == ".png":
        check_picture(shape)
    loaded = perf_counter()
    drawn_range = picture_range(engine.manifest.result)
    if previews is not None:
        check_picture(engine.manifest.shown_shape)
        check_output(previews / "step-0.png", (".png",))

    def preview(step: int, x0: npt.NDArray[Any]) -> None:
        assert previews is not None
        write(x0, previews / f"step-{step:03d}.png")

    with progress_bar("sampling") as update:
        drawn = interruptible(
            lambda: engine(
                samples=samples,
                rng=cast(Rng, rng),
                progress=update,
                preview=preview if previews is not None else None,
                steps=steps,
                **inputs,
            )
        )
    done = perf_counter()
    write(drawn, output, drawn_range)
    size = "x".join(map(str, shape))
    count = f"{len(drawn)} {'sample' if len(drawn) == 1 else 'samples'}"
    stdout().print(
        f"{output}  {count} of {size}, loaded in {loaded - start:.2f} s, sampled in {done - loaded:.2f} s "
        f"by {short_name(engine.providers[0])}",
        soft_wrap=True,
        markup=False,
    )
    for note in engine.notes:
        typer.echo(f"note: {note}", err=True)


def write(samples: npt.NDArray[Any], output: Path, values: tuple[float, float] = (-1.0, 1.0)) -> None:
    """Write ``samples`` (M, ...) as the suffix says; a picture from black to white over ``values``."""
    with replacing(output) as temporary:
        if output.suffix.lower() == ".png":
            write_png(samples, temporary, values)
        else:
            with temporary.open("wb") as stream:
                np.save(stream, samples, allow_pickle=False)


def _inputs(seed: str | None, settings: list[str], guidance_scale: float | None) -> dict[str, Any]:
    inputs = parse_settings(settings)
    for name in RESERVED:
        if name in inputs:
            fix = "leave it out" if name in ("progress", "preview", "device_output") else f"give --{name} instead"
            raise InputError(f"--set {name} is not an input of the graph; {fix}")
    if guidance_scale is not None:
        if "guidance_scale" in inputs:
            raise InputError("--guidance-scale and --set guidance_scale are both given; give one of them")
        inputs["guidance_scale"] = guidance_scale
    if seed is not None:
        inputs["seed"] = parse_seed(seed)
    return inputs

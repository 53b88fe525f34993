"""``python -m examples.signal``: train the decoder, measure it, stream a sound through C++, draw the picture."""

from __future__ import annotations

import argparse
import wave
from pathlib import Path

import numpy as np
import torch

from examples import native
from examples.signal.evaluate import SOURCE, decode_natively, export_all, sampler, sound, table
from examples.signal.network import WEIGHTS
from examples.signal.picture import draw
from examples.signal.quality import quality
from examples.signal.sound import RATE
from examples.signal.stream import Floats, eager, stream
from examples.signal.train import train

FOLDER = native.BUILD / "signal"
STEPS = [2, 4, 6, 10]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    out = argparse.ArgumentParser(prog="python -m examples.signal", description=__doc__)
    out.add_argument("--threads", type=int, default=1, help="threads of torch (default 1)")
    commands = out.add_subparsers(dest="command", required=True)
    add = commands.add_parser("train", help="synthesise and train; some minutes").add_argument
    add("--steps", type=int, default=5000, help="of the optimizer")
    add("--seed", type=int, default=0)
    add("--output", type=Path, default=WEIGHTS, help="the safetensors file to write")
    add = commands.add_parser("evaluate", help="quality against steps; the three streams' errors").add_argument
    add("--steps", nargs="+", type=int, default=STEPS)
    add("--seconds", type=float, default=4.0)
    add("--picture", type=Path, help="draw it there, too")
    add = commands.add_parser("stream", help="decode a held-out sound in C++; writes two WAV files").add_argument
    add("--steps", type=int, default=4)
    add("--seconds", type=float, default=4.0)
    add("--seed", type=int, default=0)
    return out


def write_wave(path: Path, samples: Floats) -> None:
    """16 bits, one channel."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    print(path)


def main() -> None:
    """Do what the command line asks for."""
    given = parser().parse_args()
    torch.set_num_threads(given.threads)
    FOLDER.mkdir(parents=True, exist_ok=True)
    match given.command:
        case "train":
            train(given.steps, given.seed, given.output)
        case "evaluate":
            text, rows = table(given.steps, given.seconds, FOLDER)
            print(text)
            if given.picture:
                heard, bands = sound(1.5)
                decoded = {n: stream(eager(sampler(n)), bands, 0) for n in (given.steps[0], given.steps[-1])}
                draw(heard, bands, decoded, rows, quality(*[sound(given.seconds)[0]] * 2).periodicity, given.picture)
        case "stream":
            heard, bands = sound(given.seconds)
            (file,) = export_all([given.steps], FOLDER)
            decoded_samples, times = decode_natively(file, bands, given.seed, native.program(SOURCE, "signal_stream"))
            print(times)
            write_wave(FOLDER / "sound.wav", heard)
            write_wave(FOLDER / "decoded.wav", decoded_samples)


if __name__ == "__main__":
    main()

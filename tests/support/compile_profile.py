"""What compiling a model of BERT-Base's shape takes, phase by phase: ``PYTHONPATH=tests python -m support.compile_profile``."""

import argparse
import resource
import tempfile
import time
from collections import Counter
from pathlib import Path

import torch

from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.sw.compiler import arrange, compile_quantised, quantise_encoder
from acceltran.sw.compiler import compile as compile_module
from acceltran.sw.models.checkpoint import load_checkpoint
from support.models import BASE, make_checkpoint, random_texts

__all__ = ["profile"]

PHASES = ((compile_module, "check_fit", "check that it fits"), (arrange, "lower", "lower"), (arrange, "plan_order", "plan"),
          (arrange, "place_activations", "place"), (arrange, "place_blocks", "place"),
          (compile_module, "semaphores", "semaphores"), (compile_module, "check_progress", "semaphores"),
          (compile_module, "emit", "emit"))
"""Where a function is called, its name, and the phase that it belongs to."""


def profile(config, batch, tokens, shape):
    """CPU seconds by phase of compiling `batch` sentences of `tokens` tokens for a random model, and the Program."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = load_checkpoint(make_checkpoint(Path(folder), **shape))
        encoder = quantise_encoder(checkpoint, config, calibration_texts=random_texts(1, 5))
    seconds: Counter[str] = Counter()

    def timed(function, phase):
        def call(*arguments, **options):
            begin = time.process_time()
            try:
                return function(*arguments, **options)
            finally:
                seconds[phase] += time.process_time() - begin
        return call

    whole = [(module, name, getattr(module, name)) for module, name, _ in PHASES]
    for module, name, phase in PHASES:
        setattr(module, name, timed(getattr(module, name), phase))
    try:
        begin = time.process_time()
        program = compile_quantised(encoder, config, torch.full((batch, tokens), 7), [tokens] * batch)
        total = time.process_time() - begin
    finally:
        for module, name, function in whole:
            setattr(module, name, function)
    return dict(seconds) | {"graph, and all else": total - sum(seconds.values()), "together": total}, program


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="mini")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--tokens", type=int, default=128)
    given = parser.parse_args()
    phases, made = profile(AcceleratorConfig.load(given.config), given.batch, given.tokens, BASE)
    for name, value in phases.items():
        print(f"{name:20} {value:6.1f} s")
    print(f"{len(made.instructions):,} instructions, {made.planned_cycles:,} cycles planned, "
          f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10:,} MB at most")

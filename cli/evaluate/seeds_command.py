"""What `acceltran seeds` does."""

import torch

from ...hw.spec.config import AcceleratorConfig
from ..console import announce, check_outputs, console, progress
from ..data_files import read_labelled, write_tsv
from ..documents import update_part
from ..labels import Targets
from ..train.train import CONFIG, VARIANTS
from ..train.train_command import check_variant, split_data
from .calibrate_command import SEARCH, calibrate_command
from .seeds import run_seeds, seed_table
from .study import BUDGETS

__all__ = ["seeds_command"]


def seeds_command(*, data, seeds, variants, config, folder, cache, exclusions, output, layout=None):
    """Options are those of the command, see its help."""
    hardware = AcceleratorConfig.load(config)
    for variant in variants or ():
        check_variant(variant)
    check_outputs(output)
    found = read_labelled(data, Targets(CONFIG), layout)
    announce(found)
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    training, kept = split_data(cache, exclusions)
    held_out = folder / "held-out.tsv"
    write_tsv(held_out, [review.text for review in kept], [int(review.rating > 0) for review in kept])

    def calibrate(model, sites):
        calibrate_command(data=held_out, output=sites, model=model, budget=BUDGETS[0], weight_sparsity=0.0, sentences=SEARCH,
                          check=None, seed=0)

    values = run_seeds(range(seeds), training, calibrate, hardware, found.texts, found.labels, folder=folder, cache=cache,
                       variants=variants or tuple(VARIANTS), report=lambda line: progress.print(f"seeds: {line} ..."))
    update_part(output, "seeds", seed_table(values))
    console.print(f"wrote {output}")

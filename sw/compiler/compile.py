"""From a checkpoint and token numbers to a program."""

import numpy as np

from ...hw.isa import LoopOrder
from .allocate import place_activations, place_blocks, required_tiles
from .build_encoder import build_graph
from .emit import emit
from .errors import CompileError
from .quantise import quantise_encoder
from .schedule import check_progress, insert_loads, semaphores
from .steps import lower

__all__ = ["compile_encoder", "compile_graph"]

_ATTEMPTS = (
    {"stagger": 2, "chunks": 2, "pack": False},
    {"stagger": 2, "chunks": 2, "pack": True},
    {"stagger": 1, "chunks": 2, "pack": True},
    {"stagger": 1, "chunks": 1, "pack": True},
    {"stagger": 1, "chunks": 1, "pack": True, "modulus": 2},
)
"""Ways to schedule and place, from the one that keeps most in flight to the one that needs least room."""


def compile_encoder(checkpoint, config, ids, lengths, *, tau=None, target_sparsity=None, weight_sparsity=0.0,
                    calibration_texts=None, layers=None, order=LoopOrder.BIJK, base=0):
    """Compile one batch of sentences.

    Parameters
    ----------
    checkpoint : Checkpoint
    config : AcceleratorConfig
    ids : int64 [batch, columns], token numbers; rows are padded to whole tiles
    lengths : valid tokens of each row
    tau, target_sparsity, weight_sparsity, calibration_texts, layers : see `quantise_encoder`
    order : loop order of every product
    base : address of the memory image, a multiple of 4096

    Returns
    -------
    Program

    Raises
    ------
    CompileError : where model, request and configuration do not fit together
    """
    encoder = quantise_encoder(checkpoint, config, tau=tau, target_sparsity=target_sparsity,
                               weight_sparsity=weight_sparsity, calibration_texts=calibration_texts, layers=layers)
    return compile_graph(build_graph(encoder, lengths, len(ids[0])), config, ids, order=order, base=base)


def compile_graph(graph, config, ids, *, order=LoopOrder.BIJK, base=0):
    """Lower, place, schedule and emit a graph; the parameters are those of `compile_encoder`."""
    if graph.sequence > config.max_inner:
        raise CompileError(f"contexts sum over {graph.sequence} tokens, the accumulators are made for {config.max_inner}: "
                           f"raise max_inner to {1 << (graph.sequence - 1).bit_length()}, or shorten the sequences")
    plan, placements = _place(graph, config, order)
    blocks = {}
    for home, capacity in (("weight", "weight_tiles"), ("vector", "vector_lines")):
        blocks |= place_blocks(plan.blocks, plan.steps, home, getattr(config, capacity), capacity)
    steps = insert_loads(plan.steps, plan.blocks, blocks, config.instruction_queue)
    placements |= {owner: place for owner, (place, _) in blocks.items()}

    def slots_of(region):
        place = placements[region.owner]
        first = place.slot + region.row * place.pitch + region.column
        return (first + place.pitch * np.arange(region.rows)[:, None] + np.arange(region.columns)).ravel()

    sizes = {"activation": config.activation_tiles, "weight": config.weight_tiles, "vector": config.vector_lines}
    marks = semaphores(steps, slots_of, sizes)
    check_progress([step.engine for step in steps], marks, config.instruction_queue)
    try:
        return emit(graph, config, steps, plan.blocks, placements, marks, ids, base)
    except CompileError:
        raise
    except ValueError as error:
        raise CompileError(error) from None


def _place(graph, config, order):
    for attempt in _ATTEMPTS:
        plan = lower(graph, config, chunks=attempt["chunks"], stagger=attempt["stagger"], order=order)
        modulus = attempt.get("modulus", config.activation_banks)
        placements = place_activations(graph, plan.steps, config.activation_tiles, pack=attempt["pack"],
                                       modulus=modulus)
        if placements is not None:
            return plan, placements
    need, largest, size = required_tiles(graph, plan.steps, modulus)
    need = -(-need // config.activation_banks) * config.activation_banks
    raise CompileError(f"the activations need {need} tiles ({largest} alone {size}), the activation buffer has "
                       f"{config.activation_tiles}: raise activation_tiles to {need}, or shorten the sequences")

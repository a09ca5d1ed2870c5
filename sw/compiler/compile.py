"""From a checkpoint and token numbers to a program."""

from dataclasses import replace

import numpy as np

from ...hw.isa import Opcode
from .allocate import place_activations, place_blocks, required_tiles
from .build_encoder import build_graph
from .cost import Cost
from .emit import emit
from .errors import CompileError
from .planner import plan_order
from .quantise import quantise_encoder
from .schedule import chain, check_progress, insert_loads, insert_planned_loads, load_step, semaphores
from .steps import lower

__all__ = ["compile_encoder", "compile_graph"]

_PLANNED = (
    {"chunks": 4, "pack": False},
    {"chunks": 4, "pack": True},
)
"""Ways to place what the planner has put in order."""

_ATTEMPTS = (
    {"stagger": 2, "chunks": 2, "pack": False},
    {"stagger": 2, "chunks": 2, "pack": True},
    {"stagger": 1, "chunks": 2, "pack": True},
    {"stagger": 1, "chunks": 1, "pack": True},
)
"""Ways to schedule and place where that needs too much room, from the one that keeps most in flight to the tightest."""


def compile_encoder(checkpoint, config, ids, lengths, *, tau=None, target_sparsity=None, site_taus=None, weight_sparsity=0.0,
                    calibration_texts=None, layers=None, order=None, overlap=True, resident=False, base=0):
    """Compile one batch of sentences.

    Parameters
    ----------
    checkpoint : Checkpoint
    config : AcceleratorConfig
    ids : int64 [batch, columns], token numbers; rows are padded to whole tiles
    lengths : valid tokens of each row
    tau, target_sparsity, site_taus, weight_sparsity, calibration_texts, layers : see `quantise_encoder`
    order, overlap, resident, base : see `compile_graph`

    Returns
    -------
    Program

    Raises
    ------
    CompileError : where model, request and configuration do not fit together
    """
    encoder = quantise_encoder(checkpoint, config, tau=tau, target_sparsity=target_sparsity, site_taus=site_taus,
                               weight_sparsity=weight_sparsity, calibration_texts=calibration_texts, layers=layers)
    return compile_graph(build_graph(encoder, lengths, len(ids[0])), config, ids, order=order, overlap=overlap,
                         resident=resident, base=base)


def compile_graph(graph, config, ids=None, *, order=None, overlap=True, resident=False, base=0):
    """Lower, order, place and emit a graph.

    Parameters
    ----------
    graph : Graph
    config : AcceleratorConfig
    ids : int64 [batch, columns], token numbers; none for a graph without gathers
    order : LoopOrder of every product; None for the best of each
    overlap : False makes every instruction wait for the one before it
    resident : weights, vectors, position rows, padding and loaded tensors are brought by a program of their own, the preload;
        the program proper, which may run any number of times after it, leaves them where they are
    base : address of the memory image, a multiple of 4096

    Raises
    ------
    CompileError : what is needed does not fit
    """
    if graph.sequence > config.max_inner:
        raise CompileError(f"contexts sum over {graph.sequence} tokens, the accumulators are made for {config.max_inner}: "
                           f"raise max_inner to {1 << (graph.sequence - 1).bit_length()}, or shorten the sequences")
    steps, preload, blocks, placements, planned = _scheduled(graph, config, order, overlap, resident)

    def slots_of(region):
        place = placements[region.owner]
        first = place.slot + region.row * place.pitch + region.column
        return (first + place.pitch * np.arange(region.rows)[:, None] + np.arange(region.columns)).ravel()

    sizes = {"activation": config.activation_tiles, "weight": config.weight_tiles, "vector": config.vector_lines}
    programs = []
    for part in (steps, preload):
        marks = semaphores(part, slots_of, sizes) if overlap else chain(part)
        check_progress([step.engine for step in part], marks, config.instruction_queue)
        programs.append((part, marks))
    try:
        return replace(emit(graph, config, programs, blocks, placements, ids, base), planned_cycles=planned)
    except CompileError:
        raise
    except ValueError as error:
        raise CompileError(error) from None


def _scheduled(graph, config, order, overlap, resident):
    """Steps of the program and of the preload, blocks, the placements of everything, and the cycles planned, if any are."""
    if overlap:
        plan = lower(graph, config, chunks=_PLANNED[0]["chunks"], order=order, fine=True)
        kept, preload = _split(graph, plan.steps, resident)
        loaded = {} if resident else plan.blocks
        steps, targets, end = plan_order(kept, loaded, Cost(graph, config))
        for attempt in _PLANNED:
            try:
                placed = _placed(graph, config, plan.blocks, steps, preload, resident, **attempt)
            except CompileError:
                break
            if placed is not None:
                activations, blocks = placed
                if not resident:
                    steps = insert_planned_loads(steps, plan.blocks, blocks, targets)
                preload = _preload(plan.blocks, preload, resident)
                return steps, preload, plan.blocks, _placements(activations, blocks), round(end)
    for attempt in _ATTEMPTS if overlap else _ATTEMPTS[2:]:
        plan = lower(graph, config, order=order, chunks=attempt["chunks"], stagger=attempt["stagger"])
        steps, preload = _split(graph, plan.steps, resident)
        placed = _placed(graph, config, plan.blocks, steps, preload, resident, **attempt)
        if placed is not None:
            activations, blocks = placed
            if not resident:
                steps = insert_loads(steps, plan.blocks, blocks, config.instruction_queue)
            preload = _preload(plan.blocks, preload, resident)
            return steps, preload, plan.blocks, _placements(activations, blocks), None
    need, largest, size = required_tiles(graph, [*preload, *steps])
    need = -(-need // config.activation_banks) * config.activation_banks
    raise CompileError(f"the activations need {need} tiles ({largest} alone {size}), the activation buffer has "
                       f"{config.activation_tiles}: raise activation_tiles to {need}, or shorten the sequences")


def _split(graph, steps, resident):
    """Steps of the program, and of the preload: the loads."""
    if not resident:
        return steps, []
    first = [step.opcode is Opcode.LOAD for step in steps]
    return ([step for step, early in zip(steps, first, strict=True) if not early],
            [step for step, early in zip(steps, first, strict=True) if early])


def _preload(blocks, preload, resident):
    return [*(load_step(block) for block in blocks.values()), *preload] if resident else []


def _placements(activations, blocks):
    return activations | {owner: place for owner, (place, _) in blocks.items()}


def _placed(graph, config, blocks, steps, preload, resident, *, pack, **_):
    """Placements of the activations, and of the blocks with their first use; None where the activations do not fit."""
    kept = {step.tensor for step in preload}
    activations = place_activations(graph, [*preload, *steps], config.activation_tiles, pack=pack, kept=kept)
    if activations is None:
        return None
    placed = {}
    for home, capacity in (("weight", "weight_tiles"), ("vector", "vector_lines")):
        placed |= place_blocks(blocks, steps, home, getattr(config, capacity), capacity, resident=resident)
    return activations, placed

"""From a checkpoint and token numbers to a program."""

from dataclasses import replace

import numpy as np
import torch

from ...hw.spec.config import DIVIDED
from ..ir.errors import CapacityError, CompileError
from ..models.outline import outline_encoder
from ..models.quantise import quantise_encoder
from .arrange import arrange
from .bucket import with_sentences
from .capacity import ADDRESSED, FITTED, check_fit, fits
from .emit import Scheduled, emit
from .schedule import chain, check_progress, semaphores
from .spread import Spread, spread_batch

__all__ = ["batch_fits", "bucket_tokens", "check_batch", "compile_buckets", "compile_encoder", "compile_graph",
           "compile_quantised", "largest_batch"]


def compile_encoder(checkpoint, config, ids, lengths, *, tau=None, target_sparsity=None, site_taus=None, weight_sparsity=0.0,
                    calibration_texts=None, layers=None, tokens=None, order=None, overlap=True, resident=False, prefetch=False,
                    base=0, memory=ADDRESSED, quantise=quantise_encoder):
    """Compile one batch of sentences.

    Parameters
    ----------
    checkpoint : Checkpoint
    config : AcceleratorConfig
    ids : int64 [batch, columns], token numbers; rows are padded to whole tiles
    lengths : valid tokens of each row
    tau, target_sparsity, site_taus, weight_sparsity, calibration_texts, layers : see `quantise_encoder`
    tokens : Tokens of each row, see `build_graph`
    order, overlap, resident, prefetch, base, memory : see `compile_graph`
    quantise : stands in for `quantise_encoder`, such as one that keeps what it has made

    Returns
    -------
    Program

    Raises
    ------
    CompileError : where model, request and configuration do not fit together
    """
    outline = outline_encoder(checkpoint, config, layers=layers, tau=tau, target_sparsity=target_sparsity, site_taus=site_taus)
    check_batch(outline, config, lengths, len(ids[0]), tokens, overlap=overlap, resident=resident, prefetch=prefetch,
                memory=memory)
    encoder = quantise(checkpoint, config, tau=tau, target_sparsity=target_sparsity, site_taus=site_taus,
                       weight_sparsity=weight_sparsity, calibration_texts=calibration_texts, layers=layers)
    return compile_quantised(encoder, config, ids, lengths, tokens=tokens, order=order, overlap=overlap, resident=resident,
                             prefetch=prefetch, base=base, memory=memory)


def compile_quantised(encoder, config, ids, lengths, *, tokens=None, order=None, **options):
    """The same from a QuantisedEncoder, which serves any number of batches.

    Parameters
    ----------
    encoder : QuantisedEncoder for `config`
    ids, lengths, tokens : see `compile_encoder`
    order, options : see `compile_graph`

    Raises
    ------
    CapacityError : naming also the sentences, or tokens, that would fit
    CompileError : where model, request and configuration do not fit together
    """
    columns = len(ids[0])
    fitted = {name: options[name] for name in (*FITTED, "memory") if name in options}
    check_batch(encoder, config, lengths, columns, tokens, **fitted)
    if config.clusters > 1:
        spread = spread_batch(encoder, config, lengths, columns, tokens=tokens)
    else:
        spread = Spread.none(encoder.build_graph(lengths, columns, tokens=tokens))
    longest = min(max(spread.whole.token_rows), encoder.model.max_position_embeddings)
    return _compiled(spread, config, ids, order=order, longest=longest, **options)


def bucket_tokens(model, config, wanted):
    """The most tokens of a bucket that is to hold `wanted`: whole tiles, as far as the positions of an EncoderConfig go."""
    whole = -(-wanted // config.tile) * config.tile
    return min(whole, max(wanted, model.max_position_embeddings))


def compile_buckets(encoder, config, sentences, *, order=None, base=0, memory=ADDRESSED, **options):
    """Programs for sentences of any length, one for each bucket, in one image.

    Parameters
    ----------
    encoder : QuantisedEncoder for `config`
    sentences : {most tokens of a bucket's sentences, see `bucket_tokens`: token numbers of the one that it begins with}
    order, options, base, memory : see `compile_graph`

    Returns
    -------
    list of Program, from the shortest bucket on

    Raises
    ------
    CapacityError : naming also the tokens that would fit
    CompileError : where model, request and configuration do not fit together, or what the model reads is compiled in
    """
    if config.clusters > 1:
        raise CompileError(f"clusters = {config.clusters}: a program for buckets runs one sentence, in one cluster; compile a "
                           "batch of sentences, without buckets")
    parts, graphs, sentences = [], [], dict(sorted(sentences.items()))
    for tokens, ids in sentences.items():
        fitted = {name: options[name] for name in FITTED if name in options}
        check_batch(encoder, config, [tokens], tokens, memory=memory, **fitted)
        graph = encoder.build_graph([tokens], tokens)
        parts.append(_part(Spread.none(graph), config, torch.zeros(1, 1, dtype=torch.int64), order=order, longest=tokens,
                           **options))
        graphs.append(encoder.build_graph([len(ids)], tokens, full=True))
    programs = with_sentences(_emitted(parts, config, base, memory), [[ids] for ids in sentences.values()])
    return [replace(program, graph=graph) for program, graph in zip(programs, graphs, strict=True)]


def check_batch(encoder, config, lengths, columns, tokens=None, **options):
    """`check_fit` for sentences of an encoder: the refusal names also the sentences, or the tokens, that would fit.

    Parameters
    ----------
    encoder : QuantisedEncoder for `config`
    lengths : valid tokens of each sentence
    columns : tokens to which each is padded
    tokens : Tokens of each, see `build_graph`
    options : of `check_fit`
    """
    try:
        _check_fit(_one_cluster(encoder, config, lengths, columns, tokens), config, **options)
    except CapacityError as error:
        raise CapacityError(error.what, error.fields, _smaller(encoder, config, lengths, columns, tokens, options)) from None


def batch_fits(encoder, config, lengths, columns, tokens=None, **options):
    """Whether `check_batch` has nothing to say; `options` of `fits`."""
    return fits(_one_cluster(encoder, config, lengths, columns, tokens), config.cluster, **options)


def _one_cluster(encoder, config, lengths, columns, tokens=None):
    """The graph of the most sequences that a cluster gets."""
    most = -(-len(lengths) // config.clusters)
    return encoder.build_graph(lengths[:most], columns, tokens=tokens and tokens[:most], full=config.clusters > 1)


def _check_fit(graph, config, **options):
    """`check_fit` for the graph of one cluster; fields that count what the clusters share are those of all."""
    try:
        check_fit(graph, config.cluster, **options)
    except CapacityError as error:
        fields = {name: value * (config.clusters if name in DIVIDED else 1) for name, value in error.fields.items()}
        raise CapacityError(error.what, fields) from None


def largest_batch(encoder, config, lengths, columns=None, *, tokens=None, near=1, **options):
    """How many of the first sentences fit in one program, at least 0.

    Parameters
    ----------
    encoder : QuantisedEncoder for `config`
    lengths : valid tokens of each
    columns : tokens to which each is padded; by default those of the longest in the program
    tokens : Tokens of each, see `build_graph`
    near : a guess, from which the search goes up and down
    options : of `fits`
    """
    def fit(count):
        return count == 0 or batch_fits(encoder, config, lengths[:count], columns or max(lengths[:count]), tokens, **options)

    low, high = 0, min(near, len(lengths))
    while fit(high):
        if high == len(lengths):
            return high
        low, high = high, min(2 * high, len(lengths))
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fit(middle) else (low, middle)
    return low


def _smaller(encoder, config, lengths, columns, tokens, options):
    """Clauses: how many of the sentences would fit, or how many tokens of one."""
    count = largest_batch(encoder, config, lengths, columns, tokens=tokens, **options)
    if count:
        return [f"give {count} sentence{'s' if count > 1 else ''} at a time"]
    tile = config.tile
    for size in range((columns - 1) // tile * tile, 0, -tile):
        first = tokens and [tokens[0].cut(size)]
        if batch_fits(encoder, config, [min(lengths[0], size)], size, first, **options):
            most = config.clusters
            return [f"shorten the sentences to {size} tokens"
                    + (f" and give {'one' if most == 1 else most} at a time" if len(lengths) > most else "")]
    return []


def compile_graph(graph, config, ids=None, *, base=0, memory=ADDRESSED, **options):
    """Lower, order, place and emit a graph.

    Parameters
    ----------
    graph : Graph; of several clusters, each runs all of it
    config : AcceleratorConfig
    ids : int64 [batch, columns], token numbers; none for a graph without gathers
    order : LoopOrder of every product; None for the best of each
    overlap : False makes every instruction wait for the one before it
    resident : weights, vectors, position rows, padding and loaded tensors are brought by a program of their own, the preload;
        the program proper, which may run any number of times after it, leaves them where they are
    prefetch : with `resident`: the preload gathers the embeddings of the first run too, and each run those of the next one,
        from the same places in main memory, while it computes
    longest : most tokens of a sentence that the program may run; by default as many as the graph has rows for
    base : address at which the image is to lie, a multiple of 4096
    memory : bytes of main memory, from there on

    Raises
    ------
    CapacityError : what is needed does not fit; before anything is planned
    """
    spread = Spread.none(graph) if config.clusters == 1 else Spread(whole=graph, graphs=(graph,) * config.clusters)
    return _compiled(spread, config, ids, base=base, memory=memory, **options)


def _compiled(spread, config, ids, *, base=0, memory=ADDRESSED, **options):
    fitted = {name: options[name] for name in FITTED if name in options}
    _check_fit(spread.graphs[0], config, memory=memory, **fitted)
    return _emitted([_part(spread, config, ids, **options)], config, base, memory)[0]


def _part(spread, config, ids, *, order=None, overlap=True, resident=False, prefetch=False, longest=None):
    """The Scheduled of a graph, or of those of several clusters."""
    graph, config, clusters = spread.graphs[0], config.cluster, config.clusters
    arranged = arrange(graph, config, clusters=clusters, order=order, overlap=overlap, resident=resident, prefetch=prefetch)

    def slots_of(region):
        place = arranged.placements[region.owner]
        first = place.slot + region.row * place.pitch + region.column
        return (first + place.pitch * np.arange(region.rows)[:, None] + np.arange(region.columns)).ravel()

    sizes = {"activation": config.activation_tiles, "weight": config.weight_tiles, "vector": config.vector_lines}
    programs = []
    for steps in (arranged.steps, arranged.preload):
        part, marks = spread.marked(steps, semaphores(steps, slots_of, sizes) if overlap else None)
        marks = marks if overlap else chain(part)
        check_progress([step.engine for step in part], marks, config.instruction_queue)
        programs.append((part, marks))
    return Scheduled(spread=spread, programs=tuple(programs), blocks=arranged.blocks, pieces=arranged.pieces,
                     placements=arranged.placements, ids=ids, tokens=longest or graph.sequence,
                     planned=round(arranged.end) if overlap else None)


def _emitted(parts, config, base, memory):
    try:
        programs = emit(parts, config, base)
    except CompileError:
        raise
    except ValueError as error:
        raise CompileError(error) from None
    if (size := len(programs[0].image)) > memory:
        raise CompileError(f"the memory image has {size:,} bytes, main memory {memory:,}: use a smaller model")
    return programs

"""Run a compiled graph on integer tensors: every intermediate that the hardware writes, to the last bit."""

from functools import partial

import torch

from ..golden.fixed import saturate
from ..golden.layernorm import layernorm
from ..golden.matmul import matmul
from ..golden.post_process import post_process
from ..golden.softmax import softmax
from .graph import Gather, Graph, LayerNorm, Load, MatMul, Softmax, Store, target, unpad

__all__ = ["execute", "golden_run", "results"]


def execute(graph, ids, *, prune=None, watch=None):
    """All activation tensors of a graph.

    Parameters
    ----------
    graph : Graph
    ids : int64 [batch, columns], token numbers
    prune : (operation, its result) to the result that is kept, for studies of pruning that the hardware does not do
    watch : called for every product, softmax and layer-norm with the operation and what `post_process`, `softmax` and
        `layernorm` tell; no result depends on it

    Returns
    -------
    dict of str to int64 Tensor [rows, columns], padded rows and columns included, in order of computation
    """
    values: dict[str, torch.Tensor] = {}
    indices = graph.indices(ids)
    for operation in graph.operations:
        seen = watch and partial(watch, operation)
        match operation:
            case Gather():
                result = graph.constants[operation.table][indices[operation.indices]]
            case Load():
                result = graph.constants[operation.values][operation.first: operation.first + operation.o.rows]
            case MatMul():
                result = _matmul(graph, values, operation, seen)
            case Softmax():
                result = _softmax(graph, values, operation, seen)
            case LayerNorm():
                result = _layernorm(graph, values, operation, seen)
            case _:
                continue
        _write(graph, values, target(operation), prune(operation, result) if prune else result)
    return values


def golden_run(program, ids, lengths, *, watch=None):
    """`execute` for a Program or a Graph; the lengths must be those it was compiled for.

    Raises
    ------
    ValueError : for other lengths, or a program that was loaded from a folder
    """
    graph = program if isinstance(program, Graph) else program.graph
    if graph is None:
        raise ValueError("a loaded program has no graph: compile it again to run the golden model")
    if tuple(int(n) for n in lengths) != graph.lengths:
        raise ValueError(f"lengths {list(lengths)}: the program is compiled for {list(graph.lengths)}")
    return execute(graph, ids, watch=watch)


def results(graph, values):
    """What the STOREs of a graph bring out, as floats without padding.

    Returns
    -------
    dict of str to float64 Tensor: ``logits`` [batch, labels], or the last hidden state [batch, sequence, hidden]
    """
    outputs = {}
    for operation in graph.operations:
        if isinstance(operation, Store):
            tensor = graph.tensors[operation.x.tensor]
            outputs[operation.output] = unpad(values[tensor.name], tensor.frac, operation.shape)
    return outputs


def _write(graph, values, view, result):
    tensor = graph.tensors[view.tensor]
    if view == graph.whole(tensor.name):
        values[tensor.name] = result
        return
    if tensor.name not in values:
        values[tensor.name] = torch.zeros(tensor.rows, tensor.columns, dtype=torch.int64)
    view.write(values[tensor.name], result)


def _matmul(graph, values, op, watch):
    b = op.b.read(graph.constants[op.b.tensor] if op.b.tensor in graph.constants else values[op.b.tensor])
    b = saturate(b, graph.b_width)  # Weights fit.
    accumulator = matmul(op.a.read(values[op.a.tensor]), b.T if op.transpose else b)
    bias, scales = torch.zeros(op.c.columns, dtype=torch.int64), None
    if op.bias:
        bias, scales = graph.constants[op.bias], graph.scales_of(graph.tensors[op.bias])
    return post_process(accumulator, bias, bias_shift=op.bias_shift, shift=op.shift, function=op.function,
                        function_shift=op.function_shift, tau=graph.tau(op.curve), width=graph.width, scales=scales,
                        watch=watch)


def _softmax(graph, values, op, watch):
    return softmax(op.x.read(values[op.x.tensor]), valid_columns=op.valid_columns, x_shift=op.x_shift, o_frac=op.o_frac,
                   tau=graph.tau(op.curve), width=graph.width, tile=graph.tile, watch=watch)


def _layernorm(graph, values, op, watch):
    residual = op.residual.read(values[op.residual.tensor]) if op.residual else None
    return layernorm(op.x.read(values[op.x.tensor]), graph.constants[op.gamma], graph.constants[op.beta],
                     residual=residual, x_shift=op.x_shift, r_shift=op.r_shift, reciprocal=op.reciprocal,
                     reciprocal_shift=op.reciprocal_shift, epsilon=op.epsilon, beta_shift=op.beta_shift,
                     shift=op.shift, tau=graph.tau(op.curve), width=graph.width, watch=watch)

"""The workload by which ITA (arXiv 2307.03493) is measured: attention of one head and a feed-forward network, 64 x 64 each.

Eight products of 64 x 64 x 64 in one program, weights and input resident: query, key, scores, value, context, output
projection, and two feed-forward products with GeLU between.
"""

import torch

from ...hw.spec.exponential import ARGUMENT_FRAC
from ..golden.layernorm import layernorm_fields
from ..golden.softmax import logit_factor
from ..ir.formats import product_fields, scores_frac
from ..ir.graph import Graph, LayerNorm, Load, MatMul, Softmax, Store, Tensor

__all__ = ["PRODUCTS", "SIZE", "ita_graph"]

SIZE = 64
"""Tokens, embedding, projection and feed-forward size."""

PRODUCTS = 8

_FACTOR = logit_factor(SIZE)
_SPREAD = {"x": 1.0, "query": _FACTOR, "key": 1.0, "scores": 8 * _FACTOR, "value": 1.0, "context": 0.5, "attention": 0.5,
           "attention_norm": 1.0, "hidden": 0.6, "output": 0.4, "output_norm": 1.0}
"""Standard deviation that each tensor has with unit input and weights of 1/8, those of the queries times `_FACTOR`."""


def ita_graph(config, *, layernorm, seed=0):
    """The workload with random integers.

    Parameters
    ----------
    config : AcceleratorConfig
    layernorm : add the residual and normalise, after attention and after the feed-forward network
    seed : of input, weights and biases

    Returns
    -------
    Graph : to be compiled with ``resident=True``
    """
    return _Builder(config, seed).build(layernorm)


class _Builder:
    def __init__(self, config, seed):
        self.config = config
        self.random = torch.Generator().manual_seed(seed)
        self.graph = Graph(tile=config.tile, width=config.width, batch=1, sequence=SIZE, lengths=(SIZE,))

    def build(self, layernorm):
        """All of it."""
        graph = self.graph
        x = self._activation("x", "input")
        graph.constants["x"] = self._integers((SIZE, SIZE), _SPREAD["x"], graph.tensors["x"].frac)
        graph.operations.append(Load(o=x))
        query, key = self._project("query", x, factor=_FACTOR), self._project("key", x)
        scores = self._product("scores", query, key, transpose=True)
        probabilities = self._softmax(scores)
        value = self._project("value", x, column_parts=2)
        context = self._product("context", probabilities, value, column_parts=2)
        state = self._project("attention", context)
        if layernorm:
            state = self._norm("attention_norm", state, x)
        hidden = self._project("hidden", state, function="gelu")
        output = self._project("output", hidden)
        if layernorm:
            output = self._norm("output_norm", output, state)
        graph.operations.append(Store(x=output, output=output.tensor, shape=(1, SIZE, SIZE)))
        return graph

    def _frac(self, spread):
        """Binary point that leaves room for four standard deviations."""
        frac = self.config.width - 1
        while spread * 4 * 2**frac > 1 << (self.config.width - 1):
            frac -= 1
        return frac

    def _integers(self, shape, spread, frac):
        limit = 1 << (self.config.width - 1)
        values = torch.randn(shape, generator=self.random, dtype=torch.float64) * spread * 2.0**frac
        return values.round().clamp(-limit, limit - 1).to(torch.int64)

    def _activation(self, name, kind, frac=None):
        frac = self._frac(_SPREAD[name]) if frac is None else frac
        frac = scores_frac(frac, self.config.width) if kind == "scores" else frac
        self.graph.add(Tensor(name=name, rows=SIZE, columns=SIZE, frac=frac, kind=kind))
        return self.graph.whole(name)

    def _vector(self, name, spread, mean=0.0):
        frac = self._frac(max(spread, mean / 4))
        values = self._integers((SIZE,), spread, frac) + round(mean * 2**frac)
        limit = 1 << (self.config.width - 1)
        self.graph.add(Tensor(name=name, rows=1, columns=SIZE, frac=frac, kind="vector", home="vector"),
                       values.clamp(-limit, limit - 1))
        return self.graph.tensors[name]

    def _project(self, name, a, function="none", column_parts=1, factor=1.0):
        spread = factor * SIZE**-0.5
        weight = self.graph.add(
            Tensor(name=f"{name}.weight", rows=SIZE, columns=SIZE, frac=self._frac(spread), kind="weight", home="weight"),
            self._integers((SIZE, SIZE), spread, self._frac(spread)))
        bias = self._vector(f"{name}.bias", 0.05 * factor)
        return self._product(name, a, self.graph.whole(weight.name), bias=bias, function=function,
                             column_parts=column_parts)

    def _product(self, name, a, b, *, bias=None, transpose=False, function="none", column_parts=1):
        graph = self.graph
        c = self._activation(name, name)
        product_frac = graph.tensors[a.tensor].frac + graph.tensors[b.tensor].frac
        graph.operations.append(MatMul(
            a=a, b=b, c=c, transpose=transpose, bias=bias.name if bias else None, function=function,
            column_parts=column_parts,
            **product_fields(name, product_frac=product_frac, bias_frac=min(bias.frac, product_frac) if bias else None,
                             o_frac=graph.tensors[name].frac, function=function, width=self.config.width)))
        return c

    def _softmax(self, scores):
        frac = self.config.width - 2
        o = self._activation("probabilities", "probabilities", frac)
        self.graph.operations.append(Softmax(x=scores, o=o, valid_columns=SIZE,
                                             x_shift=ARGUMENT_FRAC - self.graph.tensors[scores.tensor].frac, o_frac=frac))
        return o

    def _norm(self, name, x, residual):
        graph = self.graph
        gamma, beta = self._vector(f"{name}.gamma", 0.1, 1.0), self._vector(f"{name}.beta", 0.1)
        o = self._activation(name, "ffn_input" if name == "attention_norm" else "input")
        graph.operations.append(LayerNorm(
            x=x, residual=residual, o=o, gamma=gamma.name, beta=beta.name,
            **layernorm_fields(n=SIZE, x_frac=graph.tensors[x.tensor].frac, r_frac=graph.tensors[residual.tensor].frac,
                               x_max=4.0, r_max=4.0, gamma_frac=gamma.frac, beta_frac=beta.frac,
                               o_frac=graph.tensors[o.tensor].frac, eps=1e-5, width=self.config.width)))
        return o

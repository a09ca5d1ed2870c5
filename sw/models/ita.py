"""The workload by which ITA (arXiv 2307.03493) is measured: attention of one head and a feed-forward network, 64 x 64 each.

Eight products of 64 x 64 x 64 in one program, weights and input resident: query, key, scores, value, context, output
projection, and two feed-forward products with GeLU between.
"""

import torch

from ..golden.softmax import logit_factor
from ..ir.formats import scores_frac
from ..ir.graph import Graph
from ..ir.graph_builder import GraphBuilder

__all__ = ["PRODUCTS", "SIZE", "ita_graph"]

SIZE = 64
"""Tokens, embedding, projection and feed-forward size."""

PRODUCTS = 8

_ATTENTION, _FEED_FORWARD = "attention", "ffn"
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
    return _Workload(config, seed).build(layernorm)


class _Workload:
    def __init__(self, config, seed):
        self.config = config
        self.random = torch.Generator().manual_seed(seed)
        self.graph = Graph(tile=config.tile, width=config.width, b_width=config.b_width, batch=1, sequence=SIZE,
                           lengths=(SIZE,), layers=1)
        self.builder = GraphBuilder(self.graph)

    def build(self, layernorm):
        """All of it."""
        x = self._activation("x", "input")
        self.builder.load(x, self._integers((SIZE, SIZE), _SPREAD["x"], self.graph.tensors["x"].frac))
        query, key = self._project("query", x, _ATTENTION, factor=_FACTOR), self._project("key", x, _ATTENTION)
        scores = self._activation("scores", "scores")
        self.builder.product(query, key, scores, transpose=True)
        probabilities = self._activation("probabilities", "probabilities", self.config.width - 2)
        self.builder.softmax(scores, probabilities, SIZE)
        value = self._project("value", x, _ATTENTION, column_parts=2)
        context = self._activation("context", "context")
        self.builder.product(probabilities, value, context, column_parts=2)
        state = self._project("attention", context, _ATTENTION)
        if layernorm:
            state = self._norm("attention_norm", "ffn_input", state, x, _ATTENTION)
        hidden = self._project("hidden", state, _FEED_FORWARD, function="gelu")
        output = self._project("output", hidden, _FEED_FORWARD)
        if layernorm:
            output = self._norm("output_norm", "input", output, state, _FEED_FORWARD)
        self.builder.store(output, output.tensor, (1, SIZE, SIZE))
        return self.graph

    def _frac(self, spread, bits=None):
        """Binary point of values of `bits` bits, W by default, that leaves room for four standard deviations."""
        frac = (bits or self.config.width) - 1
        while spread * 4 * 2**frac > 1 << ((bits or self.config.width) - 1):
            frac -= 1
        return frac

    def _integers(self, shape, spread, frac, bits=None):
        limit = 1 << ((bits or self.config.width) - 1)
        values = torch.randn(shape, generator=self.random, dtype=torch.float64) * spread * 2.0**frac
        return values.round().clamp(-limit, limit - 1).to(torch.int64)

    def _activation(self, name, kind, frac=None):
        bits = self.config.b_width if name in ("key", "value") else None
        frac = self._frac(_SPREAD[name], bits) if frac is None else frac
        frac = scores_frac(frac, self.config.width) if kind == "scores" else frac
        return self.builder.activation(name, SIZE, SIZE, frac, kind, largest=4.0, source=name, sequences=(0,), layer="0",
                                       bits=bits)

    def _vector(self, name, group, spread, mean=0.0):
        frac = self._frac(max(spread, mean / 4))
        values = self._integers((SIZE,), spread, frac) + round(mean * 2**frac)
        limit = 1 << (self.config.width - 1)
        return self.builder.constant(name, values.clamp(-limit, limit - 1), frac, "vector", group=group, layer="0")

    def _project(self, name, a, group, function="none", column_parts=1, factor=1.0):
        spread, bits = factor * SIZE**-0.5, self.config.b_width
        frac = self._frac(spread, bits)
        weight = self.builder.constant(f"{name}.weight", self._integers((SIZE, SIZE), spread, frac, bits), frac, "weight",
                                       group=group, layer="0")
        bias, c = self._vector(f"{name}.bias", group, 0.05 * factor), self._activation(name, name)
        self.builder.product(a, self.graph.whole(weight.name), c, bias=bias, function=function, column_parts=column_parts)
        return c

    def _norm(self, name, kind, x, residual, group):
        gamma, beta = self._vector(f"{name}.gamma", group, 0.1, 1.0), self._vector(f"{name}.beta", group, 0.1)
        o = self._activation(name, kind)
        self.builder.layernorm(x, residual, o, gamma, beta, 1e-5)
        return o

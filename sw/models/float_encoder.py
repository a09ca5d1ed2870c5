"""The encoder in floating point, with every intermediate tensor named: what the golden model is measured against."""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch.nn import functional

from ...hw.spec.activations import ACTIVATIONS
from .parts import Norm
from .relative_bias import bias_matrices
from .tokens import default_places

__all__ = ["FUNCTIONS", "FloatEncoder", "position_types"]

_OTHERS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "gelu_tanh": partial(functional.gelu, approximate="tanh"),
    "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
}

FUNCTIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    entry.name: _OTHERS.get(entry.name) or getattr(functional, entry.name) for entry in ACTIVATIONS}
"""The activation functions of `hw.spec.activations` on tensors."""


class FloatEncoder:
    """A post-layer-norm encoder in plain PyTorch, by its Parts.

    Parameters
    ----------
    checkpoint : Checkpoint
    dtype : torch.dtype
        Arithmetic of the run, float32 by default.
    """

    def __init__(self, checkpoint, dtype=torch.float32):
        self.config, self._parts_of = checkpoint.config, checkpoint.parts
        self._tensors = {name: tensor.to(dtype) for name, tensor in checkpoint.tensors.items()}
        self._places = position_types(self._tensors)

    @torch.no_grad()
    def run(self, ids, lengths, layers=None, prune=None, *, tokens=None):
        """Run a batch.

        Parameters
        ----------
        ids : int64 Tensor [batch, S]
            Token numbers.
        lengths : sequence of int
            Valid tokens of each row; keys beyond them get probability 0. Rows of the results beyond a text's length
            are computed but mean nothing.
        layers : int, optional
            Stop after this many layers; all by default. What stands behind the layers runs only after all of them.
        prune : callable, optional
            ``prune(name, tensor)`` gives what becomes of each tensor that DynaTran may prune, those of `Parts.sites`:
            ``embeddings.output``, and of every layer ``query key value probabilities context attention_norm hidden
            output_norm``.
        tokens : sequence of Tokens, optional
            Places of each row's tokens; by default they follow each other and are of the first type.

        Returns
        -------
        dict of str to Tensor
            ``embeddings.word``, ``embeddings.position_type`` (their sum), ``embeddings.output``, and where the layers are wider
            ``embeddings.projected``; for each layer ``layer{l}.`` with ``query key value`` [batch, S, hidden], ``scores``
            (Q K^T, unscaled, with the bias if there is one) and ``probabilities`` [batch, heads, S, S], ``context``,
            ``attention`` (projected, before the residual), ``attention_norm``, ``hidden_pre`` and ``hidden`` [batch, S, ffn]
            (around the activation), ``output`` (second product), ``output_norm``; and what the head computes, such as
            ``pooler`` (after tanh) and ``logits``: [batch, columns] of each first token, or [batch, S, columns] of all.
        """
        parts = self._parts_of(layers)
        masked = (torch.arange(ids.shape[1]) >= torch.as_tensor(lengths)[:, None])[:, None, None, :]
        prune = prune or (lambda name, tensor: tensor)
        kept = parts.sites.keys()
        values: dict[str, torch.Tensor] = {}

        def keep(name, tensor):
            values[name] = prune(name, tensor) if name in kept else tensor
            return values[name]

        state = self._embed(parts, ids, tokens, keep)
        by_source = {one.source: one for one in parts.encoder_projections}
        norms = parts.encoder_norms
        for attention, inner, outer in zip(parts.attentions, norms[::2], norms[1::2], strict=True):
            context = self._attention(parts, attention, state, masked, keep)
            state = self._norm(inner, keep(*self._project(by_source[attention.context], context)) + state, keep)
            one = by_source[inner.result]
            before = self._linear(one, state)
            values[f"{one.result}_pre"] = before
            hidden = keep(one.result, FUNCTIONS[one.function](before))
            state = self._norm(outer, keep(*self._project(by_source[one.result], hidden)) + state, keep)
        first = {parts.state: state[:, 0]} if parts.head_rows == "first" else {}
        for step in parts.head:
            if isinstance(step, Norm):
                self._norm(step, first.get(step.source, values[step.source]), keep)
            else:
                keep(*self._project(step, first.get(step.source, values[step.source])))
        return values

    def _embed(self, parts, ids, tokens, keep):
        words, places = parts.tables
        word = keep(words.name, self._tensors["embeddings.word_embeddings.weight"][ids])
        rows = default_places(self.config, ids.shape[1]).expand(ids.shape).clone()
        for row, one in zip(rows, tokens or (), strict=bool(tokens)):
            if one.places is not None:
                row[: len(one.places)] = torch.tensor(one.places)
        state = self._norm(parts.norms[0], word + keep(places.name, self._places[rows]), keep)
        if self.config.has_projection:
            state = keep(*self._project(next(one for one in parts.projections if one.layer == "embeddings"), state))
        return state

    def _attention(self, parts, attention, state, masked, keep):
        query, key, value = (self.heads(torch.cat([keep(*self._project(parts.projection(name), state)) for name in names], -1))
                             for names in (attention.queries, attention.keys, [attention.value]))
        scores = query @ key.transpose(-1, -2)
        if attention.biased:
            table = self._tensors["encoder.relative_attention_bias.weight"]
            scores = scores + bias_matrices(table, state.shape[1]) * math.sqrt(self.config.head_size)
            keep(attention.query, query.transpose(1, 2).flatten(2))
            keep(attention.key, key.transpose(1, 2).flatten(2))
        keep(attention.scores, scores)
        scaled = (scores / math.sqrt(self.config.head_size)).masked_fill(masked, -math.inf)
        probabilities = keep(attention.probabilities, scaled.softmax(-1))
        return keep(attention.context, (probabilities @ value).transpose(1, 2).flatten(2))

    def _project(self, one, x):
        """The name and values of a projection's result."""
        y = self._linear(one, x)
        return one.result, y if one.function == "none" else FUNCTIONS[one.function](y)

    def _linear(self, one, x):
        columns = slice(one.first, one.first + one.columns)
        return functional.linear(x, self._tensors[f"{one.weights}.weight"][columns],
                                 self._tensors[f"{one.weights}.bias"][columns])

    def _norm(self, norm, x, keep):
        return keep(norm.result, functional.layer_norm(
            x, (norm.columns,), self._tensors[f"{norm.weights}.weight"], self._tensors[f"{norm.weights}.bias"],
            self.config.layer_norm_eps))

    def heads(self, x):
        """[batch, S, hidden] by heads: [batch, heads, S, head size]."""
        return x.unflatten(-1, (self.config.num_attention_heads, self.config.head_size)).transpose(1, 2)


def position_types(tensors):
    """The table of positions and token types: every position with the first type, then every one with the second."""
    position = tensors["embeddings.position_embeddings.weight"]
    kind = tensors.get("embeddings.token_type_embeddings.weight")
    return position if kind is None else (kind[:, None] + position[None]).flatten(0, 1)

"""The encoder in floating point, with every intermediate tensor named: what the golden model is measured against."""

import math
from collections.abc import Callable

import torch
from torch.nn import functional

from ...hw.spec.activations import ACTIVATIONS

__all__ = ["FloatEncoder"]

FUNCTIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    entry.name: getattr(functional, entry.name) for entry in ACTIVATIONS}


class FloatEncoder:
    """BERT in plain PyTorch (erf-GELU, post-layer-norm, absolute positions, token type 0).

    Parameters
    ----------
    checkpoint : Checkpoint
    dtype : torch.dtype
        Arithmetic of the run, float32 by default.
    """

    def __init__(self, checkpoint, dtype=torch.float32):
        self.config = checkpoint.config
        self.has_pooler, self.has_classifier = checkpoint.has_pooler, checkpoint.has_classifier
        self._tensors = {name: tensor.to(dtype) for name, tensor in checkpoint.tensors.items()}

    @torch.no_grad()
    def run(self, ids, lengths, layers=None, prune=None):
        """Run a batch.

        Parameters
        ----------
        ids : int64 Tensor [batch, S]
            Token numbers.
        lengths : sequence of int
            Valid tokens of each row; keys beyond them get probability 0. Rows of the results beyond a text's length
            are computed but mean nothing.
        layers : int, optional
            Stop after this many layers; all by default. `pooler` and `logits` are there only after all layers.
        prune : callable, optional
            ``prune(name, tensor)`` gives what becomes of each tensor that DynaTran may prune: ``embeddings.output``, and of
            every layer ``query key value probabilities context attention_norm hidden output_norm``.

        Returns
        -------
        dict of str to Tensor
            ``embeddings.word``, ``embeddings.position_type`` (their sum), ``embeddings.output``; for each layer
            ``layer{l}.`` with ``query key value`` [batch, S, hidden], ``scores`` (Q K^T, unscaled) and
            ``probabilities`` [batch, heads, S, S], ``context``, ``attention`` (projected, before the residual),
            ``attention_norm``, ``hidden_pre`` and ``hidden`` [batch, S, ffn] (around the activation), ``output``
            (second product), ``output_norm``; ``pooler`` [batch, hidden] (after tanh) and ``logits`` [batch, labels].
        """
        count = self.config.num_hidden_layers if layers is None else layers
        size = ids.shape[1]
        masked = (torch.arange(size) >= torch.as_tensor(lengths)[:, None])[:, None, None, :]
        prune = prune or (lambda name, tensor: tensor)
        values = self._embed(ids)
        state = values["embeddings.output"] = prune("embeddings.output", values["embeddings.output"])
        for layer in range(count):
            values |= {f"layer{layer}.{name}": tensor for name, tensor in self._layer(
                layer, state, masked, prune).items()}
            state = values[f"layer{layer}.output_norm"]
        if self.has_pooler and count == self.config.num_hidden_layers:
            values["pooler"] = torch.tanh(self._linear(state[:, 0], "pooler.dense"))
            if self.has_classifier:
                values["logits"] = self._linear(values["pooler"], "classifier")
        return values

    def _embed(self, ids):
        word, position, kind = (self._tensors[f"embeddings.{name}_embeddings.weight"]
                                for name in ("word", "position", "token_type"))
        words = word[ids]
        rest = (position[: ids.shape[1]] + kind[0]).expand_as(words)
        return {"embeddings.word": words, "embeddings.position_type": rest,
                "embeddings.output": self._norm(words + rest, "embeddings.LayerNorm")}

    def _layer(self, layer, state, masked, prune_site):
        prefix = f"encoder.layer.{layer}"

        def prune(name, tensor):
            return prune_site(f"layer{layer}.{name}", tensor)

        query, key, value = (prune(name, self._linear(state, f"{prefix}.attention.self.{name}"))
                             for name in ("query", "key", "value"))
        scores = self.heads(query) @ self.heads(key).transpose(-1, -2)
        scaled = scores / math.sqrt(self.config.head_size)
        probabilities = prune("probabilities", scaled.masked_fill(masked, -math.inf).softmax(-1))
        context = prune("context", (probabilities @ self.heads(value)).transpose(1, 2).flatten(2))
        attention = self._linear(context, f"{prefix}.attention.output.dense")
        attention_norm = prune("attention_norm", self._norm(attention + state, f"{prefix}.attention.output.LayerNorm"))
        hidden_pre = self._linear(attention_norm, f"{prefix}.intermediate.dense")
        hidden = prune("hidden", FUNCTIONS[self.config.hidden_act](hidden_pre))
        output = self._linear(hidden, f"{prefix}.output.dense")
        output_norm = prune("output_norm", self._norm(output + attention_norm, f"{prefix}.output.LayerNorm"))
        return {"query": query, "key": key, "value": value, "scores": scores, "probabilities": probabilities,
                "context": context, "attention": attention, "attention_norm": attention_norm,
                "hidden_pre": hidden_pre, "hidden": hidden, "output": output, "output_norm": output_norm}

    def _linear(self, x, name):
        return functional.linear(x, self._tensors[f"{name}.weight"], self._tensors[f"{name}.bias"])

    def _norm(self, x, name):
        return functional.layer_norm(x, (self.config.hidden_size,), self._tensors[f"{name}.weight"],
                                     self._tensors[f"{name}.bias"], self.config.layer_norm_eps)

    def heads(self, x):
        """[batch, S, hidden] by heads: [batch, heads, S, head size]."""
        return x.unflatten(-1, (self.config.num_attention_heads, self.config.head_size)).transpose(1, 2)

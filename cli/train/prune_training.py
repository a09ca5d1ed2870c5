"""Pruning during training: weights by magnitude, activations below a threshold, gradients straight through."""

from dataclasses import dataclass, field

import torch

from ...sw.models.quantise import prune_weights
from ...sw.models.weight_sparsity import GroupSparsity

__all__ = ["Pruning"]

_SAMPLE = 4096


@dataclass(frozen=True, kw_only=True)
class Pruning:
    """Shares that are zeroed in every forward pass, rising from nothing.

    Between `begin` and `end`, as shares of all steps, the shares rise as ``1 - (1 - t)**3`` of the final ones (Zhu and Gupta,
    arXiv 1710.01878). What is zeroed keeps its gradient, so that weights and activations may come back.

    Parameters
    ----------
    weight_sparsity : of every weight matrix of the encoder layers; with a GroupSparsity, the rising share is that of the
        weights which it does not keep, the smallest first
    activation_sparsity : by the last part of the activation's name, as `FloatEncoder` calls it; each tensor is pruned below
        the quantile of its own magnitudes in the batch
    begin, end : see above
    """

    weight_sparsity: float | GroupSparsity = 0.6
    activation_sparsity: dict = field(default_factory=lambda: {
        "query": 0.3, "key": 0.3, "value": 0.3, "probabilities": 0.5, "context": 0.3, "attention_norm": 0.3, "hidden": 0.6,
        "output_norm": 0.3})
    begin: float = 0.1
    end: float = 0.7

    def strength(self, progress):
        """Share of the final sparsities at this share of all steps."""
        t = min(max((progress - self.begin) / (self.end - self.begin), 0.0), 1.0)
        return 1 - (1 - t) ** 3

    def weights(self, tensors, progress):
        """All tensors, with the encoder's weight matrices pruned."""
        strength = self.strength(progress)
        if not strength:
            return tensors
        return {name: _without(tensor, self._zeroed(tensor.detach().abs(), strength)) if _is_matrix(name) else tensor
                for name, tensor in tensors.items()}

    def _zeroed(self, magnitudes, strength):
        if not isinstance(self.weight_sparsity, GroupSparsity):
            return magnitudes < _quantile(magnitudes, self.weight_sparsity * strength)
        dropped = ~torch.from_numpy(self.weight_sparsity.keeps(magnitudes.numpy()))
        return dropped & (magnitudes <= _quantile(magnitudes[dropped], strength)) if dropped.any() else dropped

    def final_weights(self, tensors):
        """All tensors, with each matrix pruned exactly as `prune_weights` does."""
        return {name: prune_weights(tensor, self.weight_sparsity) if _is_matrix(name) else tensor
                for name, tensor in tensors.items()}

    def activation(self, name, values, progress, generator):
        """An activation tensor, pruned; its quantile is taken from a sample of what is not exactly zero."""
        share = self.activation_sparsity.get(name.rpartition(".")[2], 0.0) * self.strength(progress)
        if not share:
            return values
        magnitudes = values.detach().abs().flatten()
        sample = magnitudes[torch.randint(len(magnitudes), (_SAMPLE,), generator=generator)]
        sample = sample[sample > 0]
        return _without(values, values.abs() < _quantile(sample, share)) if len(sample) else values


def _is_matrix(name):
    return name.startswith("encoder.layer.") and name.endswith(".weight") and "LayerNorm" not in name


def _quantile(magnitudes, share):
    ordered = magnitudes.flatten().sort().values
    return ordered[min(len(ordered) - 1, round(share * len(ordered)))]


def _without(values, zeroed):
    """Zero where told, with the gradient of the identity."""
    return values - (values * zeroed).detach()

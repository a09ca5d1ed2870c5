"""Labelled sentences through the float model, under any pruning: what is left to multiply, what becomes of the predictions."""

from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional

from ...sw.models.quantise import pruned_checkpoint
from ...sw.models.sentences import encode_sentences
from ..labels import check_classifier

__all__ = ["FloatRun", "FloatRuns", "below", "valid_mask"]

_BATCH = 64


class FloatRun(NamedTuple):
    """Log-probabilities [sentences, labels], multiplications with both operands non-zero, share of right predictions."""

    logs: torch.Tensor
    remaining: float
    accuracy: float


class FloatRuns:
    """The float model on some sentences; multiplications are those of the encoder layers, without padding.

    Parameters
    ----------
    checkpoint : Checkpoint with a classifier of two classes or more
    texts, labels : sentences, cut to the model's positions, and the number of the right class of each
    weight_sparsity : share of every encoder weight matrix that is zeroed by magnitude before, or a GroupSparsity

    Attributes
    ----------
    checkpoint : as given
    batches : (ids, lengths, labels, tokens) of sentences of similar length, see `FloatEncoder.run`
    reference : FloatRun without pruning of activations
    dense : multiplications without any zero
    """

    def __init__(self, checkpoint, texts, labels, weight_sparsity=0.0):
        check_classifier(checkpoint, "a run with labels", classes=True)
        self.checkpoint, self.config = checkpoint, checkpoint.config
        checkpoint = pruned_checkpoint(checkpoint, self.config.num_hidden_layers, weight_sparsity)
        self.encoder, self.parts = checkpoint.float_encoder(), checkpoint.parts()
        encoded = encode_sentences(checkpoint, texts, longest=self.config.max_position_embeddings)
        ids, lengths, labels = encoded.ids, torch.tensor(encoded.lengths), torch.tensor(labels)
        parts = lengths.argsort(stable=True).split(_BATCH)
        self.batches = [(ids[rows, : int(lengths[rows].max())], lengths[rows], labels[rows],
                         [encoded.tokens[row] for row in rows]) for rows in parts]
        self._fan_out = {one.result: (checkpoint.tensors[f"{one.weights}.weight"] != 0).sum(0).double()
                         for one in self.parts.encoder_projections}
        self.reference = self.run(lambda name, tensor: tensor)
        per_token = sum(one.rows * one.columns for one in self.parts.encoder_projections)
        pairs = 2 * self.parts.layers * self.config.hidden_size
        self.dense = int((lengths * per_token + lengths**2 * pairs).sum())

    def run(self, prune):
        """FloatRun with this pruning, see `FloatEncoder.run`."""
        logs, remaining, right, count = [], 0.0, 0, 0
        for ids, lengths, labels, tokens in self.batches:
            values = self.encoder.run(ids, lengths, prune=prune, tokens=tokens)
            logs.append(values["logits"].log_softmax(1))
            remaining += self._remaining(values, lengths)
            right += int((values["logits"].argmax(1) == labels).sum())
            count += len(labels)
        return FloatRun(torch.cat(logs), remaining, right / count)

    def divergence(self, run):
        """Kullback-Leibler divergence of a run's predictions from the unpruned ones, mean of the sentences."""
        return float(functional.kl_div(run.logs, self.reference.logs, log_target=True, reduction="batchmean"))

    def loss(self, run):
        """Accuracy lost against the unpruned model, in points."""
        return 100 * (self.reference.accuracy - run.accuracy)

    def _remaining(self, values, lengths):
        columns = values[self.parts.attentions[0].query].shape[1]
        valid = (torch.arange(columns) < lengths[:, None]).float()[:, None]

        def used(name):
            """Non-zero elements of valid tokens, counted over the tokens: [batch, 1, columns], of heads one more."""
            nonzero = (values[name] != 0).float()
            return (valid[:, None] if nonzero.ndim == 4 else valid) @ nonzero

        total = 0.0
        for one in self.parts.encoder_projections:
            total += float(used(one.source).sum((0, 1)).double() @ self._fan_out[one.result])
        for attention in self.parts.attentions:
            total += float((used(attention.query) * used(attention.key)).double().sum())
            by_token = (self.encoder.heads(values[attention.value]) != 0).float().sum(-1) * valid
            total += float((used(attention.probabilities)[:, :, 0] * by_token).double().sum())
        return total


def below(taus):
    """A pruning: elements smaller in magnitude than their tensor's threshold become zero.

    Parameters
    ----------
    taus : {name: tau}; other tensors stay
    """
    largest = {name: float(np.nextafter(np.float32(tau), np.float32(0))) for name, tau in taus.items() if tau}
    return lambda name, tensor: functional.hardshrink(tensor, largest[name]) if name in largest else tensor


def valid_mask(tensor, lengths):
    """Which elements belong to valid tokens; of probabilities [batch, heads, rows, columns], to pairs of them."""
    valid = torch.arange(tensor.shape[-2]) < lengths[:, None]
    if tensor.ndim == 4:
        return valid[:, None, :, None] & valid[:, None, None, :]
    return valid[..., None]

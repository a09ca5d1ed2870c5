"""What a family of models tells about itself; everything else works for all of them."""

from abc import ABC, abstractmethod

import torch

__all__ = ["Family"]


class Family(ABC):
    """One kind of ``model_type``; `registry` lists them.

    Members
    -------
    model_type : what config.json calls it
    title : what messages call it
    special_tokens : of its tokenizer: padding, the first and the last token of a text
    pooler, classifier : tensors that are there if the model has these parts, by their canonical names
    """

    model_type: str
    title: str
    special_tokens: tuple[str, str, str]
    pooler: str
    classifier: str

    @abstractmethod
    def read_config(self, path, fields):
        """The configuration, from the fields of config.json.

        Every configuration has ``model_type, num_hidden_layers, num_attention_heads, hidden_size, head_size,
        intermediate_size, vocab_size, max_position_embeddings, layer_norm_eps, num_labels`` and ``id2label``.

        Raises
        ------
        ModelError : for a field that is missing, wrong, or asks for what is not computed here
        """

    @abstractmethod
    def canonical(self, name):
        """The canonical name of a tensor of the file."""

    @abstractmethod
    def tensor_shapes(self, config, pooler=True, classifier=True):
        """Canonical name to shape of every tensor that a model of this configuration has."""

    @abstractmethod
    def refuse_others(self, path, names):
        """Refuse tensors, by their canonical names, that the computation would wrongly leave unused."""

    @abstractmethod
    def float_encoder(self, checkpoint, dtype=torch.float32):
        """The float reference: ``run(ids, lengths, layers, prune)`` gives every activation by name, see `FloatEncoder`."""

    @abstractmethod
    def parts(self, config, layers, pooler, classifier):
        """Parts of the first `layers` and of what follows them."""

    @abstractmethod
    def table_values(self, checkpoint):
        """Float values of every table, by the name of the activation that its rows become."""

    @abstractmethod
    def build_graph(self, encoder, lengths, columns, separate=None):
        """The Graph of a quantised encoder for sequences of given lengths, see `build_encoder.build_graph`."""

"""The graph of an encoder for a batch of sequences."""

from dataclasses import replace

import torch

from ..golden.layernorm import layernorm_fields
from ..golden.softmax import softmax_scale
from .errors import CompileError
from .formats import product_fields
from .graph import Gather, Graph, LayerNorm, Load, MatMul, Softmax, Store, Tensor, View

__all__ = ["build_graph"]


def build_graph(encoder, lengths, columns):
    """Lay a quantised encoder out for sequences of given lengths.

    Activations are matrices [batch * sequence, width]: a projection of the whole batch is one product. Attention works
    per sequence and head on views of them, and the sequences share the position rows and one tile row of padding. Pooler and classifier take
    the first tile row of each sequence.

    Parameters
    ----------
    encoder : QuantisedEncoder
    lengths : valid tokens of each sequence
    columns : tokens of the longest, padding included; rounded up to whole tiles

    Returns
    -------
    Graph

    Raises
    ------
    CompileError : for lengths that the model's positions do not allow, or fields out of range
    """
    lengths, positions = tuple(int(n) for n in lengths), encoder.model.max_position_embeddings
    if not lengths or not all(1 <= n <= columns for n in lengths):
        raise CompileError(f"lengths = {list(lengths)}: give 1 to {columns} valid tokens for each sequence")
    if max(lengths) > positions:
        raise CompileError(f"a sequence has {max(lengths)} tokens, max_position_embeddings is {positions}: shorten it")
    return _Builder(encoder, lengths, columns).build()


class _Builder:
    def __init__(self, encoder, lengths, columns):
        size = encoder.hardware.tile
        self.encoder = encoder
        self.graph = Graph(tile=size, width=encoder.hardware.width, batch=len(lengths),
                           sequence=-(-columns // size) * size, lengths=lengths, curves=encoder.curves,
                           target=encoder.target)
        self.rows = self.graph.batch * self.graph.sequence

    def build(self):
        """All of it."""
        encoder, graph = self.encoder, self.graph
        state = self._embeddings()
        for layer in range(encoder.layers):
            state = self._layer(f"layer{layer}.", state)
        name, shape = state, (graph.batch, graph.sequence, encoder.model.hidden_size)
        if encoder.has_pooler:
            name = self._project("pooler", self._first_tokens(state), "pooler", function="tanh")
            shape = graph.batch, encoder.model.hidden_size
        if encoder.has_classifier:
            name = self._project("logits", graph.whole(name), "logits")
            shape = graph.batch, encoder.model.num_labels
        graph.operations.append(Store(x=graph.whole(name), output=name, shape=shape))
        return graph

    def _activation(self, name, source, columns, kind, rows=None):
        self.graph.add(Tensor(name=name, rows=rows or self.rows, columns=columns, frac=self.encoder.fracs[source],
                              kind=kind))
        return self.graph.whole(name)

    def _constant(self, name, kind):
        if name not in self.graph.tensors:
            values, frac = self.encoder.constants[name]
            shape = values.shape if values.ndim == 2 else (1, len(values))
            self.graph.add(Tensor(name=name, rows=shape[0], columns=shape[1], frac=frac, kind=kind, home=kind), values)
        return self.graph.tensors[name]

    def _embeddings(self):
        """Word rows of valid tokens are gathered; one tile row of padding and the position rows, which the layer-norms of all
        sequences share, are loaded.
        """
        graph, encoder, name = self.graph, self.encoder, "embeddings.output"
        size, word_name, position_name = encoder.model.hidden_size, "embeddings.word", "embeddings.position_type"
        table, frac = encoder.constants[word_name]
        graph.add(Tensor(name=f"{word_name}.table", rows=table.shape[0], columns=size, frac=frac, kind="table", home="table"),
                  table)
        word = self._activation(word_name, word_name, size, "word", sum(graph.token_rows))
        graph.operations.append(Gather(table=f"{word_name}.table", indices="ids", o=word))
        last = torch.tensor(encoder.model.max_position_embeddings - 1)
        positions = encoder.constants[position_name][0][torch.arange(graph.sequence).minimum(last)]
        position = self._load(position_name, position_name, "position", positions)
        padding = None
        if min(graph.token_rows) < graph.sequence:
            padding = self._load("embeddings.padding", word_name, "word", table[:1].expand(graph.tile, -1).contiguous())
        o = self._activation(name, name, size, "input")
        first = 0
        for number, rows in enumerate(graph.token_rows):
            row, rest = number * graph.sequence, graph.sequence - rows
            self._layernorm(name, replace(word, row=first, rows=rows), replace(position, rows=rows),
                            replace(o, row=row, rows=rows))
            if rest:
                self._layernorm(name, replace(padding, batch=rest // graph.tile), replace(position, row=rows, rows=rest),
                                replace(o, row=row + rows, rows=rest), x_source="embeddings.word")
            first += rows
        return name

    def _load(self, name, source, kind, values):
        o = self._activation(name, source, values.shape[1], kind, len(values))
        self.graph.constants[name] = values
        self.graph.operations.append(Load(o=o))
        return o

    def _layer(self, inside, state):
        whole = self.graph.whole
        for name in ("query", "key", "value"):
            self._project(inside + name, whole(state), name,
                          column_parts=self.encoder.model.num_attention_heads if name == "value" else 1)
        context = self._activation(inside + "context", inside + "context", self.encoder.model.hidden_size, "context")
        for sequence in range(self.graph.batch):
            for head in range(self.encoder.model.num_attention_heads):
                self._head(inside, sequence, head, context)
        self._project(inside + "attention", context, "attention")
        state = self._norm(inside + "attention_norm", inside + "attention", state, "ffn_input")
        self._project(inside + "hidden", whole(state), "hidden", function=self.encoder.model.hidden_act)
        self._project(inside + "output", whole(inside + "hidden"), "output")
        return self._norm(inside + "output_norm", inside + "output", state, "input")

    def _project(self, name, a, kind, function="none", column_parts=1):
        """``name = f(a W + b)``."""
        graph, encoder = self.graph, self.encoder
        weight, bias = (self._constant(f"{name}.{part}", home) for part, home in (("weight", "weight"),
                                                                                 ("bias", "vector")))
        c = self._activation(name, name, weight.columns, kind, a.rows)
        product_frac = graph.tensors[a.tensor].frac + weight.frac
        graph.operations.append(MatMul(
            a=a, b=graph.whole(weight.name), c=c, bias=bias.name, function=function,
            curve=encoder.curve_numbers.get(name, 0), column_parts=column_parts,
            **product_fields(name, product_frac=product_frac, bias_frac=bias.frac,
                             o_frac=graph.tensors[name].frac, function=function),
        ))
        return name

    def _head(self, inside, sequence, head, context):
        graph, encoder, size = self.graph, self.encoder, self.encoder.model.head_size

        def part(name):
            return View(tensor=inside + name, row=sequence * graph.sequence, column=head * size, rows=graph.sequence,
                        columns=size)

        scores, probabilities = (
            self._activation(f"{inside}{name}.{sequence}.{head}", inside + name, graph.sequence, name, graph.sequence)
            for name in ("scores", "probabilities"))
        fracs = {name: encoder.fracs[inside + name] for name in ("query", "key", "value", "scores", "probabilities",
                                                                 "context")}
        graph.operations.append(MatMul(
            a=part("query"), b=part("key"), c=scores, transpose=True,
            **product_fields(scores.tensor, product_frac=fracs["query"] + fracs["key"], bias_frac=None,
                             o_frac=fracs["scores"], function="none"),
        ))
        try:
            scale, scale_shift = softmax_scale(fracs["scores"], size)
        except ValueError as error:
            raise CompileError(f"{scores.tensor}: {error}") from None
        graph.operations.append(Softmax(
            x=scores, o=probabilities, valid_columns=graph.lengths[sequence], scale=scale, scale_shift=scale_shift,
            o_frac=fracs["probabilities"], curve=encoder.curve_numbers.get(inside + "probabilities", 0),
        ))
        graph.operations.append(MatMul(
            a=probabilities, b=part("value"), c=part("context"),
            curve=encoder.curve_numbers.get(context.tensor, 0),
            **product_fields(context.tensor, product_frac=fracs["probabilities"] + fracs["value"], bias_frac=None,
                             o_frac=fracs["context"], function="none"),
        ))

    def _norm(self, name, x, residual, kind):
        graph = self.graph
        o = self._activation(name, name, self.encoder.model.hidden_size, kind)
        self._layernorm(name, graph.whole(x), graph.whole(residual), o)
        return name

    def _layernorm(self, name, x, residual, o, x_source=None):
        """The layer-norm `name` of some rows; `x_source` has the range of x, by default its own tensor."""
        graph, encoder = self.graph, self.encoder
        gamma, beta = (self._constant(f"{name}.{part}", "vector") for part in ("gamma", "beta"))
        try:
            fields = layernorm_fields(
                n=encoder.model.hidden_size, x_frac=graph.tensors[x.tensor].frac,
                r_frac=graph.tensors[residual.tensor].frac, x_max=encoder.maxima[x_source or x.tensor],
                r_max=encoder.maxima[residual.tensor], gamma_frac=gamma.frac, beta_frac=beta.frac,
                o_frac=graph.tensors[o.tensor].frac, eps=encoder.model.layer_norm_eps, width=graph.width)
        except ValueError as error:
            raise CompileError(f"{name}: {error}") from None
        graph.operations.append(LayerNorm(
            x=x, residual=residual, o=o, gamma=gamma.name, beta=beta.name,
            curve=encoder.curve_numbers.get(name, 0), **fields))

    def _first_tokens(self, name):
        """The first tile row of every sequence of a layer-norm's result, one below the other, as one tensor.

        They are normalised once more to where they can be read together: the first rows of the sequences lie too regularly
        for that, in few banks.
        """
        graph = self.graph
        if graph.batch == 1:
            return replace(graph.whole(name), rows=graph.tile)
        together = "pooler.input"
        o = self._activation(together, name, self.encoder.model.hidden_size, "input", graph.batch * graph.tile)
        norm = next(op for op in reversed(graph.operations) if isinstance(op, LayerNorm))
        for number in range(graph.batch):
            rows = {"row": number * graph.sequence, "rows": graph.tile}
            self._layernorm(name, replace(norm.x, **rows), replace(norm.residual, **rows),
                            replace(o, row=number * graph.tile, rows=graph.tile))
        return o

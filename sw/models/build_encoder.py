"""The graph of an encoder for a batch of sequences."""

from dataclasses import replace

import torch

from ...hw.spec.exponential import ARGUMENT_FRAC
from ..golden.layernorm import layernorm_fields
from ..ir.densities import density
from ..ir.errors import CompileError
from ..ir.formats import product_fields
from ..ir.graph import Gather, Graph, LayerNorm, Load, MatMul, Softmax, Store, Tensor

__all__ = ["build_graph"]


def build_graph(encoder, lengths, columns, separate=None):
    """Lay a quantised encoder out for sequences of given lengths.

    Activations are matrices [batch * sequence, width], and a projection of the whole batch is one product; or, `separate`,
    every sequence has tensors of its own, ``name.number``, which find room one by one. Attention works per sequence and head on
    views of them. The sequences share the position rows and one tile row of padding. Pooler and classifier take the first
    tile row of each sequence.

    Parameters
    ----------
    encoder : QuantisedEncoder
    lengths : valid tokens of each sequence
    columns : tokens of the longest, padding included; rounded up to whole tiles
    separate : by default where the tile rows of a sequence fill the grid, and the weights, which every sequence needs again,
        fit their buffer

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
    return _Builder(encoder, lengths, columns, separate).build()


class _Builder:
    def __init__(self, encoder, lengths, columns, separate):
        size = encoder.hardware.tile
        self.encoder = encoder
        self.graph = Graph(tile=size, width=encoder.hardware.width, batch=len(lengths),
                           sequence=-(-columns // size) * size, lengths=lengths, curves=encoder.curves,
                           target=encoder.target, losses=encoder.losses, weight_sparsity=encoder.weight_sparsity)
        if separate is None:
            separate = self.graph.sequence // size % encoder.hardware.grid_rows == 0 and self._weights_fit()
        separate = separate and len(lengths) > 1
        self.groups = [(f".{n}", range(n, n + 1)) for n in range(self.graph.batch)] if separate else [
            ("", range(self.graph.batch))]
        self.base = {}

    def _weights_fit(self):
        hardware = self.encoder.hardware
        sizes = (values.numel() for name, (values, _) in self.encoder.constants.items()
                 if values.ndim == 2 and not name.startswith("embeddings."))
        return sum(sizes) <= hardware.weight_tiles * hardware.tile**2

    def build(self):
        """All of it."""
        encoder, graph = self.encoder, self.graph
        states = self._embeddings()
        for layer in range(encoder.layers):
            o = None
            if layer == encoder.layers - 1:
                name = f"layer{layer}.output_norm"
                o = self._activation(name, name, encoder.model.hidden_size, "input", graph.batch * graph.sequence)
            states = [self._layer(f"layer{layer}.", state, suffix, members, o)
                      for state, (suffix, members) in zip(states, self.groups, strict=True)]
        shape = graph.batch, graph.sequence, encoder.model.hidden_size
        if encoder.has_pooler:
            name = self._project("pooler", self._first_tokens(o), "pooler", function="tanh").tensor
            shape = graph.batch, encoder.model.hidden_size
        if encoder.has_classifier:
            name = self._project("logits", graph.whole(name), "logits").tensor
            shape = graph.batch, encoder.model.num_labels
        graph.operations.append(Store(x=graph.whole(name), output=name, shape=shape))
        return graph

    def _activation(self, name, source, columns, kind, rows, first=0, valid=None):
        self.graph.add(Tensor(name=name, rows=rows, columns=columns, frac=self.encoder.fracs[source], kind=kind, first=first,
                              density=self._density(source, valid)))
        self.base[name] = source
        return self.graph.whole(name)

    def _density(self, source, valid):
        """Expected density; `valid` is the number of probabilities in a row, which add up to 1, the others are zero."""
        encoder, graph = self.encoder, self.graph
        if source not in encoder.profiles:
            return 1.0
        samples, tau = encoder.profiles[source], graph.tau(encoder.curve_numbers[source])
        if valid is None:
            return density(samples, tau)
        return density(samples, tau, 2.0 ** encoder.fracs[source] / valid) * valid / graph.sequence

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
        states, first = [], 0
        for suffix, members in self.groups:
            o = self._activation(name + suffix, name, size, "input", len(members) * graph.sequence,
                                 members[0] * graph.sequence)
            states.append(o)
            for place, number in enumerate(members):
                rows = graph.token_rows[number]
                row, rest = place * graph.sequence, graph.sequence - rows
                self._layernorm(name, replace(word, row=first, rows=rows), replace(position, rows=rows),
                                replace(o, row=row, rows=rows))
                if rest:
                    self._layernorm(name, replace(padding, batch=rest // graph.tile), replace(position, row=rows, rows=rest),
                                    replace(o, row=row + rows, rows=rest))
                first += rows
        return states

    def _load(self, name, source, kind, values):
        o = self._activation(name, source, values.shape[1], kind, len(values))
        self.graph.constants[name] = values
        self.graph.operations.append(Load(o=o))
        return o

    def _layer(self, inside, state, suffix, members, o):
        """One layer for some sequences of the batch; `o` is the tensor of all sequences, if there is one."""
        model, first = self.encoder.model, members[0] * self.graph.sequence

        def project(name, a, **options):
            return self._project(inside + name, a, name, suffix=suffix, first=first, **options)

        query, key = project("query", state), project("key", state)
        value = project("value", state, column_parts=model.num_attention_heads)
        context = self._activation(inside + "context" + suffix, inside + "context", model.hidden_size, "context", state.rows,
                                   first)
        for place, sequence in enumerate(members):
            for head in range(model.num_attention_heads):
                part = {"row": place * self.graph.sequence, "column": head * model.head_size,
                        "rows": self.graph.sequence, "columns": model.head_size}
                self._head(inside, sequence, head, [replace(view, **part) for view in (query, key, value, context)])
        state = self._norm(inside + "attention_norm", project("attention", context), state, "ffn_input", suffix, first)
        output = project("output", project("hidden", state, function=model.hidden_act))
        return self._norm(inside + "output_norm", output, state, "input", suffix, first, o)

    def _project(self, name, a, kind, function="none", column_parts=1, suffix="", first=0):
        """``name = f(a W + b)``."""
        graph, encoder = self.graph, self.encoder
        weight, bias = (self._constant(f"{name}.{part}", home) for part, home in (("weight", "weight"),
                                                                                 ("bias", "vector")))
        c = self._activation(name + suffix, name, weight.columns, kind, a.rows, first)
        product_frac = graph.tensors[a.tensor].frac + weight.frac
        graph.operations.append(MatMul(
            a=a, b=graph.whole(weight.name), c=c, bias=bias.name, function=function,
            curve=encoder.curve_numbers.get(name, 0), column_parts=column_parts,
            **product_fields(name, product_frac=product_frac, bias_frac=bias.frac,
                             o_frac=graph.tensors[c.tensor].frac, function=function, width=graph.width),
        ))
        return c

    def _head(self, inside, sequence, head, parts):
        graph, encoder = self.graph, self.encoder
        query, key, value, context = parts
        scores, probabilities = (
            self._activation(f"{inside}{name}.{sequence}.{head}", inside + name, graph.sequence, name, graph.sequence,
                             sequence * graph.sequence, graph.lengths[sequence])
            for name in ("scores", "probabilities"))
        fracs = {name: encoder.fracs[inside + name] for name in ("query", "key", "value", "scores", "probabilities",
                                                                 "context")}
        graph.operations.append(MatMul(
            a=query, b=key, c=scores, transpose=True,
            **product_fields(scores.tensor, product_frac=fracs["query"] + fracs["key"], bias_frac=None,
                             o_frac=fracs["scores"], function="none", width=graph.width),
        ))
        graph.operations.append(Softmax(
            x=scores, o=probabilities, valid_columns=graph.lengths[sequence], x_shift=ARGUMENT_FRAC - fracs["scores"],
            o_frac=fracs["probabilities"], curve=encoder.curve_numbers.get(inside + "probabilities", 0),
        ))
        graph.operations.append(MatMul(
            a=probabilities, b=value, c=context,
            curve=encoder.curve_numbers.get(inside + "context", 0),
            **product_fields(context.tensor, product_frac=fracs["probabilities"] + fracs["value"], bias_frac=None,
                             o_frac=fracs["context"], function="none", width=graph.width),
        ))

    def _norm(self, name, x, residual, kind, suffix, first, o=None):
        """A layer-norm of some sequences, to a tensor of their own or into `o`, that of all sequences."""
        if o is None:
            o = self._activation(name + suffix, name, self.encoder.model.hidden_size, kind, x.rows, first)
        else:
            o = replace(o, row=first, rows=x.rows)
        self._layernorm(name, x, residual, o)
        return o

    def _layernorm(self, name, x, residual, o):
        """The layer-norm `name` of some rows."""
        graph, encoder = self.graph, self.encoder
        gamma, beta = (self._constant(f"{name}.{part}", "vector") for part in ("gamma", "beta"))
        try:
            fields = layernorm_fields(
                n=encoder.model.hidden_size, x_frac=graph.tensors[x.tensor].frac,
                r_frac=graph.tensors[residual.tensor].frac, x_max=encoder.maxima[self.base[x.tensor]],
                r_max=encoder.maxima[self.base[residual.tensor]], gamma_frac=gamma.frac, beta_frac=beta.frac,
                o_frac=graph.tensors[o.tensor].frac, eps=encoder.model.layer_norm_eps, width=graph.width)
        except ValueError as error:
            raise CompileError(f"{name}: {error}") from None
        graph.operations.append(LayerNorm(
            x=x, residual=residual, o=o, gamma=gamma.name, beta=beta.name,
            curve=encoder.curve_numbers.get(name, 0), **fields))

    def _first_tokens(self, state):
        """The first tile row of every sequence of the last layer-norm's result, one below the other, as one tensor.

        They are normalised once more to where they can be read together: the first rows of the sequences lie too regularly
        for that, in few banks.
        """
        graph = self.graph
        if graph.batch == 1:
            return replace(state, rows=graph.tile)
        o = self._activation("pooler.input", state.tensor, self.encoder.model.hidden_size, "input", graph.batch * graph.tile)
        norms = [op for op in graph.operations if isinstance(op, LayerNorm) and op.o.tensor == state.tensor]
        for number in range(graph.batch):
            norm = next(op for op in norms if 0 <= number * graph.sequence - op.o.row < op.o.rows)
            row = number * graph.sequence - norm.o.row
            self._layernorm(state.tensor, replace(norm.x, row=row, rows=graph.tile),
                            replace(norm.residual, row=norm.residual.row + row, rows=graph.tile),
                            replace(o, row=number * graph.tile, rows=graph.tile))
        return o

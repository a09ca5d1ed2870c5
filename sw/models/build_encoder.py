"""The graph of a post-layer-norm encoder for a batch of sequences."""

from dataclasses import replace

import torch

from ..ir.densities import density
from ..ir.errors import CompileError
from ..ir.graph import Graph, LayerNorm
from ..ir.graph_builder import GraphBuilder

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
    return _EncoderGraph(encoder, lengths, columns, separate).build()


class _EncoderGraph:
    def __init__(self, encoder, lengths, columns, separate):
        size = encoder.hardware.tile
        self.encoder, self.parts = encoder, encoder.parts
        self.graph = Graph(tile=size, width=encoder.hardware.width, batch=len(lengths),
                           sequence=-(-columns // size) * size, lengths=lengths, layers=encoder.parts.layers,
                           curves=encoder.curves, target=encoder.target, losses=encoder.losses,
                           weight_sparsity=encoder.weight_sparsity)
        self.builder = GraphBuilder(self.graph, encoder.curve_numbers)
        if separate is None:
            separate = self.graph.sequence // size % encoder.hardware.grid_rows == 0 and self._weights_fit()
        separate = separate and len(lengths) > 1
        self.groups = [(f".{n}", range(n, n + 1)) for n in range(self.graph.batch)] if separate else [
            ("", range(self.graph.batch))]

    def _weights_fit(self):
        hardware, constants = self.encoder.hardware, self.encoder.constants
        weights = sum(constants[one.weight][0].numel() for one in self.parts.projections)
        return weights <= hardware.weight_tiles * hardware.tile**2

    def build(self):
        """All of it."""
        graph, parts, everyone = self.graph, self.parts, range(self.graph.batch)
        states = self._embeddings()
        for attention, (inner, outer) in zip(parts.attentions, self._norms_of_layers(), strict=True):
            o = None
            if attention is parts.attentions[-1]:
                o = self._activation(outer.result, "", everyone, outer.kind, outer.columns)
            states = [self._layer(attention, inner, outer, state, suffix, members, o)
                      for state, (suffix, members) in zip(states, self.groups, strict=True)]
        hidden = result = graph.whole(parts.norms[-1].result)
        shape: tuple[int, ...] = (graph.batch, graph.sequence, hidden.columns)
        for one in parts.projections:
            if one.head:
                source = self._first_tokens(hidden) if one.source == hidden.tensor else graph.whole(one.source)
                result, shape = self._project(one, source, everyone), (graph.batch, one.columns)
        self.builder.store(result, parts.output, shape)
        return graph

    def _norms_of_layers(self):
        """The layer-norms behind attention and behind the feed-forward network, of each layer."""
        norms = self.parts.norms[1:]
        return list(zip(norms[::2], norms[1::2], strict=True))

    def _activation(self, source, suffix, members, kind, columns, *, rows=None, valid=None, **facts):
        """A tensor of some sequences of the batch, by default with all their tokens."""
        graph, encoder = self.graph, self.encoder
        if rows is None:
            rows = len(members) * graph.sequence
            facts["valid_rows"] = tuple(range(place * graph.sequence, place * graph.sequence + graph.lengths[number])
                                        for place, number in enumerate(members))
        return self.builder.activation(
            source + suffix, rows, columns, encoder.fracs[source], kind,
            **{"density": self._density(source, valid), "largest": encoder.maxima[source], "scale": self.parts.scale(source),
               "source": source, "site": source if source in self.parts.sites else None, "sequences": tuple(members)} | facts)

    def _density(self, source, valid):
        """Expected density; `valid` is the number of probabilities in a row, which add up to 1, the others are zero."""
        encoder, graph = self.encoder, self.graph
        if source not in encoder.profiles:
            return 1.0
        samples, tau = encoder.profiles[source], graph.tau(encoder.curve_numbers[source])
        if valid is None:
            return density(samples, tau)
        return density(samples, tau, 2.0 ** encoder.fracs[source] / valid) * valid / graph.sequence

    def _constant(self, name, home, **facts):
        values, frac = self.encoder.constants[name]
        return self.builder.constant(name, values, frac, home, **facts)

    def _embeddings(self):
        """Word rows of valid tokens are gathered; one tile row of padding and the position rows, which the layer-norms of all
        sequences share, are loaded.
        """
        graph, encoder, builder = self.graph, self.encoder, self.builder
        (words, places), norm = self.parts.tables, self.parts.norms[0]
        table = self._rows_of(words)
        tokens = list(zip(graph.token_rows, graph.lengths, strict=True))
        starts = [sum(graph.token_rows[:number]) for number in range(graph.batch)]
        word = self._activation(words.name, "", range(graph.batch), "word", words.columns, rows=sum(graph.token_rows),
                                valid_rows=tuple(range(start, start + length)
                                                 for start, (_, length) in zip(starts, tokens, strict=True)))
        builder.gather(table, "ids", word)
        longest = max(range(graph.batch), key=graph.lengths.__getitem__)
        last = torch.tensor(encoder.model.max_position_embeddings - 1)
        positions = encoder.constants[places.name][0][torch.arange(graph.sequence).minimum(last)]
        position = self._activation(places.name, "", [longest], "position", places.columns, rows=graph.sequence,
                                    valid_rows=(range(graph.lengths[longest]),))
        builder.load(position, positions, places.constant)
        if min(graph.token_rows) < graph.sequence:
            padding = builder.activation(
                "embeddings.padding", graph.tile, words.columns, encoder.fracs[words.name], "word",
                largest=encoder.maxima[words.name], valid_rows=())
            builder.load(padding, graph.constants[table.name][:1].expand(graph.tile, -1).contiguous())
        states, first = [], 0
        for suffix, members in self.groups:
            o = self._activation(norm.result, suffix, members, norm.kind, norm.columns)
            states.append(o)
            for place, number in enumerate(members):
                rows = graph.token_rows[number]
                row, rest = place * graph.sequence, graph.sequence - rows
                self._layernorm(norm, replace(word, row=first, rows=rows), replace(position, rows=rows),
                                replace(o, row=row, rows=rows))
                if rest:
                    again = replace(graph.whole("embeddings.padding"), batch=rest // graph.tile)
                    self._layernorm(norm, again, replace(position, row=rows, rows=rest), replace(o, row=row + rows, rows=rest))
                first += rows
        return states

    def _rows_of(self, table):
        values, frac = self.encoder.constants[table.name]
        return self.builder.constant(table.constant, values, frac, "table")

    def _layer(self, attention, inner, outer, state, suffix, members, o):
        """One layer for some sequences of the batch; `o` is the tensor of all sequences, if there is one."""
        heads, size = self.encoder.model.num_attention_heads, self.encoder.model.head_size
        by_source = {one.source: one for one in self.parts.encoder_projections}

        def project(one, a, **options):
            return self._project(one, a, members, suffix, **options)

        query, key = (project(self.parts.projection(name), state) for name in (attention.query, attention.key))
        value = project(self.parts.projection(attention.value), state, column_parts=heads)
        context = self._activation(attention.context, suffix, members, "context", value.columns, layer=inner.layer)
        for place, sequence in enumerate(members):
            for head in range(heads):
                part = {"row": place * self.graph.sequence, "column": head * size,
                        "rows": self.graph.sequence, "columns": size}
                self._head(attention, sequence, head, inner.layer,
                           [replace(view, **part) for view in (query, key, value, context)])
        state = self._norm(inner, project(by_source[attention.context], context), state, suffix, members)
        hidden = by_source[inner.result]
        output = project(by_source[hidden.result], project(hidden, state))
        return self._norm(outer, output, state, suffix, members, o)

    def _project(self, one, a, members, suffix="", column_parts=1):
        """``result = f(a W + b)``."""
        facts = {"layer": one.layer, "group": one.group, "scale": one.scale}
        weight = self._constant(one.weight, "weight", valid_rows=(range(one.rows),), valid_columns=one.columns, **facts)
        bias = self._constant(one.bias, "vector", **facts)
        shape = {} if not one.head else {
            "rows": a.rows, "valid_rows": (range(0, len(members) * self.graph.tile, self.graph.tile),)}
        c = self._activation(one.result, suffix, members, one.kind, weight.columns, valid_columns=one.columns, layer=one.layer,
                             **shape)
        self.builder.product(a, self.graph.whole(weight.name), c, bias=bias, function=one.function, column_parts=column_parts)
        return c

    def _head(self, attention, sequence, head, layer, views):
        graph, length = self.graph, self.graph.lengths[sequence]
        query, key, value, context = views
        scores, probabilities = (
            self._activation(name, f".{sequence}.{head}", [sequence], kind, graph.sequence, valid=length, layer=layer,
                             valid_columns=length, head=head)
            for name, kind in ((attention.scores, "scores"), (attention.probabilities, "probabilities")))
        self.builder.product(query, key, scores, transpose=True)
        self.builder.softmax(scores, probabilities, length)
        self.builder.product(probabilities, value, context)

    def _norm(self, norm, x, residual, suffix, members, o=None):
        """A layer-norm of some sequences, to a tensor of their own or into `o`, that of all sequences."""
        if o is None:
            o = self._activation(norm.result, suffix, members, norm.kind, norm.columns)
        else:
            o = replace(o, row=members[0] * self.graph.sequence, rows=x.rows)
        self._layernorm(norm, x, residual, o)
        return o

    def _layernorm(self, norm, x, residual, o):
        """A layer-norm of some rows."""
        gamma, beta = (self._constant(name, "vector", layer=norm.layer, group=norm.group) for name in (norm.gamma, norm.beta))
        self.builder.layernorm(x, residual, o, gamma, beta, self.encoder.model.layer_norm_eps)

    def _first_tokens(self, state):
        """The first tile row of every sequence of the last layer-norm's result, one below the other, as one tensor.

        They are normalised once more to where they can be read together: the first rows of the sequences lie too regularly
        for that, in few banks.
        """
        graph = self.graph
        if graph.batch == 1:
            return replace(state, rows=graph.tile)
        norm, count = self.parts.norm(state.tensor), graph.batch
        o = self.builder.activation(
            "pooler.input", count * graph.tile, norm.columns, self.encoder.fracs[norm.result], norm.kind,
            density=self._density(norm.result, None), largest=self.encoder.maxima[norm.result],
            site=graph.tensors[norm.result].site, valid_rows=(range(0, count * graph.tile, graph.tile),))
        norms = [op for op in graph.operations if isinstance(op, LayerNorm) and op.o.tensor == state.tensor]
        for number in range(count):
            first = next(op for op in norms if 0 <= number * graph.sequence - op.o.row < op.o.rows)
            row = number * graph.sequence - first.o.row
            views = [view for view in (first.x, first.residual) if view is not None]
            x, residual = (replace(view, row=view.row + row, rows=graph.tile) for view in views)
            self._layernorm(norm, x, residual, replace(o, row=number * graph.tile, rows=graph.tile))
        return o

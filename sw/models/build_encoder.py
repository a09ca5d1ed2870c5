"""The graph of a post-layer-norm encoder for a batch of sequences."""

from dataclasses import replace

import torch

from ..golden.fixed import quantise
from ..ir.densities import density
from ..ir.errors import CompileError
from ..ir.graph import Graph, LayerNorm, View
from ..ir.graph_builder import GraphBuilder
from .parts import Norm
from .relative_bias import bias_matrices
from .tokens import Tokens, default_places, masked_rows

__all__ = ["build_graph", "is_separate"]


def build_graph(encoder, lengths, columns, separate=None, *, tokens=None, full=False, first=0):
    """Lay a quantised encoder out for sequences of given lengths.

    Activations are matrices [batch * sequence, width], and a projection of the whole batch is one product; or, `separate`,
    every sequence has tensors of its own, ``name.number``, which find room one by one. Attention works per sequence and head on
    views of them. The sequences share one tile row of padding, and the position rows, unless their tokens have places of their
    own. What stands behind the layers takes the first tile row of each sequence, those with masked tokens, or all.

    Parameters
    ----------
    encoder : QuantisedEncoder
    lengths : valid tokens of each sequence
    columns : tokens of the longest, padding included; rounded up to whole tiles
    separate : by default where the tile rows of a sequence fill the grid, and the weights, which every sequence needs again,
        fit their buffer
    tokens : Tokens of each sequence; by default they follow each other, and all are of the first type
    full : the graph of sequences as long as `columns`, but for the lengths that softmaxes know
    first : number of the first sequence, where names of tensors have it

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
    tokens = tuple(tokens or [Tokens()] * len(lengths))
    if len(tokens) != len(lengths):
        raise CompileError(f"tokens = {len(tokens)}: give those of each of the {len(lengths)} sequences")
    if encoder.parts.head_rows == "masked" and not all(one.masked for one in tokens):
        raise CompileError("masked = (): a sequence has no token that is to be predicted; give the numbers of some in each")
    return _EncoderGraph(encoder, lengths, columns, separate, tokens, full, first).build()


def is_separate(encoder, columns):
    """Whether sequences of so many tokens have tensors of their own, where nobody says otherwise, see `build_graph`."""
    hardware = encoder.hardware
    weights = sum(encoder.constants[one.weight][0].numel() for one in encoder.parts.projections)
    return (-(-columns // hardware.tile) % hardware.cluster.grid_rows == 0
            and weights <= hardware.weight_tiles * hardware.tile**2)


class _EncoderGraph:
    def __init__(self, encoder, lengths, columns, separate, tokens, full, first):
        size = encoder.hardware.tile
        self.encoder, self.parts, self.tokens, self.first = encoder, encoder.parts, tokens, first
        self.graph = Graph(tile=size, width=encoder.hardware.width, b_width=encoder.hardware.b_width, batch=len(lengths),
                           sequence=-(-columns // size) * size, lengths=lengths, layers=encoder.parts.layers,
                           curves=encoder.curves, target=encoder.target, losses=encoder.losses,
                           weight_sparsity=encoder.weight_sparsity, full=full, fixed=self._fixed())
        self.builder = GraphBuilder(self.graph, encoder.curve_numbers)
        separate = (is_separate(encoder, columns) if separate is None else separate) and len(lengths) > 1
        self.groups = [(f".{first + n}", range(n, n + 1)) for n in range(self.graph.batch)] if separate else [
            ("", range(self.graph.batch))]

    def _fixed(self):
        """What of its sentences a graph has in its operations, see `Graph`."""
        if self.parts.head_rows == "masked":
            return "masked tokens"
        return "token types or positions" if any(one.places is not None for one in self.tokens) else None

    def build(self):
        """All of it."""
        graph, parts, everyone = self.graph, self.parts, range(self.graph.batch)
        states = self._embeddings()
        norms = parts.encoder_norms
        for attention, inner, outer in zip(parts.attentions, norms[::2], norms[1::2], strict=True):
            o = None
            if attention is parts.attentions[-1]:
                o = self._activation(outer.result, "", everyone, outer.kind, outer.columns)
            states = [self._layer(attention, inner, outer, state, suffix, members, o)
                      for state, (suffix, members) in zip(states, self.groups, strict=True)]
        self._answer()
        return graph

    def _answer(self):
        """What stands behind the layers; the results are stored as soon as they are there."""
        graph, parts = self.graph, self.parts
        hidden = graph.whole(parts.state)
        if parts.state in parts.outputs:
            self.builder.store(hidden, parts.state, (graph.batch, graph.sequence, hidden.columns))
        source, facts, shape = self._head_rows(hidden) if parts.head else (hidden, {}, ())
        for step in parts.head:
            x = source if step.source == parts.state else graph.whole(step.source)
            if isinstance(step, Norm):
                o = self._activation(step.result, "", (), step.kind, step.columns, rows=x.rows, layer=step.layer, **facts)
                self._layernorm(step, x, None, o)
            else:
                o = self._project(step, x, (), facts=facts)
            if step.result in parts.outputs:
                self.builder.store(o, step.result, (*shape, step.columns))

    def _head_rows(self, hidden):
        """The rows of the last hidden state that the head reads, the facts of tensors with these rows, and a result's shape."""
        graph, tile = self.graph, self.graph.tile
        if self.parts.head_rows == "all":
            return hidden, self._rows_of_members(range(graph.batch)), (graph.batch, graph.sequence)
        if self.parts.head_rows == "first":
            facts = {"sequences": tuple(range(graph.batch)), "valid_rows": (range(0, graph.batch * tile, tile),)}
            return self._tile_rows(hidden, [(number, 0) for number in range(graph.batch)], facts), facts, (graph.batch,)
        rows, places = masked_rows(self.tokens, tile)
        sequences, positions, chosen = zip(*places, strict=True)
        facts = {"sequences": sequences, "positions": positions,
                 "valid_rows": tuple(range(row, row + 1) for row in chosen)}
        return self._tile_rows(hidden, rows, facts), facts, (len(rows), tile)

    def _activation(self, source, suffix, members, kind, columns, *, rows=None, valid=None, **facts):
        """A tensor of some sequences of the batch, by default with all their tokens."""
        encoder = self.encoder
        if rows is None:
            rows = len(members) * self.graph.sequence
            facts |= self._rows_of_members(members)
        return self.builder.activation(
            source + suffix, rows, columns, encoder.fracs[source], kind,
            **{"density": self._density(source, valid), "largest": encoder.maxima[source], "scale": self.parts.scale(source),
               "source": source, "site": source if source in self.parts.sites else None, "sequences": tuple(members),
               "bits": self.graph.b_width if source in self.parts.b_operands else None} | facts)

    def _rows_of_members(self, members):
        """Facts of a tensor with all tokens of some sequences."""
        size, lengths = self.graph.sequence, self.graph.lengths
        return {"sequences": tuple(members), "valid_rows": tuple(range(place * size, place * size + lengths[number])
                                                                 for place, number in enumerate(members))}

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
        positions = self._positions(places)
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
                position = positions[number]
                self._layernorm(norm, replace(word, row=first, rows=rows), replace(position, rows=rows),
                                replace(o, row=row, rows=rows))
                if rest:
                    again = replace(graph.whole("embeddings.padding"), batch=rest // graph.tile)
                    self._layernorm(norm, again, replace(position, row=rows, rows=rest), replace(o, row=row + rows, rows=rest))
                first += rows
        if self.encoder.model.has_projection:
            one = next(one for one in self.parts.projections if one.source == norm.result)
            states = [self._project(one, state, members, suffix)
                      for state, (suffix, members) in zip(states, self.groups, strict=True)]
        return states

    def _positions(self, table):
        """The view of each sequence's rows of positions and token types; those whose tokens follow each other share one."""
        graph, model = self.graph, self.encoder.model
        values = self.encoder.constants[table.name][0]
        views: dict[int, View] = {}
        usual = [number for number, one in enumerate(self.tokens) if one.places is None]
        for number in [*sorted(usual, key=lambda number: -graph.lengths[number])[:1],
                       *(number for number, one in enumerate(self.tokens) if one.places is not None)]:
            places, rows = self.tokens[number].places, default_places(model, graph.sequence)
            if places is not None:
                rows[: len(places)] = torch.tensor(places)
            suffix = "" if places is None else f".{self.first + number}"
            view = self._activation(table.name, suffix, [number], "position", table.columns, rows=graph.sequence,
                                    valid_rows=(range(graph.lengths[number]),))
            self.builder.load(view, values[rows], table.constant)
            views |= dict.fromkeys(usual if places is None else [number], view)
        return views

    def _rows_of(self, table):
        values, frac = self.encoder.constants[table.name]
        return self.builder.constant(table.constant, values, frac, "table")

    def _layer(self, attention, inner, outer, state, suffix, members, o):
        """One layer for some sequences of the batch; `o` is the tensor of all sequences, if there is one."""
        heads, size = self.encoder.model.num_attention_heads, self.encoder.model.head_size
        by_source = {one.source: one for one in self.parts.encoder_projections}

        def project(one, a, **options):
            return self._project(one, a, members, suffix, **options)

        if attention.biased:
            queries, keys = self._biased(attention, state, suffix, members)
        else:
            whole = [project(self.parts.projection(name), state) for name in (attention.query, attention.key)]
            queries, keys = ([replace(view, column=head * size, columns=size) for head in range(heads)] for view in whole)
        value = project(self.parts.projection(attention.value), state, column_parts=heads)
        context = self._activation(attention.context, suffix, members, "context", value.columns, layer=inner.layer)
        for place, sequence in enumerate(members):
            for head in range(heads):
                rows = {"row": place * self.graph.sequence, "rows": self.graph.sequence}
                columns = {"column": head * size, "columns": size}
                self._head(attention, sequence, head, inner.layer, [
                    replace(queries[head], **rows), replace(keys[head], **rows), replace(value, **rows, **columns),
                    replace(context, **rows, **columns)])
        state = self._norm(inner, project(by_source[attention.context], context), state, suffix, members)
        hidden = by_source[inner.result]
        output = project(by_source[hidden.result], project(hidden, state))
        return self._norm(outer, output, state, suffix, members, o)

    def _biased(self, attention, state, suffix, members):
        """Views of each head's queries with the bias beside them, and of its keys with the identity, see `relative_bias`."""
        encoder, size, width = self.encoder, self.graph.sequence, self.encoder.model.head_size
        bias = bias_matrices(encoder.score_bias, size)
        beside = [(attention.queries, bias), (attention.keys, torch.eye(size).expand(attention.heads, -1, -1))]
        views = []
        for names, matrices in beside:
            for name, matrix in zip(names, matrices, strict=True):
                one = self.parts.projection(name)
                density = (width * self._density(name, None) + float((matrix != 0).sum()) / size) / (width + size)
                whole = self._activation(name, suffix, members, one.kind, width + size, valid_columns=width, layer=one.layer,
                                         density=density)
                integers = quantise(matrix, encoder.fracs[name], encoder.bits(name))
                self.builder.load(replace(whole, column=width, columns=size), integers.repeat(len(members), 1))
                views.append(whole)
        for view, name in zip(views, [*attention.queries, *attention.keys], strict=True):
            self._product(self.parts.projection(name), state, replace(view, columns=width))
        return views[: attention.heads], views[attention.heads:]

    def _project(self, one, a, members, suffix="", column_parts=1, facts=None):
        """``result = f(a W + b)``; `facts` are those of a result in the head."""
        shape = {"rows": a.rows} | facts if facts else {}
        c = self._activation(one.result, suffix, members, one.kind, -(-one.columns // self.graph.tile) * self.graph.tile,
                             valid_columns=one.columns, layer=one.layer, **shape)
        self._product(one, a, c, column_parts)
        return c

    def _product(self, one, a, c, column_parts=1):
        """A projection of a to c."""
        known = {"layer": one.layer, "group": one.group, "scale": one.scale}
        weight = self._constant(one.weight, "weight", valid_rows=(range(one.rows),), valid_columns=one.columns, **known)
        bias = self._constant(one.bias, "vector", scales=self.encoder.scales.get(one.weight), **known)
        self.builder.product(a, self.graph.whole(weight.name), c, bias=bias, function=one.function, column_parts=column_parts)

    def _head(self, attention, sequence, head, layer, views):
        graph, length = self.graph, self.graph.lengths[sequence]
        query, key, value, context = views
        scores, probabilities = (
            self._activation(name, f".{self.first + sequence}.{head}", [sequence], kind, graph.sequence, valid=length,
                             layer=layer, valid_columns=length, head=head)
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

    def _tile_rows(self, state, rows, facts):
        """Tile rows of the last layer-norm's result, (sequence, first row there) each, one below the other, as one tensor.

        They are normalised once more to where they can be read together: rows that lie regularly in the sequences lie too
        regularly for that, in few banks.
        """
        graph = self.graph
        starts = [number * graph.sequence + row for number, row in rows]
        if len(rows) == 1:
            return replace(state, row=starts[0], rows=graph.tile)
        norm = self.parts.norm(state.tensor)
        o = self.builder.activation(
            "pooler.input" if self.parts.head_rows == "first" else "head.input", len(rows) * graph.tile, norm.columns,
            self.encoder.fracs[norm.result], norm.kind, density=self._density(norm.result, None),
            largest=self.encoder.maxima[norm.result], site=graph.tensors[norm.result].site, valid_rows=facts["valid_rows"])
        norms = [op for op in graph.operations if isinstance(op, LayerNorm) and op.o.tensor == state.tensor]
        for place, start in enumerate(starts):
            first = next(op for op in norms if 0 <= start - op.o.row < op.o.rows)
            below = start - first.o.row
            x, residual = (view and replace(view, row=view.row + below, rows=graph.tile)
                           for view in (first.x, first.residual))
            self._layernorm(norm, x, residual, replace(o, row=place * graph.tile, rows=graph.tile))
        return o

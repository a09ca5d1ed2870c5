"""The parts of a post-layer-norm encoder: what its layers compute, in which order, under which names."""

from ..golden.softmax import logit_factor
from .parts import Attention, Norm, Parts, Projection, Table
from .tasks import Dense

__all__ = ["encoder_parts"]


def encoder_parts(config, layers, head):
    """Parts of the first `layers` of an encoder, and of the Head behind them.

    Parameters
    ----------
    config : EncoderConfig
    layers : how many run
    head : Head, or None if the last hidden state is the result
    """
    return _Building(config, layers).build(head)


class _Building:
    def __init__(self, config, layers):
        self.config, self.layers = config, layers
        self.projections, self.norms, self.attentions, self.sites, self.head = [], [], [], {}, []
        self.functions = [(config.hidden_act, "the feed-forward network")]

    def build(self, head):
        """All of it."""
        config = self.config
        width = config.embedding_width
        tables = (Table(name="embeddings.word", rows=config.vocab_size, columns=width),
                  Table(name="embeddings.position_type", columns=width,
                        rows=max(1, config.type_vocab_size) * config.position_rows))
        state = self._embeddings(width)
        for layer in range(self.layers):
            state = self._layer(layer, state)
        outputs = self._head(head, state) if head and head.steps else (state,)
        return Parts(layers=self.layers, tables=tables, projections=tuple(self.projections), norms=tuple(self.norms),
                     attentions=tuple(self.attentions), sites=self.sites, functions=tuple(dict.fromkeys(self.functions)),
                     state=state, outputs=outputs, head=tuple(self.head),
                     head_rows=head.task.rows if head and head.steps else None)

    def _embeddings(self, width):
        self.norms.append(Norm(result="embeddings.output", kind="input", weights="embeddings.LayerNorm", columns=width,
                               layer="embeddings", group="embeddings"))
        self.sites["embeddings.output"] = "input"
        if not self.config.has_projection:
            return "embeddings.output"
        self.projections.append(Projection(
            result="embeddings.projected", source="embeddings.output", kind="input", weights="embeddings_project", rows=width,
            columns=self.config.hidden_size, layer="embeddings", group="embeddings"))
        self.sites["embeddings.projected"] = "input"
        return "embeddings.projected"

    def _layer(self, layer, state):
        config = self.config
        hidden = config.hidden_size
        names = {name: f"layer{layer}.{name}" for name in (
            "query", "key", "value", "scores", "probabilities", "context", "attention", "attention_norm", "hidden",
            "output", "output_norm")}
        prefix, number = f"encoder.layer.{config.group(layer)}", str(layer)
        half, other = f"{layer}.attention", f"{layer}.ffn"

        def project(name, source, weights, group, rows=hidden, columns=hidden, suffix="", **more):
            self.projections.append(Projection(
                result=names[name] + suffix, source=source, kind=name, weights=f"{prefix}.{weights}", rows=rows,
                columns=columns, layer=number, group=group, **more))

        attention = Attention(
            **{name: names[name] for name in ("query", "key", "value", "scores", "probabilities", "context")},
            biased=config.relative_buckets > 0, heads=config.num_attention_heads)
        pieces = [("", {})] if not attention.biased else [
            (f".{head}", {"first": head * config.head_size, "columns": config.head_size}) for head in range(attention.heads)]
        for name, scale in (("query", logit_factor(config.head_size)), ("key", 1.0)):
            for suffix, piece in pieces:
                project(name, state, f"attention.self.{name}", half, scale=scale, suffix=suffix, **piece)
        project("value", state, "attention.self.value", half)
        project("attention", names["context"], "attention.output.dense", half)
        project("hidden", names["attention_norm"], "intermediate.dense", other, columns=config.intermediate_size,
                function=config.hidden_act)
        project("output", names["hidden"], "output.dense", other, rows=config.intermediate_size)
        self.norms += [
            Norm(result=names["attention_norm"], kind="ffn_input", weights=f"{prefix}.attention.output.LayerNorm",
                 columns=hidden, layer=number, group=half),
            Norm(result=names["output_norm"], kind="input", weights=f"{prefix}.output.LayerNorm", columns=hidden,
                 layer=number, group=other)]
        self.attentions.append(attention)
        self.sites |= dict.fromkeys(attention.queries, "query") | dict.fromkeys(attention.keys, "key")
        self.sites |= {names[name]: name for name in ("value", "probabilities", "context")}
        self.sites |= {names["attention_norm"]: "ffn_input", names["hidden"]: "hidden"}
        if layer < self.layers - 1:
            self.sites[names["output_norm"]] = "input"
        return names["output_norm"]

    def _head(self, head, state):
        """What a Head adds; the names of its results."""
        self.sites[state] = "input"
        source, rows = state, self.config.hidden_size
        outputs: tuple[str, ...] = ()
        for step in head.steps:
            if isinstance(step, Dense):
                pieces = [Projection(
                    result=result, source=source, kind=step.kind, weights=step.weights, rows=rows, columns=columns, first=first,
                    function=step.function, bound=step.bound, layer=head.title, group=result if step.parts else head.title,
                    head=True) for result, first, columns in step.pieces()]
                self.projections += pieces
                self.head += pieces
                if step.function != "none":
                    self.functions.append((step.function, f"the {head.title}"))
                source, rows, outputs = step.result, step.columns, tuple(piece.result for piece in pieces)
            else:
                self.norms.append(Norm(result=step.result, kind="head", weights=step.weights, columns=rows, layer=head.title,
                                       group=head.title, source=source, head=True))
                self.head.append(self.norms[-1])
                source = step.result
        return (state, *outputs) if head.task.name == "hidden-states" else outputs

"""What an encoder is made of, as plain facts: all that quantisation, pruning and statistics need to know of a family."""

from dataclasses import dataclass
from functools import cached_property

__all__ = ["Attention", "Norm", "Parts", "Projection", "Table"]


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of an embedding.

    Parameters
    ----------
    name : of the activation that its rows become, and of the constant
    rows, columns : its shape
    """

    name: str
    rows: int
    columns: int

    @property
    def constant(self):
        """The constant's name where that of the activation would be ambiguous."""
        return f"{self.name}.table"


@dataclass(frozen=True, kw_only=True)
class Projection:
    """A product with weights, ``result = function(source W + b)``.

    Parameters
    ----------
    result, source : activations of the float model
    kind : of the result, see `Tensor`
    weights : the checkpoint's name of the linear layer, to which ``.weight`` [out, in] and ``.bias`` belong
    rows, columns : in and out, without padding
    first : of the linear layer's outputs, the first that it has
    layer, group : see `Tensor`
    function : what is applied
    scale : by what its weights and result are multiplied in the integer model
    bound : largest magnitude that its function gives, where the binary point of the result follows from it
    head : it stands behind the encoder's layers: its weights are not pruned, and it reads the tokens of `Parts.head_rows`
    """

    result: str
    source: str
    kind: str
    weights: str
    rows: int
    columns: int
    first: int = 0
    layer: str
    group: str
    function: str = "none"
    scale: float = 1.0
    bound: float | None = None
    head: bool = False

    @property
    def weight(self):
        """Name of the integer weights [in, out]."""
        return f"{self.result}.weight"

    @property
    def bias(self):
        """Name of the integer bias."""
        return f"{self.result}.bias"


@dataclass(frozen=True, kw_only=True)
class Norm:
    """A layer-norm.

    Parameters
    ----------
    result : activation of the float model
    kind : of the result, see `Tensor`
    weights : the checkpoint's name, to which ``.weight`` and ``.bias`` belong
    columns : its width
    layer, group : see `Tensor`
    source : of one in a head, the activation that it reads, without a residual
    head : it stands behind the encoder's layers
    """

    result: str
    kind: str
    weights: str
    columns: int
    layer: str
    group: str
    source: str = ""
    head: bool = False

    @property
    def gamma(self):
        """Name of the integer factors."""
        return f"{self.result}.gamma"

    @property
    def beta(self):
        """Name of the integer summands."""
        return f"{self.result}.beta"


@dataclass(frozen=True, kw_only=True)
class Attention:
    """The names of the activations of one layer's attention, in the float model.

    With a bias on the scores, every head has queries and keys of its own, ``query.number`` and ``key.number``.
    """

    query: str
    key: str
    value: str
    scores: str
    probabilities: str
    context: str
    biased: bool = False
    heads: int

    @property
    def queries(self):
        """Names of the activations that hold the queries."""
        return self._by_head(self.query)

    @property
    def keys(self):
        """The same of the keys."""
        return self._by_head(self.key)

    def _by_head(self, name):
        return [f"{name}.{head}" for head in range(self.heads)] if self.biased else [name]


@dataclass(frozen=True, kw_only=True)
class Parts:
    """A model, or its first layers.

    Parameters
    ----------
    layers : encoder layers that run
    tables, projections, norms, attentions : in order of computation
    sites : kind of every activation that DynaTran prunes, by name: those in front of a product
    functions : (activation function, what needs it)
    state : activation that is the last hidden state
    outputs : activations that are the results, in order; the last is the answer
    head : what stands behind the layers, in order of computation
    head_rows : tokens that what stands behind the layers reads: "first" of each sentence, "all", "masked"; None: nothing does
    """

    layers: int
    tables: tuple[Table, ...]
    projections: tuple[Projection, ...]
    norms: tuple[Norm, ...]
    attentions: tuple[Attention, ...]
    sites: dict[str, str]
    functions: tuple[tuple[str, str], ...]
    state: str
    outputs: tuple[str, ...]
    head: tuple[Projection | Norm, ...] = ()
    head_rows: str | None = None

    @cached_property
    def _scales(self):
        scales = {projection.result: projection.scale for projection in self.projections}
        return scales | {attention.scores: scales[attention.queries[0]] * scales[attention.keys[0]]
                         for attention in self.attentions}

    def scale(self, name):
        """By what the values of an activation are larger in the integer model than in the float one."""
        return self._scales.get(name, 1.0)

    @cached_property
    def b_operands(self):
        """Names of the activations that are operand B of a product: keys and values."""
        return frozenset(name for attention in self.attentions for name in (*attention.keys, attention.value))

    @property
    def encoder_projections(self):
        """The projections of the layers, without what stands behind them."""
        return [projection for projection in self.projections if not projection.head]

    @property
    def encoder_norms(self):
        """The layer-norms of the layers, without those of the embeddings and behind the layers."""
        return [norm for norm in self.norms[1:] if not norm.head]

    def projection(self, result):
        """The projection that computes an activation."""
        return next(projection for projection in self.projections if projection.result == result)

    def norm(self, result):
        """The layer-norm that computes an activation."""
        return next(norm for norm in self.norms if norm.result == result)

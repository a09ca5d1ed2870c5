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
    layer, group : see `Tensor`
    function : what is applied
    scale : by what its weights and result are multiplied in the integer model
    bound : largest magnitude that its function gives, where the binary point of the result follows from it
    head : it stands behind the encoder's layers: its weights are not pruned, and it reads the first token of a sentence
    """

    result: str
    source: str
    kind: str
    weights: str
    rows: int
    columns: int
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
    """

    result: str
    kind: str
    weights: str
    columns: int
    layer: str
    group: str

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
    """The names of the activations of one layer's attention, in the float model."""

    query: str
    key: str
    value: str
    scores: str
    probabilities: str
    context: str


@dataclass(frozen=True, kw_only=True)
class Parts:
    """A model, or its first layers.

    Parameters
    ----------
    layers : encoder layers that run
    tables, projections, norms, attentions : in order of computation
    sites : kind of every activation that DynaTran prunes, by name: those in front of a product
    functions : (activation function, what needs it)
    output : activation that is the result
    """

    layers: int
    tables: tuple[Table, ...]
    projections: tuple[Projection, ...]
    norms: tuple[Norm, ...]
    attentions: tuple[Attention, ...]
    sites: dict[str, str]
    functions: tuple[tuple[str, str], ...]
    output: str

    @cached_property
    def _scales(self):
        scales = {projection.result: projection.scale for projection in self.projections}
        return scales | {attention.scores: scales[attention.query] * scales[attention.key] for attention in self.attentions}

    def scale(self, name):
        """By what the values of an activation are larger in the integer model than in the float one."""
        return self._scales.get(name, 1.0)

    @property
    def encoder_projections(self):
        """The projections of the layers, without what stands behind them."""
        return [projection for projection in self.projections if not projection.head]

    def projection(self, result):
        """The projection that computes an activation."""
        return next(projection for projection in self.projections if projection.result == result)

    def norm(self, result):
        """The layer-norm that computes an activation."""
        return next(norm for norm in self.norms if norm.result == result)

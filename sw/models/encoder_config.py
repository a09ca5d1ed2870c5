"""The configuration of an encoder, whatever its family calls the fields."""

from dataclasses import dataclass

from ...hw.spec.activations import ACTIVATIONS
from .errors import ModelError

__all__ = ["FUNCTIONS", "EncoderConfig"]

FUNCTIONS = tuple(entry.name for entry in ACTIVATIONS)
"""Names of the activation functions that are built."""


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """What shapes the computation of a post-layer-norm encoder.

    Parameters
    ----------
    model_type : as config.json has it, see `registry`
    hidden_size, num_hidden_layers, num_attention_heads, intermediate_size : of the layers
    embedding_size : width of the embeddings, that of the layers by default
    has_projection : a projection from one to the other follows them
    vocab_size, position_rows, type_vocab_size : rows of the tables of words, positions and token types; without token types 0
    first_position : row of the table of positions that the first token takes
    padding_position : row that every padding token takes, even one written in a text; None where it takes its place's
    layer_groups : group whose weights each layer has; () where each has its own
    relative_buckets : distances that the attention's relative bias tells apart; 0 without
    hidden_act : activation function of the feed-forward network, by its name in `hw.spec.activations`
    layer_norm_eps : epsilon of every layer-norm
    num_labels, id2label : classes of a classifier, and their names by number
    tied_words : a head that predicts tokens has the weights of the table of words
    problem_type : single_label_classification, multi_label_classification, regression, or None where nothing is said

    Raises
    ------
    ModelError
        If the activation is not one of `hw.spec.activations` or `hidden_size` is no multiple of `num_attention_heads`.
    """

    model_type: str = "bert"
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    embedding_size: int | None = None
    has_projection: bool = False
    vocab_size: int
    position_rows: int
    type_vocab_size: int
    first_position: int = 0
    padding_position: int | None = None
    layer_groups: tuple[int, ...] = ()
    relative_buckets: int = 0
    hidden_act: str
    layer_norm_eps: float
    num_labels: int
    id2label: dict[int, str]
    tied_words: bool = True
    problem_type: str | None = None

    def __post_init__(self):
        if self.hidden_act not in FUNCTIONS:
            raise ModelError(f"config.json: hidden_act is {self.hidden_act!r}, known are {', '.join(FUNCTIONS)}: "
                             "use a model trained with one of these")
        if self.hidden_size % self.num_attention_heads:
            raise ModelError(f"config.json: hidden_size {self.hidden_size} is no multiple of num_attention_heads "
                             f"{self.num_attention_heads}: use a model whose heads divide its width")
        if self.position_rows <= self.first_position:
            raise ModelError(f"config.json: max_position_embeddings {self.position_rows} leaves no position behind the first, "
                             f"{self.first_position}: correct it")

    @property
    def head_size(self):
        """Width of one attention head."""
        return self.hidden_size // self.num_attention_heads

    @property
    def embedding_width(self):
        """Width of the embeddings."""
        return self.embedding_size or self.hidden_size

    @property
    def max_position_embeddings(self):
        """Tokens of the longest sentence."""
        return self.position_rows - self.first_position

    def group(self, layer):
        """Number of the layer whose weights a layer has."""
        return self.layer_groups[layer] if self.layer_groups else layer

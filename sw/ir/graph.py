"""The graph of integer operations: the one truth that the golden model executes and the emitter lowers."""

from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from ..golden.fixed import saturate
from ..golden.losses import Losses
from ..golden.threshold import threshold

__all__ = ["ConstantLosses", "Tensor", "View", "Gather", "Load", "MatMul", "Softmax", "LayerNorm", "Store", "Graph", "target",
           "unpad"]


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """A matrix of integers, and what is known of it. Its name is a name only: whoever needs a fact reads it here.

    Parameters
    ----------
    name : unique in the graph
    rows, columns : elements, padded to whole tiles (a table's or a vector's rows are not padded)
    frac : binary point
    kind : what it is, for sparsity statistics: word, position, input, query, key, value, scores, probabilities,
        context, attention, ffn_input, hidden, output, pooler, logits; weight, vector, table
    home : activation, weight, vector or table: where the hardware keeps it
    density : share of its values that are expected not to be zero, for the planner
    largest : largest magnitude expected of an activation, in its own units
    scale : by what its values are larger than in the float model
    source : the float model's tensor of which it is a part; None of constants, and of copies that only the hardware needs
    site : the name by which DynaTran prunes it; None where nothing is pruned
    group : constants of one group that follow each other are loaded together
    layer : the part of the model that it belongs to, for statistics: the number of an encoder layer, or pooler
    sequences : numbers of the sequences to which its valid rows belong, in order
    positions : where each valid row is one token of a sequence of `sequences`, its number there; None: all tokens, or the first
    head : number of the attention head, of a tensor of one
    valid_rows : ranges of the rows that are no padding; None: all of them
    valid_columns : how many of the columns, from the first, are no padding; None: all of them
    scales : of a bias, the constant with the fraction bits that each column of its weights has beyond theirs; None: none
    bits : of an activation that is read as operand B, those to which its values then saturate; None: all of its word
    """

    name: str
    rows: int
    columns: int
    frac: int
    kind: str
    home: str = "activation"
    density: float = 1.0
    largest: float = 0.0
    scale: float = 1.0
    source: str | None = None
    site: str | None = None
    group: str = ""
    layer: str = ""
    sequences: tuple[int, ...] = ()
    positions: tuple[int, ...] | None = None
    head: int | None = None
    valid_rows: tuple[range, ...] | None = None
    valid_columns: int | None = None
    scales: str | None = None
    bits: int | None = None

    @property
    def units(self):
        """The integer that stands for 1.0 in the float model."""
        return self.scale * 2.0**self.frac

    def row_mask(self):
        """Which rows are no padding, bool [rows]."""
        if self.valid_rows is None:
            return torch.ones(self.rows, dtype=torch.bool)
        mask = torch.zeros(self.rows, dtype=torch.bool)
        for rows in self.valid_rows:
            mask[rows.start: rows.stop: rows.step] = True
        return mask

    def column_mask(self):
        """Which columns are no padding, bool [columns]."""
        return torch.arange(self.columns) < (self.columns if self.valid_columns is None else self.valid_columns)

    def as_read(self, integers):
        """The values that products take of its integers."""
        return integers if self.bits is None else saturate(integers, self.bits)

    def valid(self, matrix):
        """The elements that are no padding, of a matrix that holds its integers or flags."""
        return matrix[self.row_mask()][:, : self.valid_columns]


@dataclass(frozen=True, kw_only=True)
class View:
    """A rectangle of a tensor, in elements (whole tiles); with `batch` > 1, that many of them, `step` rows apart."""

    tensor: str
    row: int
    column: int
    rows: int
    columns: int
    batch: int = 1
    step: int = 0

    def read(self, matrix):
        """The elements of `matrix` in the view, batches one below the other."""
        return torch.cat([matrix[row: row + self.rows, self.column: self.column + self.columns]
                          for row in self.first_rows()])

    def write(self, matrix, values):
        """Put what `read` would give into `matrix`."""
        for row, part in zip(self.first_rows(), values.split(self.rows), strict=True):
            matrix[row: row + self.rows, self.column: self.column + self.columns] = part

    def first_rows(self):
        """The first row of each batch element."""
        return [self.row + index * self.step for index in range(self.batch)]

    def rows_of(self, mask):
        """The part in the view of a mask over the tensor's rows, batches one below the other."""
        return torch.cat([mask[row: row + self.rows] for row in self.first_rows()])


@dataclass(frozen=True, kw_only=True)
class Gather:
    """Rows of a table, one for each token: `indices` is ``ids``."""

    table: str
    indices: str
    o: View


@dataclass(frozen=True, kw_only=True)
class Load:
    """An activation tensor, or a part of one, that lies in main memory: rows from `first` on of one of the graph's constants,
    called `values`.

    `constant` is the model's constant from which its rows were taken, by its name among the losses, if there is one.
    """

    o: View
    values: str
    constant: str | None = None
    first: int = 0


@dataclass(frozen=True, kw_only=True)
class MatMul:
    """``c = f(a b + bias)``, with the fields of the MATMUL instruction.

    The columns of c may be made in `column_parts` parts, which those who read only some of them need not wait for.
    """

    a: View
    b: View
    c: View
    transpose: bool = False
    bias: str | None = None
    bias_shift: int = 0
    shift: int
    function: str = "none"
    function_shift: int = 0
    curve: int = 0
    column_parts: int = 1


@dataclass(frozen=True, kw_only=True)
class Softmax:
    """Row softmax, with the fields of the SOFTMAX instruction."""

    x: View
    o: View
    valid_columns: int
    x_shift: int
    o_frac: int
    curve: int = 0


@dataclass(frozen=True, kw_only=True)
class LayerNorm:
    """Layer-norm of x plus a residual, with the fields of the LAYERNORM instruction."""

    x: View
    residual: View | None
    o: View
    gamma: str
    beta: str
    x_shift: int
    r_shift: int
    reciprocal: int
    reciprocal_shift: int
    epsilon: int
    beta_shift: int
    shift: int
    curve: int = 0


@dataclass(frozen=True, kw_only=True)
class Store:
    """A result to main memory, under a name.

    Its `shape` without padding is [batch, columns] for the first token of each sequence, [batch, sequence, columns] for all, or
    [n, tile, columns] for n tile rows.
    """

    x: View
    output: str
    shape: tuple[int, ...]


class ConstantLosses(NamedTuple):
    """What became of one of the model's constants: its kind is table, weight or vector."""

    kind: str
    losses: Losses


@dataclass(kw_only=True)
class Graph:
    """Operations in an order that respects their dependencies.

    Parameters
    ----------
    tile, width : of the configuration
    b_width : bits of the values of operand B; those of an activation saturate where they are read as that. By default `width`
    batch, sequence, lengths : sequences, rows of each (whole tiles), and their valid tokens
    tensors : by name
    constants : integers of the tensors at home in weight, vector and table
    operations : in order
    layers : encoder layers of the model that run
    losses, weight_sparsity : what became of the model's constants, see `QuantisedEncoder`
    curves, target : threshold curves and the wanted sparsity in 1/256, as the hardware's registers hold them
    full : tile rows without valid tokens are gathered too, as token 0: the operations are those of the longest sentences
    fixed : what of the sentences is in the operations besides their lengths, in words; None: nothing
    """

    tile: int
    width: int
    b_width: int = 0
    batch: int
    sequence: int
    lengths: tuple[int, ...]
    tensors: dict[str, Tensor] = field(default_factory=dict)
    constants: dict[str, torch.Tensor] = field(default_factory=dict)
    operations: list = field(default_factory=list)
    layers: int = 0
    losses: dict[str, ConstantLosses] = field(default_factory=dict)
    weight_sparsity: float = 0.0
    curves: list[tuple[int, ...]] = field(default_factory=list)
    target: int = 0
    full: bool = False
    fixed: str | None = None

    def __post_init__(self):
        self.b_width = self.b_width or self.width

    def add(self, tensor, values=None):
        """Register a tensor, with its integers where it is a constant."""
        if tensor.name in self.tensors:
            raise ValueError(f"{tensor.name} is there twice")
        self.tensors[tensor.name] = tensor
        if values is not None:
            self.constants[tensor.name] = values
        return tensor

    def scales_of(self, vector):
        """The scales of a vector's columns, int64 [columns]; zeros where it has none."""
        if vector.scales is None:
            return torch.zeros(vector.columns, dtype=torch.int64)
        return self.constants[vector.scales]

    def whole(self, name):
        """The view that is all of a tensor."""
        tensor = self.tensors[name]
        return View(tensor=name, row=0, column=0, rows=tensor.rows, columns=tensor.columns)

    def indices(self, ids):
        """Table rows that the gathers fetch, int64 [rows of `token_rows`], by the name of the index array, such as ``ids``.

        These are the tokens in the tile rows that are gathered, token 0 behind the valid ones. Without gathers there are none,
        and `ids` is ignored.

        Raises
        ------
        ValueError : for ids [batch, columns] of another batch, more columns, or outside the table
        """
        gathers = [operation for operation in self.operations if isinstance(operation, Gather)]
        if not gathers:
            return {}
        ids = torch.as_tensor(ids, dtype=torch.int64)
        if ids.ndim != 2 or len(ids) != self.batch or ids.shape[1] > self.sequence:
            raise ValueError(f"ids {list(ids.shape)}: the graph takes [{self.batch}, up to {self.sequence}]")
        words = min(self.tensors[operation.table].rows for operation in gathers)
        if ids.min() < 0 or ids.max() >= words:
            raise ValueError(f"token {int(ids.max())} is outside the word table of {words} rows")
        padded = torch.zeros(self.batch, self.sequence, dtype=torch.int64)
        padded[:, : ids.shape[1]] = ids
        padded[torch.arange(self.sequence) >= torch.tensor(self.lengths)[:, None]] = 0
        tokens = torch.cat([row[:count] for row, count in zip(padded, self.token_rows, strict=True)])
        return {operation.indices: tokens for operation in gathers}

    @property
    def token_rows(self):
        """Rows of each sequence that are gathered: the whole tiles that hold its valid tokens, or all."""
        return [self.sequence] * self.batch if self.full else [-(-length // self.tile) * self.tile for length in self.lengths]

    def tau(self, curve):
        """The integer threshold of a curve number (0: nothing is pruned), as the threshold calculator gives it."""
        return int(threshold(torch.tensor(self.curves[curve - 1]), self.target)) if curve else 0


def target(operation):
    """The view that an operation writes; None of a STORE."""
    if isinstance(operation, MatMul):
        return operation.c
    return None if isinstance(operation, Store) else operation.o


def unpad(integers, frac, shape):
    """Integers of whole tiles to floats of a `Store`'s shape; of a result per sequence, the first row counts."""
    floats = integers.double() * 2.0**-frac
    floats = floats.view(shape[0], -1, integers.shape[1])[:, :, : shape[-1]]
    return floats if len(shape) == 3 else floats[:, 0]

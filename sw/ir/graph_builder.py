"""Builds graphs: tensors with what is known of them, and operations whose shifts follow from the binary points."""

from ...hw.spec.exponential import ARGUMENT_FRAC
from ..golden.layernorm import layernorm_fields
from .errors import CompileError
from .formats import product_fields
from .graph import Gather, LayerNorm, Load, MatMul, Softmax, Store, Tensor

__all__ = ["GraphBuilder"]


class GraphBuilder:
    """Adds to a graph, whatever the model.

    Parameters
    ----------
    graph : Graph
    curve_numbers : threshold curve of every site that DynaTran prunes, by name; 0 where nothing is pruned
    """

    def __init__(self, graph, curve_numbers=None):
        self.graph, self._curve_numbers = graph, curve_numbers or {}

    def activation(self, name, rows, columns, frac, kind, **facts):
        """An activation tensor, and the view of all of it; `facts` are further fields of `Tensor`."""
        self.graph.add(Tensor(name=name, rows=rows, columns=columns, frac=frac, kind=kind, **facts))
        return self.graph.whole(name)

    def constant(self, name, values, frac, home, *, scales=None, **facts):
        """A weight matrix, a table or a vector, which is a matrix of one row; the one that is there, if it is.

        `scales` of a bias are how many fraction bits more each column of its weights has than the weights' binary point says.
        """
        if name not in self.graph.tensors:
            if scales is not None:
                facts["scales"] = f"{name}.scales"
                self.graph.constants[facts["scales"]] = scales
            rows, columns = values.shape if values.ndim == 2 else (1, len(values))
            self.graph.add(Tensor(name=name, rows=rows, columns=columns, frac=frac, kind=home, home=home, **facts), values)
        return self.graph.tensors[name]

    def gather(self, table, indices, o):
        """Rows of a table to a view."""
        self.graph.operations.append(Gather(table=table.name, indices=indices, o=o))

    def load(self, o, values, constant=None):
        """Integers from main memory to a view, see `Load`."""
        name = o.tensor if o == self.graph.whole(o.tensor) else f"{o.tensor}[{o.row}, {o.column}]"
        self.graph.constants[name] = values
        self.graph.operations.append(Load(o=o, values=name, constant=constant))

    def product(self, a, b, c, *, bias=None, transpose=False, function="none", column_parts=1):
        """``c = function(a b + bias)``, on views and the Tensor of the bias."""
        frac = self._tensor(a).frac + self._tensor(b).frac
        self.graph.operations.append(MatMul(
            a=a, b=b, c=c, transpose=transpose, bias=bias and bias.name, function=function, curve=self._curve(c),
            column_parts=column_parts,
            **product_fields(self._name(c), product_frac=frac, bias_frac=bias and bias.frac, o_frac=self._tensor(c).frac,
                             function=function, width=self.graph.width)))

    def softmax(self, x, o, valid_columns):
        """Probabilities of the rows of x."""
        self.graph.operations.append(Softmax(
            x=x, o=o, valid_columns=valid_columns, x_shift=ARGUMENT_FRAC - self._tensor(x).frac,
            o_frac=self._tensor(o).frac, curve=self._curve(o)))

    def layernorm(self, x, residual, o, gamma, beta, epsilon):
        """The layer-norm of x plus a residual, if there is one, with the Tensors gamma and beta.

        Raises
        ------
        CompileError : for fields out of range
        """
        inputs, other = self._tensor(x), residual and self._tensor(residual)
        try:
            fields = layernorm_fields(
                n=x.columns, x_frac=inputs.frac, x_max=inputs.largest,
                r_frac=other and other.frac, r_max=other and other.largest,
                gamma_frac=gamma.frac, beta_frac=beta.frac, o_frac=self._tensor(o).frac, eps=epsilon, width=self.graph.width)
        except ValueError as error:
            raise CompileError(f"{self._name(o)}: {error}") from None
        self.graph.operations.append(LayerNorm(x=x, residual=residual, o=o, gamma=gamma.name, beta=beta.name,
                                               curve=self._curve(o), **fields))

    def store(self, x, output, shape):
        """A result to main memory, see `Store`."""
        self.graph.operations.append(Store(x=x, output=output, shape=shape))

    def _tensor(self, view):
        return self.graph.tensors[view.tensor]

    def _name(self, view):
        """For messages: the model's name rather than that of one sequence's part."""
        return self._tensor(view).source or view.tensor

    def _curve(self, view):
        return self._curve_numbers.get(self._tensor(view).site, 0)

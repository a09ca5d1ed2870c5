"""Operands as wide as Verilog's rules make them, so that a linter has nothing to say about widths."""

from pyosys import libyosys as ys

__all__ = ["make_widths_explicit"]

_ARITHMETIC = {"$add", "$sub", "$and", "$or", "$xor", "$xnor"}
_COMPARISONS = {"$lt", "$le", "$gt", "$ge", "$eq", "$ne"}
_UNARY = {"$not", "$neg"}
_LEFT_SHIFTS = {"$shl", "$sshl"}
_RIGHT_SHIFTS = {"$shr", "$sshr", "$shift"}
_LOGICAL = {"$logic_not", "$logic_and", "$logic_or"}


def make_widths_explicit(design):
    """Extend the operands of each cell of a Yosys design to the width in which it computes; nothing that it computes changes.

    Products keep their operands: a multiplier of the result's width would be twice as large.
    """
    for module in list(design.modules_.values()):
        for cell in list(module.cells_.values()):
            _explicit(module, cell)


def _explicit(module, cell):
    kind = cell.type.str()
    if kind in _ARITHMETIC:
        _resize(cell, "AB", cell.getPort("\\Y").size())
    elif kind in _COMPARISONS:
        _resize(cell, "AB", max(cell.getPort(f"\\{port}").size() for port in "AB"))
    elif kind in _UNARY or kind in _LEFT_SHIFTS:
        _resize(cell, "A", cell.getPort("\\Y").size())
    elif kind in _RIGHT_SHIFTS:
        _whole_result(module, cell)
    elif kind in _LOGICAL:
        for port in "AB"[: 1 + cell.hasPort("\\B")]:
            if cell.getPort(f"\\{port}").size() > 1:
                cell.setPort(f"\\{port}", module.ReduceOr(_new(module), cell.getPort(f"\\{port}")))
                _record(cell, port)


def _resize(cell, ports, width):
    for port in ports:
        signal = cell.getPort(f"\\{port}")
        signal.extend_u0(width, cell.getParam(f"\\{port}_SIGNED").as_bool())
        cell.setPort(f"\\{port}", signal)
        _record(cell, port)


def _whole_result(module, cell):
    """A right shift whose result is cut: of its whole result the low bits are taken."""
    operand, result = cell.getPort("\\A"), cell.getPort("\\Y")
    if operand.size() < result.size():
        _resize(cell, "A", result.size())
    elif operand.size() > result.size():
        whole = ys.SigSpec(module.addWire(_new(module), operand.size()))
        cell.setPort("\\Y", whole)
        _record(cell, "Y")
        module.connect(result, whole.extract(0, result.size()))


def _record(cell, port):
    cell.setParam(f"\\{port}_WIDTH", ys.Const(cell.getPort(f"\\{port}").size()))


def _new(module):
    return ys.IdString(f"$explicit${module.cells_size()}${module.wires_size()}")

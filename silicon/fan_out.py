"""Buffers between a module's nets and the many children that read them, which ABC does not see."""

from collections import defaultdict
from itertools import count

__all__ = ["FAN_OUT", "spread"]

FAN_OUT = 10
"""Pins that one driver has among children and macros."""


def spread(ys, design, cells, buffer):
    """Give every net of the top module that more than `FAN_OUT` inputs of children read a tree of buffers.

    ABC buffers what it maps; the children of a module are outputs to it, one for each net, however many they are.

    Parameters
    ----------
    ys : libyosys
    design : with black boxes of the children
    cells : names of the library's cells, which are left alone
    buffer : (cell, input, output)
    """
    module = design.top_module()
    readers = defaultdict(list)
    for cell in list(module.cells_.values()):
        kind = cell.type.str().removeprefix("\\")
        if kind in cells:
            continue
        child = design.module(cell.type)
        for port, signal in cell.connections().items():
            if child.wire(port).port_input if child else port.str() != "\\RD_DATA":
                for place, bit in enumerate(signal.to_sigbit_vector()):
                    if bit.is_wire():
                        readers[bit.wire.name.str(), bit.offset].append((cell, port, place))
    changes, numbers = defaultdict(dict), count()
    for sinks in readers.values():
        cell, port, place = sinks[0]
        _tree(ys, module, cell.getPort(port).extract(place, 1), sinks, buffer, numbers, changes)
    for (name, port), nets in changes.items():
        cell = module.cell(ys.IdString(name))
        old, new = cell.getPort(ys.IdString(port)), ys.SigSpec()
        for place in range(old.size()):
            new.append(nets.get(place) or old.extract(place, 1))
        cell.setPort(ys.IdString(port), new)


def _tree(ys, module, net, sinks, buffer, numbers, changes):
    """Connect `sinks` to `net`, in `changes` {(cell, port): {place: net}} or as inputs of buffers, through further buffers."""
    kind, source, target = buffer
    while len(sinks) > FAN_OUT:
        groups = -(-len(sinks) // FAN_OUT)
        above = []
        for n in range(groups):
            name = f"fan_out_{next(numbers)}"
            wire = module.addWire(ys.IdString(f"\\{name}_net"), 1)
            cell = module.addCell(ys.IdString(f"\\{name}"), ys.IdString(f"\\{kind}"))
            cell.setPort(ys.IdString(f"\\{target}"), ys.SigSpec(wire))
            _connect(ys, sinks[n::groups], ys.SigSpec(wire), changes)
            above.append((cell, ys.IdString(f"\\{source}"), None))
        sinks = above
    _connect(ys, sinks, net, changes)


def _connect(ys, sinks, net, changes):
    for cell, port, place in sinks:
        if place is None:
            cell.setPort(port, net)
        else:
            changes[cell.name.str(), port.str()][place] = net

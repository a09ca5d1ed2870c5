"""Sites of an FPGA's multiplier blocks and block RAMs, chosen all at once for a placement of everything else."""

import re
from collections import defaultdict

import numpy as np
from scipy.optimize import linear_sum_assignment

__all__ = ["block_sites"]

_KINDS = ("MULT18X18D", "DP16KD")
_CONTROL = re.compile(r"(CLK|CE|OCE|RST|CS)[AB0-9]*")
_WIDEST = 16
"""Ends of a net up to which it counts: wider ones go everywhere."""
_ROUNDS = 3


def block_sites(module):
    """Distribute the sites of the blocks anew among them: the assignment of least cost.

    A placer that moves one cell at a time leaves some of the few blocks far from their logic, when nearer sites are taken.
    A block costs the sum of the squared distances to the other ends of its nets; the blocks of a kind are assigned together,
    kind after kind, until both have followed each other.

    Parameters
    ----------
    module : of nextpnr's JSON after placement, with attribute ``NEXTPNR_BEL`` on every cell

    Returns
    -------
    dict : {cell: BEL} for every block
    """
    cells = module["cells"]
    sites = {name: cell["attributes"]["NEXTPNR_BEL"] for name, cell in cells.items() if "NEXTPNR_BEL" in cell["attributes"]}
    where = {name: _place(site) for name, site in sites.items()}
    nets = defaultdict(list)
    for name, cell in cells.items():
        for port, bits in cell["connections"].items():
            if name in where and not _CONTROL.fullmatch(port):
                for bit in bits:
                    nets[bit].append(name)

    blocks = {kind: [name for name, cell in cells.items() if cell["type"] == kind] for kind in _KINDS}
    ends = {name: [other for bits in cells[name]["connections"].values() for bit in bits
                   if name in nets[bit] and len(nets[bit]) <= _WIDEST for other in nets[bit] if other != name]
            for names in blocks.values() for name in names}
    for _ in range(_ROUNDS):
        for names in filter(None, blocks.values()):
            free = [sites[name] for name in names]
            places = np.array([_place(site) for site in free])
            costs = np.zeros((len(names), len(free)))
            for row, name in enumerate(names):
                others = np.array([where[other] for other in ends[name]]).reshape(-1, 2)
                costs[row] = (np.abs(places[:, None] - others).sum(axis=2) ** 2).sum(axis=1)
            for row, column in zip(*linear_sum_assignment(costs), strict=True):
                sites[names[row]], where[names[row]] = free[column], _place(free[column])
    return {name: sites[name] for names in blocks.values() for name in names}


def _place(site):
    """Column and row of a BEL such as ``X4/Y10/MULT18_0``."""
    return tuple(int(number) for number in re.match(r"X(\d+)/Y(\d+)/", site).groups())

"""Sites of multiplier blocks and block RAMs: the best assignment to a placement of the rest."""

import random
from itertools import permutations

from acceltran.silicon.block_sites import block_sites


def cell(kind, site, inputs=(), outputs=()):
    connections = {port: [bit] for port, bit in (*inputs, *outputs)}
    return {"type": kind, "attributes": {"NEXTPNR_BEL": site} if site else {}, "connections": connections,
            "port_directions": {**dict.fromkeys(dict(inputs), "input"), **dict.fromkeys(dict(outputs), "output")}}


def squared(a, b):
    return sum(abs(p - q) for p, q in zip(a, b, strict=True)) ** 2


def test_the_assignment_of_least_cost():
    rng = random.Random(5)
    for _ in range(20):
        places = [(rng.randrange(60), rng.randrange(60)) for _ in range(5)]
        sources = [[(rng.randrange(60), rng.randrange(60)) for _ in range(2)] for _ in places]
        cells, bit = {}, 0
        for n, (place, ends) in enumerate(zip(places, sources, strict=True)):
            ports = []
            for k, (x, y) in enumerate(ends):
                bit += 1
                cells[f"ff_{n}_{k}"] = cell("TRELLIS_FF", f"X{x}/Y{y}/SLICEA.FF0", outputs=[("Q", bit)])
                ports.append((f"A{k}", bit))
            cells[f"product_{n}"] = cell("MULT18X18D", f"X{place[0]}/Y{place[1]}/MULT18_0", ports)
        sites = block_sites({"cells": cells})

        def cost(order, sources=sources):
            return sum(squared(place, end) for place, ends in zip(order, sources, strict=True) for end in ends)

        chosen = [tuple(int(part[1:]) for part in sites[f"product_{n}"].split("/")[:2]) for n in range(5)]
        assert sorted(chosen) == sorted(places)
        assert cost(chosen) == min(map(cost, permutations(places)))


def test_blocks_follow_each_other():
    """A RAM whose register is far away takes the product that reads it along; clocks, enables and wide nets pull nobody."""
    cells = {
        "ff": cell("TRELLIS_FF", "X90/Y90/SLICEA.FF0", outputs=[("Q", 1)]),
        "far_ff": cell("TRELLIS_FF", "X0/Y0/SLICEA.FF0", outputs=[("Q", 7)]),
        "clock": cell("DCCA", "X0/Y0/DCCA0", outputs=[("CLKO", 2)]),
        "ram": cell("DP16KD", "X0/Y0/EBR0", [("ADA0", 1), ("CLKA", 2), ("DIA0", 7)], [("DOA0", 3)]),
        "other_ram": cell("DP16KD", "X90/Y80/EBR0", [("CLKA", 2)]),
        "product": cell("MULT18X18D", "X0/Y10/MULT18_0", [("A0", 3), ("CLK0", 2), ("CE0", 8), ("CE1", 9)]),
        "other_product": cell("MULT18X18D", "X90/Y70/MULT18_0", [("CLK0", 2)]),
        "enables": cell("TRELLIS_COMB", "X0/Y10/SLICEA.LUT0", outputs=[("F", 8), ("OFX", 9)]),
        "constant": cell("TRELLIS_COMB", None, outputs=[("F", 4)]),
        **{f"sink_{n}": cell("TRELLIS_COMB", "X0/Y0/SLICEA.LUT0", [("A", 7)]) for n in range(20)},
    }
    assert block_sites({"cells": cells}) == {
        "ram": "X90/Y80/EBR0", "other_ram": "X0/Y0/EBR0", "product": "X90/Y70/MULT18_0", "other_product": "X0/Y10/MULT18_0",
    }

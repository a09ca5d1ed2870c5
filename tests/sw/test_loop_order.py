"""Costs of loop orders against plain nested loops, and what is chosen by them."""

from itertools import product

import pytest

from acceltran.hw.spec.config import RULES, AcceleratorConfig
from acceltran.hw.spec.isa import LoopOrder
from acceltran.sw.compiler.loop_order import best_order, order_cost


def walk(order, counts, inner, psum_tiles):
    """(b, i, j, k) of every step, as groups of the grid."""
    names = order.name.lower().replace("k", "")
    size = 1 if order.name[-1] == "K" else psum_tiles
    first, second, third = (range(counts[n]) for n in names)
    for x, y in product(first, second):
        for begin in range(0, len(third), size):
            for k, z in product(range(inner), third[begin:begin + size]):
                at = dict(zip(names, (x, y, z), strict=True))
                yield at["b"], at["i"], at["j"], k


def loads(order, rows, inner, columns, batch, config, shared_b):
    counts = {"b": batch, "i": -(-rows // config.grid_rows), "j": -(-columns // config.grid_columns)}
    total, before = [0, 0], [None, None]
    for b, i, j, k in walk(order, counts, inner, config.psum_tiles):
        for x, tile, lanes in ((0, (b, i, k), min(config.grid_rows, rows - i * config.grid_rows)),
                               (1, (0 if shared_b else b, k, j), min(config.grid_columns, columns - j * config.grid_columns))):
            total[x] += lanes * (tile != before[x])
            before[x] = tile
    return total


@pytest.mark.parametrize("psum_tiles", [1, 2, 4])
def test_loads_are_exact(psum_tiles):
    config = AcceleratorConfig(grid_rows=2, grid_columns=2, psum_tiles=psum_tiles)
    shapes = [(4, 4, 4, 4), (4, 1, 4, 2), (6, 3, 2, 1), (2, 2, 10, 3), (1, 5, 1, 3), (5, 1, 3, 1), (1, 1, 1, 1), (9, 2, 7, 2)]
    for shape, order, shared_b in product(shapes, LoopOrder, (False, True)):
        cost = order_cost(order, *shape, config, shared_b=shared_b)
        assert [cost.a_loads, cost.b_loads] == loads(order, *shape, config, shared_b), (shape, order, shared_b)


def test_the_choice_follows_the_sparsity():
    config = AcceleratorConfig.load("mini")
    dense = best_order(8, 32, 8, 1, config)
    assert order_cost(dense, 8, 32, 8, 1, config).accesses == min(
        order_cost(order, 8, 32, 8, 1, config).accesses for order in LoopOrder)
    # Where B's delivery is the limit, two output tiles share it; where it is not, they would only wait for each other.
    sparse = best_order(8, 32, 8, 1, config, a_density=0.1)
    assert sparse.name[-1] == "I" and sparse.name.index("K") > sparse.name.index("J")
    assert best_order(8, 32, 8, 1, config, a_density=0.5, b_density=0.5).name[-1] == "K"


def test_every_window_has_its_speed():
    """A step of sparse B is shorter the farther a lane looks ahead, and where zeros are even; a lane takes two per cycle."""
    def cycles(window, density, even):
        config = AcceleratorConfig(window=window, psum_tiles=1, lines_per_beat=4)
        return order_cost(LoopOrder.BIJK, 4, 4, 4, 1, config, b_density=density, b_even=even).cycles

    windows = [window for window in range(1, 17) if RULES["window"][0](window)]
    for even in (False, True):
        found = [cycles(window, 0.5, even) for window in windows]
        assert found == sorted(found, reverse=True) and found[-1] < found[0]
    assert all(cycles(window, 0.5, True) < cycles(window, 0.5, False) for window in windows)
    assert cycles(8, 0.25, True) == cycles(8, 0.125, True) == cycles(8, 1.0, False) / 2


def test_without_partial_sums_k_is_innermost_for_all():
    config = AcceleratorConfig(psum_tiles=1)
    costs = {order_cost(order, 4, 4, 4, 2, config).cycles for order in LoopOrder}
    assert len(costs) == 1

"""The planner's costs, which are formulas, against the service times of the performance model, which follows every lane."""

import numpy as np
import pytest

from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.hw.spec.isa import LoopOrder
from acceltran.sw.compiler.loop_order import best_order, order_cost
from acceltran.sw.compiler.steps import MatMulStep
from acceltran.sw.compiler.write_ports import leaving
from support.grid_product import product

SHAPES = 12
CYCLES, SHARE = 60, 0.05
"""How far a plan may be from the grid: the larger of both."""


def planned(config, rows, inner, columns, order, **densities):
    """As `MatMulStep` counts, for results without zeros."""
    busy = max(leaving(rows, columns, config), order_cost(order, rows, inner, columns, 1, config, **densities).cycles)
    return busy + MatMulStep.latency


@pytest.mark.parametrize("name", ["mini", "nano", "fpga", "mini_w8", "int8", "edge"])
def test_products_take_what_the_planner_thinks(name):
    config, rng = AcceleratorConfig.load(name), np.random.default_rng(5)
    errors = []
    for _ in range(SHAPES):
        rows, columns = int(rng.integers(1, 5)) * config.grid_rows, int(rng.integers(1, 5)) * config.grid_columns
        inner = int(rng.choice([4, 8, 16, 32]))
        densities = {"a_density": float(rng.choice([1, 0.7, 0.5, 0.3])), "b_density": float(rng.choice([1, 0.5, 0.4]))}
        order = best_order(rows, inner, columns, 1, config, **densities)
        plan = planned(config, rows, inner, columns, order, **densities)
        cycles, _, _ = product(config, rows=rows, inner=inner, columns=columns, order=order.name, a=densities["a_density"],
                               b=densities["b_density"])
        assert abs(plan - cycles) <= max(CYCLES, SHARE * cycles), (rows, inner, columns, densities, plan, cycles)
        errors.append(plan / cycles - 1)
    assert abs(np.mean(errors)) <= 0.1


@pytest.mark.parametrize("rows, columns", [(24, 32), (16, 16), (20, 32), (12, 8), (16, 4), (8, 12), (3, 5)])
def test_short_sums_wait_for_write_ports(rows, columns):
    """On 8 x 8 PEs with few values to add, results leave slower than they are made; a group with fewer PEs leaves faster."""
    config = AcceleratorConfig.load("edge")
    densities = {"a_density": 0.3, "b_density": 0.4}
    cycles, _, _ = product(config, rows=rows, inner=4, columns=columns, a=0.3, b=0.4)
    assert abs(planned(config, rows, 4, columns, LoopOrder.BIJK, **densities) - cycles) <= 30


@pytest.mark.parametrize("a, b", [(1.0, 1.0), (0.5, 0.5), (0.3, 1.0), (1.0, 0.4)])
def test_the_chosen_order_is_nearly_the_best(a, b):
    config = AcceleratorConfig.load("mini")
    shape = {"rows": 6, "inner": 8, "columns": 4}
    cycles = {order: product(config, **shape, order=order.name, a=a, b=b)[0] for order in LoopOrder}
    chosen = best_order(6, 8, 4, 1, config, a_density=a, b_density=b)
    assert cycles[chosen] <= 1.06 * min(cycles.values())

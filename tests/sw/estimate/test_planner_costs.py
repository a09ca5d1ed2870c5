"""The planner's costs, which are formulas, against the service times of the performance model, which follows every lane."""

import numpy as np
import pytest

from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.hw.spec.isa import LoopOrder
from acceltran.sw.compiler.loop_order import best_order, order_cost
from acceltran.sw.compiler.steps import MatMulStep
from support.grid_product import product

SHAPES = 12


@pytest.mark.parametrize("name", ["mini", "nano"])
def test_products_take_what_the_planner_thinks(name):
    """On small grids: the formulas leave out that eight PEs share a write port, which decides short sums on a large one."""
    config, rng = AcceleratorConfig.load(name), np.random.default_rng(5)
    errors = []
    for _ in range(SHAPES):
        rows, columns = int(rng.integers(1, 5)) * config.grid_rows, int(rng.integers(1, 5)) * config.grid_columns
        inner = int(rng.choice([4, 8, 16, 32]))
        densities = {"a_density": float(rng.choice([1, 0.7, 0.5, 0.3])), "b_density": float(rng.choice([1, 0.5, 0.4]))}
        order = best_order(rows, inner, columns, 1, config, **densities)
        outputs = -(-rows // config.grid_rows) * -(-columns // config.grid_columns)
        planned = MatMulStep.latency + max(
            outputs * config.tile, order_cost(order, rows, inner, columns, 1, config, **densities).cycles)
        cycles, _, _ = product(config, rows=rows, inner=inner, columns=columns, order=order.name, a=densities["a_density"],
                               b=densities["b_density"])
        assert abs(planned - cycles) <= max(60, 0.16 * cycles), (rows, inner, columns, densities, planned, cycles)
        errors.append(planned / cycles - 1)
    assert abs(np.mean(errors)) <= 0.1


@pytest.mark.parametrize("a, b", [(1.0, 1.0), (0.5, 0.5), (0.3, 1.0), (1.0, 0.4)])
def test_the_chosen_order_is_nearly_the_best(a, b):
    config = AcceleratorConfig.load("mini")
    shape = {"rows": 6, "inner": 8, "columns": 4}
    cycles = {order: product(config, **shape, order=order.name, a=a, b=b)[0] for order in LoopOrder}
    chosen = best_order(6, 8, 4, 1, config, a_density=a, b_density=b)
    assert cycles[chosen] <= 1.06 * min(cycles.values())

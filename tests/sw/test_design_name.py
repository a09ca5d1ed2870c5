"""A preset's name is the name of that design alone."""

import dataclasses
import re
from pathlib import Path

import pytest

from acceltran.cli.bench.points import GROUPS
from acceltran.cli.hardware import load_config
from acceltran.cli.silicon import ablation
from acceltran.hw.spec.config import PRESETS, AcceleratorConfig
from acceltran.hw.spec.design_name import design_name

DOCS = Path(__file__).parents[2] / "docs"
MINI = AcceleratorConfig.load("mini")


def test_p6_a_preset_has_its_name():
    assert {design_name(AcceleratorConfig.load(preset)) for preset in PRESETS} == set(PRESETS)


@pytest.mark.parametrize(("changes", "name"), [
    ({"psum_tiles": 1}, "mini with psum_tiles = 1"),
    ({"name": "other"}, "mini"),
    ({"name": "other", "skip": "none"}, "mini with skip = none"),
    ({"grid_rows": 1, "grid_columns": 1}, "mini with grid_rows = 1, grid_columns = 1"),
    ({"functions": ("relu", "tanh")}, "mini with functions = relu/tanh"),
    ({"fraction_bits": 4, "bus_width": 128, "window": 4, "weight_tiles": 1024}, "int8"),
])
def test_p6_what_differs_is_named(changes, name):
    assert design_name(dataclasses.replace(MINI, **changes)) == name


def test_p6_a_design_of_its_own_keeps_its_own_name():
    far = {"tile": 8, "grid_rows": 1, "grid_columns": 4, "activation_banks": 8, "weight_banks": 4, "window": 8}
    assert design_name(dataclasses.replace(MINI, name="mine", **far)) == "mine"
    assert design_name(dataclasses.replace(MINI, **far)) not in PRESETS


def test_p6_nothing_that_is_measured_takes_the_name_of_a_preset():
    configs = [group.config() for group in GROUPS.values()]
    configs += [ablation.configuration(changes) for changes in ablation.POINTS.values()]
    configs += [load_config(preset, skip) for preset in ("nano", "mini") for skip in ("none", "activation")]
    names = {}
    for config in configs:
        plain = dataclasses.replace(config, name="x")
        assert names.setdefault(design_name(config), plain) == plain
        if design_name(config) in PRESETS:
            assert plain == dataclasses.replace(AcceleratorConfig.load(design_name(config)), name="x")
    assert {"mini", "mini with skip = none", "int8 with skip = none", "edge"} <= set(names)


def rows(document, columns):
    """(name, product, zeros, B from): cycles of the tables of a document that have these columns."""
    found = []
    for table in re.findall(r"(?:^\|.*\n)+", document, re.M):
        head, _, *lines = [[cell.strip().strip("`") for cell in line.strip().strip("|").split("|")]
                           for line in table.strip().splitlines()]
        if set(columns) <= set(head):
            found += [[line[head.index(column)] for column in columns] for line in lines]
    return found


def test_p6_one_name_has_one_figure_in_all_documents():
    """The same product of the same sparsity on a design of one name took the same cycles, wherever that is written."""
    measured = rows((DOCS / "benchmarks.md").read_text(), ("configuration", "m x k x n", "zeros in A x B", "B from", "cycles"))
    explored = rows((DOCS / "exploration.md").read_text(), ("what", "product", "sparsity", "RTL"))
    assert len(measured) > 40 and len(explored) > 20
    entries = [(name, product, zeros.replace("%", "").replace(" ", ""), cycles)
               for name, product, zeros, buffer, cycles in measured if buffer == "weight"]
    figures = {}
    for name, product, zeros, cycles in (*entries, *explored):
        if name != "PE core":
            assert figures.setdefault((name, product, zeros), cycles) == cycles, (name, product, zeros)

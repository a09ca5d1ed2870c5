"""Products measured one after the other: exact, and every multiplier accounted for in every cycle."""

import dataclasses

import numpy as np
import pytest

from acceltran.hw.spec.config import AcceleratorConfig
from acceltran.hw.spec.isa import Engine, LoopOrder
from acceltran.sim import products as module
from acceltran.sim.design import build_system
from acceltran.sim.grid_work import GridPoint, grid_work
from acceltran.sim.products import Product, measure_products
from acceltran.sw.compiler import CompileError
from acceltran.sw.compiler.allocate import place_activations
from acceltran.sw.compiler.pieces import Piece
from acceltran.sw.compiler.steps import Region
from acceltran.sw.models.weight_sparsity import GroupSparsity
from support.configs import CONFIGS
from support.steps import PlainStep

CONFIG = CONFIGS["four_pes"]
CASES = [
    Product(m=16, k=32, n=16),
    Product(m=20, k=9, n=33, act_sparsity=0.5, weight_sparsity=0.3),
    Product(m=16, k=24, n=24, batch=2, act_sparsity=0.9, order="kijb"),
    Product(m=16, k=24, n=24, batch=2, act_sparsity=0.9, order="jbik"),
    Product(m=24, k=16, n=8, b_from="activation", weight_sparsity=0.8, seed=3),
    Product(m=24, k=24, n=32, weight_sparsity=GroupSparsity("2:4"), seed=5),
    Product(m=8, k=8, n=8, act_sparsity=1.0),
]


@pytest.fixture(scope="module")
def model():
    return build_system(CONFIG, memory_bits=20)


@pytest.fixture(scope="module")
def values(model, tmp_path_factory):
    return measure_products(CONFIG, CASES, folder=tmp_path_factory.mktemp("products"), model=model)


def test_every_integer_is_compared(values):
    for case, v in zip(CASES, values, strict=True):
        assert v["mismatches"] == 0, case
        assert v["integers_compared"] == case.batch * (-(-case.m // 8) * 8) * (-(-case.n // 8) * 8)
        assert v["padded"] == any(size % 8 for size in (case.m, case.k, case.n))


def test_cycles_add_up(values):
    for case, v in zip(CASES, values, strict=True):
        assert v["ideal_cycles"] == -(-case.batch * case.m * case.k * case.n // CONFIG.multipliers)
        assert v["utilisation"] == v["ideal_cycles"] / v["cycles"]
        assert v["multiplications"] == v["effectual_multiplications"]
        assert all(lost >= 0 for lost in v["lost_cycles"].values())
        assert sum(v["lost_cycles"].values()) + v["multiplications"] / CONFIG.multipliers == pytest.approx(v["cycles"])
    dense, empty = values[0], values[-1]
    assert dense["multiplications"] == 16 * 32 * 16 and dense["utilisation"] > 0.3
    assert empty["multiplications"] == 0 and empty["cycles"] > 8


def test_counters_are_those_of_the_product_alone(values):
    """Four PEs take two rows of A tiles and two columns of B tiles in a step."""
    dense = values[0]
    assert (dense["a_tile_loads"], dense["b_tile_loads"]) == (8, 8)
    tile_words = CONFIG.words_per_slot
    assert (dense["word_reads"], dense["word_writes"]) == (16 * tile_words, 4 * tile_words)


def test_operands_have_the_sparsity_asked_for():
    a, b = Product(m=200, k=300, n=100, act_sparsity=0.7, weight_sparsity=0.2).make(8, 8)
    assert (a == 0).mean() == pytest.approx(0.7, abs=0.01) and (b == 0).mean() == pytest.approx(0.2, abs=0.01)
    assert a.min() == -128 and a.max() == 127
    dense, _ = Product(m=200, k=300, n=100).make(8, 8)
    assert (dense != 0).all()


def test_groups_of_operands_have_exactly_n_values():
    """Of every four values of a column of B two are not zero, any two, in products and in the cycle model."""
    _, b = Product(m=8, k=64, n=24, weight_sparsity=GroupSparsity("2:4")).make(8, 8)
    groups = (b[0] != 0).reshape(16, 4, 24)
    assert (groups.sum(1) == 2).all() and len({tuple(places) for places in groups[0].T.tolist()}) > 3
    rows = grid_work(GridPoint(m=32, k=64, n=32, b_sparsity=GroupSparsity("2:4"))).b_masks.reshape(-1, 4, 1)
    assert (((rows >> np.arange(16, dtype=np.uint16)) & 1).sum(1) == 2).all()


def test_a_wrong_result_is_counted(model, tmp_path, monkeypatch):
    real = module.post_process

    def wrong(*arguments, **options):
        result = real(*arguments, **options)
        result[1, 2] ^= 1
        return result

    monkeypatch.setattr(module, "post_process", wrong)
    (v,) = measure_products(CONFIG, CASES[:1], folder=tmp_path, model=model)
    assert v["mismatches"] == 1


@pytest.mark.parametrize(("size", "words"), [
    ({"m": 4000, "k": 4000, "n": 8}, ("activation_tiles",)),
    ({"m": 8, "k": 512, "n": 640}, ("n = 640", "weight_tiles")),
    ({"m": 8, "k": 8192, "n": 8}, ("k = 8192", "max_inner")),
    ({"m": 0, "k": 8, "n": 8}, ("m = 0",)),
])
def test_what_does_not_fit_is_refused(size, words, tmp_path):
    with pytest.raises(CompileError) as error:
        measure_products(CONFIG, [Product(**size)], folder=tmp_path, model=object())
    assert all(word in str(error.value) for word in words)


def test_every_order_keeps_the_operands():
    product = Product(m=8, k=8, n=8)
    assert {dataclasses.replace(product, order=order.name.lower()).operands for order in LoopOrder} == {product.operands}
    assert dataclasses.replace(product, seed=1).operands != product.operands


@pytest.mark.parametrize("preset", ["nano", "mini", "edge", "server"])
@pytest.mark.parametrize("size", [{"m": 128, "k": 32, "n": 528}, {"m": 16, "k": 64, "n": 16},
                                  {"m": 64, "k": 64, "n": 64, "batch": 2}])
def test_p5_a_product_lies_as_the_compiler_places_it(preset, size):
    """The pitches of A, B and C are those of the same tensors in a compiled program, and nothing overlaps."""
    config = AcceleratorConfig.load(preset)
    product = Product(b_from="activation", **size)
    place = module.place_operands(config, product)
    shapes = {"a": (place.rows, place.inner), "b": (place.inner, place.columns), "c": (place.rows, place.columns)}
    steps, pieces = [], {}
    for name, (rows, columns) in shapes.items():
        rows *= product.batch
        pieces[name] = Piece(name, 0, 0, rows, columns)
        steps.append(PlainStep(Engine.MATRIX, [], [Region("activation", name, 0, 0, rows, columns)]))
    for step in steps:
        step.reads = [other.writes[0] for other in steps]
    placed = place_activations(pieces, steps, config.activation_tiles, pack=False)
    taken = set()
    for name, (rows, columns) in shapes.items():
        assert place.pitch[name] == placed[name].pitch
        slots = {place.slot[name] + n * place.batch[name] + i * place.pitch[name] + j
                 for n in range(product.batch) for i in range(rows) for j in range(columns)}
        assert len(slots) == product.batch * rows * columns and not slots & taken
        taken |= slots
    assert max(taken) < config.activation_tiles


def test_the_activation_buffer_is_the_limit():
    config = AcceleratorConfig.load("mini")
    assert module.place_operands(config, Product(m=576, k=512, n=128)).pitch == {"a": 33, "b": 8, "c": 9}
    with pytest.raises(CompileError, match="takes 1552 tiles .* activation_tiles = 1536"):
        module.place_operands(config, Product(m=592, k=512, n=128))

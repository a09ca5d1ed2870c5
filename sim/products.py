"""Products measured as RTL, with their operands in the buffers, every integer checked."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from ..hw.spec.design_name import design_name
from ..hw.spec.isa import INSTRUCTION_BYTES, Buffer, LoopOrder, Opcode
from ..sw.compiler import CompileError
from ..sw.compiler.allocate import activation_slots
from ..sw.compiler.loop_order import best_order
from ..sw.golden.matmul import matmul
from ..sw.golden.post_process import post_process
from ..sw.models.weight_sparsity import GroupSparsity, as_weight_sparsity, random_mask, zero_share
from .design import build_system
from .errors import SimulationError
from .hand_program import HandProgram
from .system import simulate_programs

__all__ = ["CAUSES", "Product", "measure_products", "place_operands"]

CAUSES = ("operands", "output", "imbalance", "fill_drain")
"""What multiplier cycles are lost to, see `measure_products`."""

_COUNTS = ("a_tile_loads", "b_tile_loads", "word_reads", "word_writes", "multiplications", "dense_multiplications")


@dataclass(frozen=True, kw_only=True)
class Product:
    """C[b] = A[b] B[b], A of m x k and B of k x n elements.

    Parameters
    ----------
    m, k, n : elements; padded with zeros to whole tiles
    batch : products
    act_sparsity, weight_sparsity : probability that an element of A, of B is zero, each on its own; for B also a GroupSparsity,
        of whose groups along k any elements may be zero
    order : loop order, as in `LoopOrder`; None for the one that the compiler would choose at these sparsities
    b_from : "weight" or "activation", the buffer that B is in
    seed : of the random operands
    """

    m: int
    k: int
    n: int
    batch: int = 1
    act_sparsity: float = 0.0
    weight_sparsity: float | GroupSparsity = 0.0
    order: str | None = None
    b_from: str = "weight"
    seed: int = 0

    @property
    def operands(self):
        """All that the operands depend on, not the order of the loops."""
        return tuple(value for name, value in asdict(self).items() if name != "order")

    @property
    def multiplications(self):
        """Of the dense product, without padding."""
        return self.batch * self.m * self.k * self.n

    def make(self, width, b_width):
        """The random operands, int64 [batch, m, k] and [batch, k, n]: zero, or any other value of their bits."""
        rng = np.random.default_rng(self.seed)

        def sparse(sparsity, width, *shape):
            values = rng.integers(-(1 << (width - 1)), (1 << (width - 1)) - 1, shape)
            return (values + (values >= 0)) * random_mask(rng, shape, sparsity)

        return (sparse(self.act_sparsity, width, self.batch, self.m, self.k),
                sparse(self.weight_sparsity, b_width, self.batch, self.k, self.n))


@dataclass(frozen=True)
class _Place:
    """Where a product lies: slots, pitches and batch strides of A, B and C."""

    rows: int
    inner: int
    columns: int
    slot: dict
    pitch: dict
    batch: dict

    @property
    def fields(self):
        """The fields of the instruction."""
        return {f"{x}_{field}": getattr(self, field)[x] for x in "abc" for field in ("slot", "pitch", "batch")}


def place_operands(config, product):
    """Put A, C and maybe B in the activation buffer as the compiler places tensors: a batch is one, one matrix below the other.

    Raises
    ------
    CompileError : the product does not fit
    """
    c, t = config, config.tile
    for name in ("m", "k", "n", "batch"):
        if getattr(product, name) < 1:
            raise CompileError(f"{name} = {getattr(product, name)}: at least 1")
    if not 0 <= product.act_sparsity <= 1:
        raise CompileError(f"act_sparsity = {product.act_sparsity}: from 0 to 1")
    if isinstance(as_weight_sparsity(product.weight_sparsity), GroupSparsity):
        product.weight_sparsity.check(t)
    if product.k > c.max_inner:
        raise CompileError(f"k = {product.k}: {c.name} sums up to max_inner = {c.max_inner}; lower k or raise max_inner")
    rows, inner, columns = (-(-size // t) for size in (product.m, product.k, product.n))
    shapes = {"a": (rows, inner), "b": (inner, columns), "c": (rows, columns)}
    in_activation = "abc" if product.b_from == "activation" else "ac"
    pitch = {x: shapes[x][1] for x in shapes}
    slot, used = {"b": 0}, 0
    for x in in_activation:
        pitch[x], size = activation_slots(product.batch * shapes[x][0], shapes[x][1])
        slot[x], used = used, used + size
    batch = {x: shapes[x][0] * pitch[x] for x in shapes}
    if used > c.activation_tiles:
        largest = max("mkn", key=lambda x: getattr(product, x))
        raise CompileError(
            f"{largest} = {getattr(product, largest)}: the product takes {used} tiles of the activation buffer, which has "
            f"activation_tiles = {c.activation_tiles}; lower m, k, n or batch, or raise activation_tiles")
    if product.b_from == "weight" and product.batch * batch["b"] > c.weight_tiles:
        largest = max("kn", key=lambda x: getattr(product, x))
        raise CompileError(
            f"{largest} = {getattr(product, largest)}: B takes {product.batch * batch['b']} tiles of the weight buffer, which "
            f"has weight_tiles = {c.weight_tiles}; lower k, n or batch, or raise weight_tiles")
    if max(rows, inner, columns, product.batch, *pitch.values()) >= 1 << 12:
        raise CompileError(f"m, k, n, batch = {product.m}, {product.k}, {product.n}, {product.batch}: an instruction counts "
                           "up to 4095 tiles; lower the largest")
    return _Place(rows, inner, columns, slot, pitch, batch)


def _ordered(config, product, place):
    """The product with a loop order."""
    if product.order:
        return product
    order = best_order(place.rows, place.inner, place.columns, product.batch, config, a_density=1 - product.act_sparsity,
                       b_density=1 - zero_share(product.weight_sparsity),
                       b_even=isinstance(product.weight_sparsity, GroupSparsity))
    return replace(product, order=order.name.lower())


class _Bench:
    """One main-memory image and the programs of all products: transfers and products in turn."""

    def __init__(self, config, products, places):
        self.config = config
        self.program = HandProgram(config, capacity=sum(3 * p.batch + 4 for p in products) + 2)
        self.programs, self.begun = [], 0
        self.reads, self.expected, self.bytes, self.effectual = [], [], [], []
        loaded = None
        for product, place in zip(products, places, strict=True):
            if product.operands != loaded:
                size, result, effectual = self._load(product, place)
                loaded = product.operands
            self._end()
            self.program.add(
                Opcode.MATMUL, **place.fields, b_buffer=int(product.b_from == "activation"), transpose=0, batch=product.batch,
                rows=place.rows, inner=place.inner, columns=place.columns, order=int(LoopOrder[product.order.upper()]),
                bias=0, bias_line=0, bias_shift=0, shift=self._shift(product), function=0, function_shift=0, curve=0,
            )
            self._end()
            self.reads.append([
                self.program.store(place.slot["c"] + b * place.batch["c"], place.rows, place.columns, place.pitch["c"])
                for b in range(product.batch)])
            self.expected.append(result)
            self.bytes.append(size)
            self.effectual.append(effectual)
        self._end()

    def _shift(self, product):
        """Brings the sums to about the whole range of a value."""
        return self.config.b_width + (product.k.bit_length() - 1) // 2

    def _load(self, product, place):
        a, b = product.make(self.config.width, self.config.b_width)
        buffers = {"a": Buffer.ACTIVATION, "b": Buffer.ACTIVATION if product.b_from == "activation" else Buffer.WEIGHT}
        size = {}
        for name, matrices in (("a", a), ("b", b)):
            size[name] = sum(
                self.program.load(buffers[name], place.slot[name] + number * place.batch[name], matrix, place.pitch[name])
                for number, matrix in enumerate(matrices))
        sums = matmul(torch.from_numpy(a), torch.from_numpy(b))
        result = [post_process(x, None, shift=self._shift(product), width=self.config.width, function=0, function_shift=0,
                               bias_shift=0, tau=0).numpy() for x in sums]
        pairs = matmul(torch.from_numpy((a != 0).astype(np.int64)), torch.from_numpy((b != 0).astype(np.int64)))
        return size, result, int(pairs.sum())

    def _end(self):
        """End a program with HALT."""
        self.program.add(Opcode.HALT)
        count = len(self.program.instructions)
        self.programs.append((self.begun * INSTRUCTION_BYTES, count - self.begun))
        self.begun = count

    def compare(self, number, result):
        """(unequal integers, integers compared) of a product's result in main memory."""
        unequal = compared = 0
        t = self.config.tile
        for read, want in zip(self.reads[number], self.expected[number], strict=True):
            seen = read(result)
            whole = np.zeros_like(seen)
            whole[: want.shape[0], : want.shape[1]] = want
            assert seen.shape == tuple(-(-size // t) * t for size in want.shape)
            unequal += int((seen != whole).sum())
            compared += whole.size
        return unequal, compared


def measure_products(config, products, *, folder, model=None, stage=lambda name: None):
    """Run products one after the other in one simulation.

    Every product is a program of its own with nothing but its MATMUL, so that the performance counters are its own;
    operands are loaded, results stored and compared by other programs in between.

    Parameters
    ----------
    config : AcceleratorConfig
    products : Products; of neighbours that differ in `order` only, the operands are loaded once
    folder : for logs
    model : see `simulate_programs`
    stage : called with the name of each stage as it begins

    Returns
    -------
    list of dict, one per product: the fields of `Product` and

    * cycles, from the start of the MATMUL in the matrix engine to its completion; ideal_cycles, the multiplications of the
      dense product without padding per multiplier, rounded up; utilisation, their ratio
    * lost_cycles by cause, in cycles of the whole array: lanes that waited for operands, for their results to be read, with
      too little work for all their multipliers (imbalance), without work (fill and drain, PEs without an output tile). With
      multiplications / multipliers they add up to cycles.
    * mismatches, of integers_compared
    * a_tile_loads, b_tile_loads, word_reads, word_writes, multiplications, dense_multiplications: the counters
    * effectual_multiplications, pairs of non-zero operands; a_bytes, b_bytes, the operands in main memory

    Raises
    ------
    CompileError : a product does not fit the configuration, or that has several clusters or memory ports
    SimulationError : a program stops
    """
    if config.clusters > 1:
        raise CompileError(f"clusters = {config.clusters}: a single product runs in one cluster; set it to 1")
    if config.memory_ports > 1:
        raise CompileError(f"memory_ports = {config.memory_ports}: operands of single products come through one port, their "
                           "times do not depend on it; set it to 1")
    places = [place_operands(config, product) for product in products]
    products = [_ordered(config, product, place) for product, place in zip(products, places, strict=True)]
    stage("preparing operands")
    bench = _Bench(config, products, places)
    stage("building the RTL")
    model = model or build_system(config)
    stage(f"simulating {len(products)} product{'s' if len(products) > 1 else ''}")
    results = simulate_programs(config, bench.program.image(), bench.programs, folder=Path(folder), model=model,
                                log_activations=False)
    for result in results:
        if result.error:
            raise SimulationError(f"a program stopped: {result.error}")
    values = []
    for number, product in enumerate(products):
        result = results[2 * number + 1]
        counters, (interval,) = result.counters, result.intervals
        cycles = interval.end - interval.start
        lost = {cause: counters[f"lost_{cause}"] for cause in CAUSES if cause != "fill_drain"}
        lost["fill_drain"] = cycles * config.multipliers - counters["multiplications"] - sum(lost.values())
        unequal, compared = bench.compare(number, result)
        ideal = -(-product.multiplications // config.multipliers)
        values.append({
            "config": design_name(config), "skip": config.skip, **asdict(product), "multipliers": config.multipliers,
            "padded": any(size % config.tile for size in (product.m, product.k, product.n)),
            "cycles": cycles, "ideal_cycles": ideal, "utilisation": ideal / cycles,
            "lost_cycles": {cause: lost[cause] / config.multipliers for cause in CAUSES},
            "mismatches": unequal, "integers_compared": compared, **{name: counters[name] for name in _COUNTS},
            "effectual_multiplications": bench.effectual[number],
            "a_bytes": bench.bytes[number]["a"], "b_bytes": bench.bytes[number]["b"],
            "build_seconds": result.build_seconds, "simulation_seconds": result.simulation_seconds,
        })
    return values

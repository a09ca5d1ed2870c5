"""The one configuration of a generated accelerator, its presets and its validation."""

import json
import tomllib
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from .activations import ACTIVATIONS
from .errors import ConfigError
from .names import unknown_name
from .widths import MEMORY_PORTS, SCALE_BITS

__all__ = ["DIVIDED", "PRESETS", "RULES", "TILES", "AcceleratorConfig"]

_PRESET_FOLDER = Path(__file__).parent / "presets"
PRESETS = tuple(sorted(p.stem for p in _PRESET_FOLDER.glob("*.toml")))


def _one_of(*values):
    return lambda v: v in values, f"choose one of {', '.join(map(str, values))}"


def _between(low, high):
    return lambda v: low <= v <= high, f"choose a whole number from {low} to {high}"


_FUNCTIONS = tuple(entry.name for entry in ACTIVATIONS)
TILES = (8, 16)
"""Sizes of a tile."""
_POWERS = (1, 2, 4, 8, 16, 32, 64)

RULES = {
    "tile": _one_of(*TILES),
    "integer_bits": _between(1, 16),
    "fraction_bits": _between(3, 20),
    "weight_bits": _between(4, 24),
    "grid_rows": _between(1, 32),
    "grid_columns": _between(1, 32),
    "skip": _one_of("none", "activation", "both"),
    "window": _one_of(2, 4, 5, 6, 8),
    "operand_slots": _one_of(2, 3),
    "psum_tiles": _one_of(1, 2, 4),
    "b_memory": _one_of("registers", "ram"),
    "lines_per_beat": _one_of(1, 2, 4),
    "wires": _one_of("short", "long"),
    "activation_banks": _one_of(*_POWERS),
    "weight_banks": _one_of(*_POWERS),
    "activation_tiles": _between(16, 1 << 20),
    "weight_tiles": _between(16, 1 << 20),
    "vector_lines": _between(16, 1 << 16),
    "bus_width": _one_of(64, 128, 256, 512),
    "address_bits": _one_of(32, 64),
    "memory_ports": _one_of(*MEMORY_PORTS),
    "burst_beats": _one_of(4, 8, 16, 32, 64),
    "outstanding_reads": _between(1, 16),
    "softmax_units": _between(1, 64),
    "layernorm_units": _between(1, 64),
    "layernorm_slices": _one_of(1, 2, 4),
    "max_inner": _one_of(256, 512, 1024, 2048, 4096, 8192),
    "prune_curves": _one_of(4, 8, 16, 32),
    "instruction_queue": _one_of(2, 4, 8, 16),
    "clusters": _one_of(1, 2, 4, 8, 16),
}
"""Of each field a check of its value, and what to choose instead."""

_ARBITRATED = 64
"""Readers times banks of an activation buffer up to which arbitration and SRAMs share a cycle; `mini` has 36, and 322 ps to
spare at 700 MHz (docs/silicon.md)."""

_OPTIONAL = ("weight_bits",)
"""Fields that may be left out, where another follows from the rest."""

_PLAIN = {"memory_ports": 1, "clusters": 1}
"""Values that `to_dict` leaves out: without what a field adds, a configuration keeps the identity it had before the field."""

DIVIDED = ("grid_rows", "activation_banks", "activation_tiles", "softmax_units", "layernorm_units")
"""Fields that count what is divided over the clusters; their rules are for the share of one."""


@dataclass(frozen=True, kw_only=True)
class AcceleratorConfig:
    """Everything the generator can vary.

    Parameters
    ----------
    name : name of the configuration, used for folders and the manifest
    tile : rows and columns of a tile (T), also lanes per PE and multipliers per lane
    integer_bits, fraction_bits : default split of a value; their sum is the word length W, and the binary point is free per
        tensor
    weight_bits : bits of the values of operand B, which are weights, and the keys and values of attention; W where it is None
    grid_rows, grid_columns : PEs in the grid (R, C)
    skip : "none" spends a cycle on every k, "activation" skips zero activations, "both" every ineffectual pair
    window : entries a lane keeps between its MACs with skip="both"
    operand_slots : A tiles and B tiles that each PE holds
    psum_tiles : output tiles whose partial sums each PE holds; loop orders in which k is not innermost share a pass of k
        between that many
    b_memory : where a PE holds B: "registers" from which all MACs choose, or "ram", small ones at every MAC and lane
    lines_per_beat : packed lines of T values that a tile stream moves per cycle
    wires : "short", or "long" with more registers between parts that lie far apart, as on an FPGA
    activation_banks, weight_banks : SRAM banks; powers of two
    activation_tiles, weight_tiles : capacity of the buffers, in tiles (slots of T lines)
    vector_lines : capacity of the bias/gamma/beta buffer, in lines of T values
    bus_width : AXI4 data bits
    address_bits : AXI4 address bits
    memory_ports : AXI4 managers over which weights are striped; those beside the first only read, weights and the
        embeddings of clusters
    burst_beats : longest AXI4 burst
    outstanding_reads : AXI4 read bursts in flight
    softmax_units, layernorm_units : row-streaming units
    layernorm_slices : tile columns of a row that a layer-norm unit works on at once
    functions : activation functions in the post-process, those of `hw.spec.activations`
    max_inner : largest K (elements) of a product; sets the accumulator width
    prune_curves : threshold curves in the DynaTran threshold calculator
    instruction_queue : instructions queued per engine
    clusters : parts into which the grid is divided by its rows; each has its share of grid rows, activation buffer, banks,
        softmax and layer-norm units, and works on sequences of its own, while all get the same weights

    Raises
    ------
    ConfigError : naming the field, the value and the remedy
    """

    name: str = "custom"
    tile: int = 16
    integer_bits: int = 4
    fraction_bits: int = 16
    weight_bits: int | None = None
    grid_rows: int = 2
    grid_columns: int = 2
    skip: str = "both"
    window: int = 4
    operand_slots: int = 2
    psum_tiles: int = 1
    b_memory: str = "registers"
    lines_per_beat: int = 2
    wires: str = "short"
    activation_banks: int = 4
    weight_banks: int = 2
    activation_tiles: int = 1024
    weight_tiles: int = 1024
    vector_lines: int = 512
    bus_width: int = 128
    address_bits: int = 32
    memory_ports: int = 1
    burst_beats: int = 16
    outstanding_reads: int = 4
    softmax_units: int = 1
    layernorm_units: int = 1
    layernorm_slices: int = 1
    functions: tuple[str, ...] = ("relu", "gelu", "tanh")
    max_inner: int = 4096
    prune_curves: int = 16
    instruction_queue: int = 4
    clusters: int = 1

    def __post_init__(self):
        for field in fields(self):
            self._check(field.name, getattr(self, field.name))
        if self.clusters > 1:
            try:
                _ = self.cluster
            except ConfigError as error:
                raise ConfigError(f"in each of the {self.clusters} clusters, {error}") from None
            return
        if not 8 <= self.width <= 24:
            raise ConfigError(
                f"integer_bits + fraction_bits = {self.width}: words of 8 to 24 bits are built; change either"
            )
        if self.b_width > self.width:
            raise ConfigError(f"weight_bits = {self.weight_bits}: operand B is no wider than the {self.width} bits of a value; "
                              f"choose 4 to {self.width}, or leave it out")
        if self.b_memory == "ram" and self.lines_per_beat != 1:
            raise ConfigError(f"b_memory = 'ram': takes one row of B per cycle; set lines_per_beat = {self.lines_per_beat} "
                              "to 1, or b_memory to 'registers'")
        for banks, need, what in (
            ("activation_banks", max(self.grid_rows, self.grid_columns), "max(grid_rows, grid_columns)"),
            ("weight_banks", self.grid_columns, "grid_columns"),
            ("weight_banks", self.memory_ports, "memory_ports"),
        ):
            if getattr(self, banks) < need:
                raise ConfigError(f"{banks} = {getattr(self, banks)}: needs at least {what} = {need}; raise it")
        for tiles, banks in (("activation_tiles", "activation_banks"), ("weight_tiles", "weight_banks")):
            if getattr(self, tiles) % getattr(self, banks):
                raise ConfigError(
                    f"{tiles} = {getattr(self, tiles)}: must be a multiple of {banks} = {getattr(self, banks)}"
                )

    def _check(self, name, value):
        if name == "name":
            if not (isinstance(value, str) and value.isidentifier()):
                raise ConfigError(f"name = {value!r}: use letters, digits and _ only")
        elif name == "functions":
            if not isinstance(value, tuple) or any(f not in _FUNCTIONS for f in value):
                raise ConfigError(f"functions = {value!r}: a list, of {', '.join(_FUNCTIONS)}")
        elif name in DIVIDED and self.clusters != 1:
            count = RULES["clusters"][0](self.clusters) and self.clusters
            if not isinstance(value, int) or isinstance(value, bool) or value < 1 or count and value % count:
                raise ConfigError(f"{name} = {value!r}: is divided over {self.clusters} clusters; choose a multiple of that")
        elif value is not None or name not in _OPTIONAL:
            check, remedy = RULES[name]
            kind = str if name in ("skip", "b_memory", "wires") else int
            if not isinstance(value, kind) or isinstance(value, bool) or not check(value):
                raise ConfigError(f"{name} = {value!r}: {remedy}")

    @classmethod
    def from_dict(cls, values):
        """Build from plain values, refusing unknown fields with the closest known one."""
        known = {field.name for field in fields(cls)}
        for key in values:
            if key not in known:
                raise ConfigError(unknown_name("field", key, known))
        values = dict(values)
        if isinstance(values.get("functions"), list):
            values["functions"] = tuple(values["functions"])
        return cls(**values)

    @classmethod
    def load(cls, source):
        """Read a preset by name or a TOML file by path."""
        path = _PRESET_FOLDER / f"{source}.toml" if str(source) in PRESETS else Path(source)
        if not path.is_file():
            raise ConfigError(f"config = {str(source)!r}: neither a preset ({', '.join(PRESETS)}) nor a file")
        try:
            values = tomllib.loads(path.read_text())
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"config = {str(source)!r}: not valid TOML: {error}") from None
        values.setdefault("name", path.stem.replace("-", "_"))
        return cls.from_dict(values)

    def to_dict(self):
        """Plain values, as they stand in a TOML file; what is left out there, or adds no parts, is left out."""
        values = {**asdict(self), "functions": list(self.functions)}
        return {name: value for name, value in values.items() if value is not None and _PLAIN.get(name) != value}

    def to_json(self):
        """The fields as JSON text with sorted keys: the identity of a configuration."""
        return json.dumps(self.to_dict(), sort_keys=True)

    @property
    def cluster(self):
        """The configuration of one cluster: this one, if there is no other."""
        if self.clusters == 1:
            return self
        return replace(self, clusters=1, **{name: getattr(self, name) // self.clusters for name in DIVIDED})

    @property
    def width(self):
        """Bits of a value, W."""
        return self.integer_bits + self.fraction_bits

    @property
    def b_width(self):
        """Bits of a value of operand B."""
        return self.width if self.weight_bits is None else self.weight_bits

    @property
    def scale_bits(self):
        """Bits of the scale that every column of narrow weights has; none, if they are as wide as other values."""
        return SCALE_BITS if self.b_width < self.width else 0

    @property
    def accumulator_width(self):
        """Bits of an exact sum of `max_inner` products plus a bias aligned to them."""
        return self.width + self.b_width + (self.max_inner - 1).bit_length()

    @property
    def mask_bits(self):
        """Bits of a tile's mask."""
        return self.tile * self.tile

    @property
    def line_bits(self):
        """Bits of one packed line of T values."""
        return self.tile * self.width

    @property
    def weight_line_bits(self):
        """Bits of one packed line of T weights."""
        return self.tile * self.b_width

    @property
    def vector_line_bits(self):
        """Bits of a line of the vector buffer: T values, and behind them T scales."""
        return self.tile * (self.width + self.scale_bits)

    @property
    def words_per_slot(self):
        """Buffer words (beats of `lines_per_beat` lines) in the slot of one tile."""
        return self.tile // self.lines_per_beat

    @property
    def pes(self):
        """PEs in the grid."""
        return self.grid_rows * self.grid_columns

    @property
    def buffer_registers(self):
        """What of a read of a tile buffer lies between registers, see `hw.buffer.tile_buffer.TileBuffer`."""
        many = self.activation_clients * self.activation_banks > _ARBITRATED
        return ("grants",) * many + ("addresses",) * self.long_wires

    @property
    def vector_readers(self):
        """Readers of the activation buffer that softmax and layer-norm units have: of x each, and of the residual."""
        return self.softmax_units + 2 * self.layernorm_units * self.layernorm_slices

    @property
    def activation_clients(self):
        """Readers of the activation buffer: of A, of B, of stores, and those of the vector units."""
        return 3 + self.vector_readers

    @property
    def buffer_latency(self):
        """Cycles of a read of a tile buffer."""
        return 1 + len(self.buffer_registers)

    @property
    def long_wires(self):
        """Whether there are registers and skid buffers for wires that cross the chip."""
        return self.wires == "long"

    @property
    def multipliers(self):
        """Multipliers in the grid."""
        return self.pes * self.tile * self.tile

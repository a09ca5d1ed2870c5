"""Configurations from the whole range that the hardware accepts: every value of every field, and pairs of values.

Of a numeric field the values are its bounds and some between. Every pair of values of any two fields is wanted, but that
values which make a design large are only paired with those of the fields they work with (`LARGE`). Pairs that the configuration
refuses are left out, and such as would make a design too large to build, each with the reason.
"""

import random
from functools import cache
from itertools import combinations, product

from acceltran.hw.spec.activations import ACTIVATIONS
from acceltran.hw.spec.config import DIVIDED, AcceleratorConfig
from acceltran.hw.spec.errors import ConfigError

__all__ = ["DOMAINS", "LARGE", "SEED", "build_size", "configuration", "configurations", "pairs_of", "wanted_pairs"]

SEED = 1
"""Of the list that the campaign uses."""

_FUNCTIONS = tuple(entry.name for entry in ACTIVATIONS)

DOMAINS = {
    "clusters": (1, 2, 4, 8, 16),
    "tile": (8, 16),
    "fraction_bits": (3, 4, 8, 12, 20),
    "integer_bits": (1, 4, 9, 16),
    "weight_bits": (None, 4, 9, 13, 24),
    "grid_rows": (1, 2, 3, 32),
    "grid_columns": (1, 2, 3, 32),
    "activation_banks": (1, 2, 4, 8, 16, 32, 64),
    "memory_ports": (1, 2, 4, 8),
    "weight_banks": (1, 2, 4, 8, 16, 32, 64),
    "activation_tiles": (16, 192, 512, 1 << 20),
    "weight_tiles": (16, 64, 256, 1 << 20),
    "b_memory": ("registers", "ram"),
    "lines_per_beat": (1, 2, 4),
    "skip": ("none", "activation", "both"),
    "window": (2, 4, 5, 6, 8),
    "operand_slots": (2, 3),
    "psum_tiles": (1, 2, 4),
    "wires": ("short", "long"),
    "vector_lines": (16, 96, 1 << 16),
    "bus_width": (64, 128, 256, 512),
    "address_bits": (32, 64),
    "burst_beats": (4, 8, 16, 32, 64),
    "outstanding_reads": (1, 2, 5, 16),
    "softmax_units": (1, 2, 3, 64),
    "layernorm_units": (1, 2, 3, 64),
    "layernorm_slices": (1, 2, 4),
    "functions": ((), _FUNCTIONS[:1], _FUNCTIONS[1:3], _FUNCTIONS[3:], _FUNCTIONS),
    "max_inner": (256, 512, 1024, 2048, 4096, 8192),
    "prune_curves": (4, 8, 16, 32),
    "instruction_queue": (2, 4, 8, 16),
}
"""Values of every field; of those that are divided over clusters, the share of one."""

LARGE = {
    "tile": (16, ("fraction_bits", "skip", "lines_per_beat", "bus_width", "b_memory")),
    "clusters": (8, ("grid_rows", "memory_ports")),
    "grid_rows": (32, ("psum_tiles", "operand_slots")),
    "grid_columns": (32, ("psum_tiles", "lines_per_beat")),
    "activation_banks": (16, ("lines_per_beat", "wires")),
    "weight_banks": (16, ("lines_per_beat", "memory_ports")),
    "softmax_units": (64, ("lines_per_beat",)),
    "layernorm_units": (64, ("lines_per_beat",)),
}
"""From which value on a field makes a design large, and with which fields such values are paired."""

_OPEN = {"clusters": 1, "tile": 8, "weight_bits": None, "grid_rows": 1, "grid_columns": 1, "activation_banks": 2,
         "memory_ports": 1, "weight_banks": 2, "activation_tiles": 512, "weight_tiles": 256, "b_memory": "registers",
         "lines_per_beat": 1, "layernorm_slices": 1, "softmax_units": 1, "layernorm_units": 1, "vector_lines": 96}
"""What leaves most room to the fields that are not chosen yet."""

_WAYS = 2
"""Ways to fill up a pair of which the best is taken."""

_MISSING = "not chosen"
_PLACES = {field: place for place, field in enumerate(DOMAINS)}

_MOST = {"PEs": 32, "multipliers": 2304, "banks": 80, "units": 66, "PEs, banks and units": 100, "bits of buffers": 1 << 31}
"""What is built and simulated: of most designs a minute or two, of the largest ten."""


def configuration(values, name="drawn"):
    """The AcceleratorConfig of values as `DOMAINS` has them; ConfigError if it is refused, or too large."""
    clusters = values["clusters"]
    config = AcceleratorConfig(name=name, **{field: value * clusters if field in DIVIDED else value
                                             for field, value in values.items()})
    for what, size in build_size(config).items():
        if size > _MOST[what]:
            raise ConfigError(f"{size:,} {what}: the campaign builds up to {_MOST[what]:,}")
    return config


def build_size(config):
    """What makes a design long to build or to simulate, by the names of what is counted."""
    units = config.softmax_units + config.layernorm_units * config.layernorm_slices
    banks = config.activation_banks + config.weight_banks
    bits = (config.activation_tiles * config.line_bits + config.weight_tiles * config.weight_line_bits) * config.tile
    return {"PEs": config.pes, "multipliers": config.multipliers, "banks": banks, "units": units,
            "PEs, banks and units": config.pes + banks + units,
            "bits of buffers": bits + config.vector_lines * config.vector_line_bits}


def wanted_pairs():
    """Every ((field, value), (field, value)) that the list should have."""
    return {pair for one, other in combinations(DOMAINS, 2) for pair in product(
        product([one], DOMAINS[one]), product([other], DOMAINS[other])) if _wanted(*pair)}


def _wanted(one, other):
    large = [(name, beside) for (name, value), (beside, _) in ((one, other), (other, one)) if _is_large(name, value)]
    return not large or any(beside in LARGE[name][1] for name, beside in large)


def _is_large(field, value):
    return field in LARGE and value >= LARGE[field][0]


class _Refusals:
    """Why fields cannot stand together, whatever the others are; asked of the configuration once for each set of values."""

    def __init__(self):
        self._known = {}

    def __call__(self, values):
        """The reason, or None."""
        key = tuple(values.get(field, _MISSING) for field in DOMAINS)
        if key not in self._known:
            self._known[key] = self._ask(values)
        return self._known[key]

    @staticmethod
    def _ask(values):
        widths = [(values[field],) if field in values else DOMAINS[field] for field in ("integer_bits", "fraction_bits")]
        reason = None
        # Most words of about 22 bits are accepted, whatever the other fields are.
        for integer_bits, fraction_bits in sorted(product(*widths), key=lambda bits: abs(sum(bits) - 22)):
            chosen = _OPEN | {"integer_bits": integer_bits, "fraction_bits": fraction_bits} | values
            for tiles, banks in (("activation_tiles", "activation_banks"), ("weight_tiles", "weight_banks")):
                if banks not in values:
                    need = max(chosen["grid_columns"], *((chosen["grid_rows"],) if banks == "activation_banks" else
                                                         (chosen["memory_ports"],)))
                    chosen[banks] = min((bank for bank in DOMAINS[banks] if bank >= need), default=need)
                if tiles not in values:
                    chosen[tiles] = min(count for count in DOMAINS[tiles] if count % chosen[banks] == 0)
            try:
                configuration({field: chosen.get(field, domain[0]) for field, domain in DOMAINS.items()})
            except ConfigError as error:
                reason = str(error)
            else:
                return None
        return reason


def pairs_of(values):
    """Every ((field, value), (field, value)) of values as `DOMAINS` has them."""
    return set(combinations(values.items(), 2))


@cache
def configurations(seed=SEED):
    """The configurations of a seed, the smallest first.

    Returns
    -------
    list of (values as `DOMAINS` has them, AcceleratorConfig), and {pair that is in none: reason}
    """
    rng, refused = random.Random(seed), _Refusals()
    every = wanted_pairs()
    left = {pair: reason for pair in sorted(every, key=repr) if (reason := refused(dict(pair)))}
    missing, chosen = every - left.keys(), []
    for pair in rng.sample(sorted(missing, key=repr), len(missing)):
        if pair not in missing:
            continue
        rows = [row for _ in range(_WAYS) if (row := _filled(dict(pair), missing, refused, rng))]
        if not rows:
            left[pair] = f"{_WAYS} ways to choose the other fields are refused"
            missing.remove(pair)
            continue
        best = max(rows, key=lambda row: len(pairs_of(row) & missing))
        missing -= pairs_of(best)
        chosen.append(best)
    chosen.sort(key=lambda row: build_size(configuration(row))["PEs, banks and units"])
    return [(row, configuration(row, f"drawn_{seed}_{number}")) for number, row in enumerate(chosen, 1)], left


def _filled(row, missing, refused, rng):
    """A whole row from two fields, each further value being the one of most missing pairs; None if nothing fits."""
    for field in rng.sample(list(DOMAINS), len(DOMAINS)):
        if field in row:
            continue
        values = rng.sample(DOMAINS[field], len(DOMAINS[field]))
        new = {value: sum(_pair((field, value), other) in missing for other in row.items()) for value in values}
        row = next((full for value in sorted(values, key=lambda value: (-new[value], _is_large(field, value)))
                    if not refused(full := row | {field: value})), None)
        if row is None:
            return None
    return _in_order(row)


def _pair(one, other):
    return (one, other) if _PLACES[one[0]] < _PLACES[other[0]] else (other, one)


def _in_order(row):
    return {field: row[field] for field in DOMAINS if field in row}

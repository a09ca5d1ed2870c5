"""Every table of the hardware against mathematics in 40 digits, which shares nothing with what makes or reads the tables.

What a table holds is worked out here from its description in docs/numerics.md: a polynomial through the Chebyshev nodes of each
segment, its coefficients rounded half up. The gates are then asked, in Amaranth's own simulator, for what these integers give.
"""

import ast
from fractions import Fraction
from pathlib import Path

import mpmath
import numpy as np
import pytest
from amaranth.sim import Simulator
from mpmath import mp, mpf

from acceltran.hw.interpolator import Interpolator
from acceltran.hw.post_process.activation_function import ActivationFunction
from acceltran.hw.spec.activations import ACTIVATIONS, function_format
from acceltran.hw.spec.exponential import coefficients
from acceltran.hw.spec.logarithm import TABLE as LOGARITHM
from acceltran.hw.spec.rsqrt import RSQRT
from acceltran.hw.vector.exponential import Exponential
from acceltran.sw.golden.layernorm import layernorm_fields
from acceltran.sw.golden.softmax import logit_factor

SPEC = Path(__file__).parents[2] / "hw" / "spec"
DIGITS = 40

TAILS = {
    "gelu": lambda u: u / 2 * mpmath.erfc(u / mpmath.sqrt(2)),
    "tanh": mpmath.tanh,
    "silu": lambda u: u / (1 + mpmath.exp(u)),
    "gelu_tanh": lambda u: u / 2 * (1 - mpmath.tanh(mpmath.sqrt(2 / mp.pi) * (u + mpf("0.044715") * u**3))),
    "quick_gelu": lambda u: u / (1 + mpmath.exp(mpf("1.702") * u)),
}
ENDS = {"gelu": 8, "tanh": 8, "silu": 16, "gelu_tanh": 8, "quick_gelu": 16}
FORMATS = {8: (10, 4, 1, 4), 9: (11, 8, 2, 6), 10: (12, 8, 2, 6), 11: (13, 8, 2, 6), 12: (14, 16, 3, 8), 13: (15, 16, 3, 8),
           20: (16, 16, 3, 8)}
"""By width: fraction bits, segments per unit of the argument, zero bits at the end of slopes and curvatures."""


@pytest.fixture(autouse=True)
def digits():
    with mp.workdps(DIGITS):
        yield


def half_up(x):
    return int(mpmath.floor(x + mpf(1) / 2))


def quadratic(function, lower, upper, segments, fraction_bits, zeros=(0, 0)):
    """Rounded c0, c1, c2 of each segment, in powers of the distance from its centre."""
    rows, scale = [], 2**fraction_bits
    half = mpf(upper - lower) / segments / 2
    away = half * mpmath.sqrt(3) / 2
    for n in range(segments):
        centre = lower + (2 * n + 1) * half
        low, middle, high = (function(centre + place * away) for place in (-1, 0, 1))
        c1, c2 = (half_up(c * scale) for c in ((high - low) / (2 * away), (high + low - 2 * middle) / (2 * away**2)))
        rows.append((half_up(middle * scale), *(half_up(mpf(c) / 2**z) * 2**z for c, z in zip((c1, c2), zeros, strict=True))))
    return rows


def linear(function, segments, fraction_bits, slope_bits):
    """Rounded value and slope of each segment of 0 to 1, through the two Chebyshev nodes."""
    half = mpf(1) / segments / 2
    away = half / mpmath.sqrt(2)
    rows = []
    for n in range(segments):
        low, high = (function((2 * n + 1) * half + place * away) for place in (-1, 1))
        rows.append((half_up((low + high) / 2 * 2**fraction_bits), half_up((low - high) / (2 * away) * 2**slope_bits)))
    return rows


def rsqrt(x):
    """Of 1 to 2, and of 2 to 4 behind it."""
    return 1 / mpmath.sqrt(1 + x) if x < 1 else 1 / mpmath.sqrt(2 * x)


def _activation(width, name):
    frac, per_unit, *zeros = FORMATS[width]
    return quadratic(TAILS[name], 0, ENDS[name], ENDS[name] * per_unit, frac + 1, zeros)


def _exponential():
    """In the gates a half of what is cut off, two units, is in the base: it rounds."""
    return [(base + 2, slope) for base, slope in linear(lambda x: mpf(2) ** -x, 64, 19, 19 - 16 + 9)]


TABLES = {f"{name}_{width}": (lambda width=width, name=name: function_format(width).table(name).coefficients,
                              lambda width=width, name=name: _activation(width, name))
          for name in TAILS for width in FORMATS}
TABLES |= {
    "exponential": (coefficients, _exponential),
    "logarithm": (lambda: LOGARITHM.coefficients, lambda: quadratic(lambda x: mpmath.log(x, 2), 1, 2, 32, 16 + 3)),
    "rsqrt": (lambda: RSQRT.coefficients, lambda: quadratic(rsqrt, 0, 2, 32, 17 + 3)),
}


def differences(columns, rows):
    """Places, as (column, row), in which a table is not what it must be."""
    return np.argwhere(np.array(columns) != np.array(rows).T).tolist()


@pytest.mark.parametrize("name", TABLES)
def test_every_entry(name):
    """Each is what it must be; and if one is a unit more or less, whichever it is, that is seen."""
    held, made = TABLES[name]
    columns, rows = held(), made()
    assert not differences(columns, rows)
    for c, n in np.ndindex(len(columns), len(rows)):
        for unit in (-1, 1):
            changed = np.array(columns)
            changed[c, n] += unit
            assert differences(changed, rows) == [[c, n]]


def test_no_table_is_left_out():
    """Whoever adds one to `hw.spec` adds it here."""
    made = {path.stem for path in SPEC.glob("*.py") for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("QuadraticTable", "CoarseTable")
            or isinstance(node, ast.FunctionDef) and node.name == "coefficients"}
    assert made == {"activations", "exponential", "logarithm", "rsqrt", "quadratic_table", "table_bank"}
    assert {a.name for a in ACTIVATIONS if a.tail} == set(TAILS)
    assert {width: function_format(width).frac for width in FORMATS} == {width: frac for width, (frac, *_) in FORMATS.items()}
    assert {function_format(width).frac for width in range(8, 25)} == {frac for frac, *_ in FORMATS.values()}


def quadratic_value(row, t, frac, guard):
    """What the gates make of a segment, t units from its centre, rounded half up."""
    c0, c1, c2 = row
    return c0 + (1 << guard >> 1) + ((c1 + (c2 * t >> frac)) * t >> frac) >> guard


def linear_value(row, t):
    base, slope = row
    return base - (slope * t >> 9) >> 2


def arguments(bits, segments):
    """(argument, segment, distance from its centre) at the ends, centres and quarters of all segments of so many bits."""
    half = (1 << bits) // segments // 2
    for n in range(segments):
        for t in (-half, -half // 2, 0, half // 2, half - 1):
            yield (2 * n + 1) * half + t, n, t


def activation_results(width, name):
    """(argument, result) of a table of an activation function."""
    frac, per_unit, *_ = FORMATS[width]
    rows, bits = _activation(width, name), (ENDS[name] << frac).bit_length() - 1
    return [(u, quadratic_value(rows[n], t, frac, 1)) for u, n, t in arguments(bits, len(rows))]


def exponential_results():
    rows = _exponential()
    return [(u, linear_value(rows[n], t)) for u, n, t in arguments(16, len(rows))]


def logarithm_results():
    rows = TABLES["logarithm"][1]()
    return [(u, quadratic_value(rows[n], t, 20, 3)) for u, n, t in arguments(20, len(rows))]


def rsqrt_results():
    rows = TABLES["rsqrt"][1]()
    return [(u, quadratic_value(rows[n], t, 17, 3)) for u, n, t in arguments(18, len(rows))]


@pytest.mark.parametrize("width", FORMATS)
@pytest.mark.parametrize("name", TAILS)
def test_functions_are_within_a_unit(width, name):
    """And where the table ends, so is what the function is from there on."""
    scale, limit = 2**FORMATS[width][0], int(name == "tanh")
    assert max(abs(y - TAILS[name](mpf(u) / scale) * scale) for u, y in activation_results(width, name)) < 1
    assert abs(TAILS[name](ENDS[name]) - limit) * scale < mpf(1) / 4


def test_the_others_are_within_what_is_promised():
    """Of 2**-16, 2**-16 and 2**-17; 1/sqrt(1) is held below 1."""
    assert max(abs(mpf(y) / 2 - mpf(2) ** (16 - mpf(u) / 2**16)) for u, y in exponential_results()) < 0.9
    assert max(abs(y - mpmath.log(1 + mpf(u) / 2**20, 2) * 2**16) for u, y in logarithm_results()) < 0.6
    assert max(abs(min(y, 2**17 - 1) - rsqrt(mpf(u) / 2**17) * 2**17) for u, y in rsqrt_results()) <= 1


def answers(component, given):
    """What a pipelined component answers to signals given cycle by cycle."""
    seen = []

    async def bench(ctx):
        ctx.set(component.enable, 1)
        for cycle in range(len(given) + component.latency):
            for name, value in given[min(cycle, len(given) - 1)].items():
                ctx.set(getattr(component, name), value)
            if cycle >= component.latency:
                seen.append(ctx.get(component.o))
            await ctx.tick()

    simulator = Simulator(component)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    return seen


@pytest.mark.parametrize(("component", "results"), [
    (Exponential, exponential_results), (lambda: Interpolator(table=LOGARITHM), logarithm_results),
    (lambda: Interpolator(table=RSQRT), rsqrt_results),
])
def test_gates(component, results):
    wanted = results()
    assert answers(component(), [{"u": u} for u, _ in wanted]) == [y for _, y in wanted]


@pytest.mark.parametrize("width", [8, 20])
def test_gates_of_the_functions(width):
    """All in one block, for arguments of both signs."""
    frac, given, wanted = FORMATS[width][0], [], []
    for name in TAILS:
        code = next(a.code for a in ACTIVATIONS if a.name == name)
        beyond = (100 << frac, activation_results(width, name)[-1][1])
        for u, tail in [*activation_results(width, name), beyond]:
            given += [{"x": u, "code": code}, {"x": -u, "code": code}]
            wanted += [tail, -tail] if name == "tanh" else [u - tail, -tail]
    assert answers(ActivationFunction(width=width, functions=[a.name for a in ACTIVATIONS]), given) == wanted


def test_factors_that_software_computes():
    """log2(e) / sqrt(d) of attention, and 1/N of layer-norm: 24 bits, the highest set, the nearest to the fraction."""
    for size in (*range(1, 130), 768, 1024):
        assert abs(mpf(logit_factor(size)) - 1 / (mpmath.log(2) * mpmath.sqrt(size))) < mpf(2) ** -52
    for n in range(8, 4097, 8):
        fields = layernorm_fields(n=n, x_frac=10, x_max=1.0, gamma_frac=10, beta_frac=10, o_frac=10, eps=1e-5, width=20)
        power = fields["reciprocal_shift"] + 3
        assert fields["reciprocal"].bit_length() == 24
        assert abs(Fraction(fields["reciprocal"]) - Fraction(2**power, n)) <= Fraction(1, 2)

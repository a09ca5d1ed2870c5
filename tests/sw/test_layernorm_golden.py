"""Layer-norm in integers against float64 on the same operands, with the bounds its docstring states."""

import pytest
import torch

from acceltran.hw.spec.isa import INSTRUCTIONS, Opcode
from acceltran.hw.spec.layernorm import EPSILON_BITS, RECIPROCAL_BITS
from acceltran.sw.golden.fixed import quantise
from acceltran.sw.golden.layernorm import layernorm, layernorm_fields

FIELD_BITS = {f.name: (f.bits, f.signed) for i in INSTRUCTIONS if i.opcode == Opcode.LAYERNORM for f in i.fields}


def compare(x, x_frac, *, r=None, r_frac=None, gamma_max=1.0, beta=0.2, o_frac, eps=1e-12, width=20, gamma_frac=None):
    """Error of the golden function in units of 2**-o_frac, against float64 on the quantised operands."""
    n = x.shape[1]
    generator = torch.Generator().manual_seed(7)
    gamma_frac = width - 2 if gamma_frac is None else gamma_frac
    g = quantise((0.5 + 0.5 * torch.rand(n, generator=generator)) * gamma_max, gamma_frac, width)
    b = quantise(beta * torch.randn(n, generator=generator), width - 2, width)
    xi = quantise(x, x_frac, width)
    ri = None if r is None else quantise(r, r_frac, width)
    fields = layernorm_fields(
        n=n, x_frac=x_frac, r_frac=r_frac, x_max=(xi.abs().max() / 2.0**x_frac).item(),
        r_max=None if r is None else (ri.abs().max() / 2.0**r_frac).item(),
        gamma_frac=gamma_frac, beta_frac=width - 2, o_frac=o_frac, eps=eps, width=width)
    check_fields(fields)
    y = layernorm(xi, g, b, residual=ri, width=width, **fields)
    v = xi / 2.0**x_frac if r is None else xi / 2.0**x_frac + ri / 2.0**r_frac
    v = v.double()
    centred = v - v.mean(-1, keepdim=True)
    deviation = (centred.square().mean(-1, keepdim=True) + eps).sqrt()
    exact = centred / deviation * g / 2.0**gamma_frac + b / 2.0 ** (width - 2)
    limit = 1 << width - 1
    return (y - (exact * 2.0**o_frac).clamp(-limit, limit - 1)).abs()


def check_fields(fields):
    for name, value in fields.items():
        bits, is_signed = FIELD_BITS[name]
        low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if is_signed else (0, (1 << bits) - 1)
        assert low <= value <= high, name
    assert fields["reciprocal"] >> RECIPROCAL_BITS - 1 == 1
    assert FIELD_BITS["reciprocal"][0] == RECIPROCAL_BITS and FIELD_BITS["epsilon"][0] == EPSILON_BITS


def normal(rows, n, scale=1.0, mean=0.0, seed=1):
    return torch.randn(rows, n, generator=torch.Generator().manual_seed(seed)).double() * scale + mean


@pytest.mark.parametrize("n", [16, 32, 128, 384, 768, 1024])
@pytest.mark.parametrize("scale", [0.02, 0.3, 1.5])
def test_bound_at_twenty_bits(n, scale):
    frac = 16 if scale > 1 else 19 - (scale > 0.1) * 2 - 1
    error = compare(normal(64, n, scale), frac, o_frac=16)
    assert error.max() <= 4 and error.square().mean().sqrt() < 1


@pytest.mark.parametrize(("x_frac", "r_frac", "r_scale"), [(16, 16, 1), (16, 15, 2), (15, 18, 0.3), (17, 14, 4),
                                                           (14, 20, 0.05)])
def test_bound_with_residual(x_frac, r_frac, r_scale):
    x, r = normal(64, 384, 0.9, seed=2), normal(64, 384, r_scale, seed=3)
    error = compare(x, x_frac, r=r, r_frac=r_frac, o_frac=16)
    assert error.max() <= 5 and error.square().mean().sqrt() < 1.2


def test_outliers_and_large_gamma():
    """One column twenty deviations out, gamma up to 4, outputs of 30 and more: relative error of a unit of 2**-14."""
    x = normal(64, 384)
    x[:, 3] = 18.0
    error = compare(x, 14, gamma_max=4.0, gamma_frac=16, o_frac=12)
    assert error.max() <= 2


def test_mean_far_larger_than_deviation():
    """The mean is rounded to 1/8 of v's step: the bound grows with step over deviation, and only with that."""
    for scale, bound in ((0.1, 5), (0.01, 12), (0.001, 90)):
        assert compare(normal(64, 384, scale, 7.0), 16, o_frac=16).max() <= bound


def test_epsilon_dominates():
    assert compare(normal(64, 128, 1e-3), 20, o_frac=16, eps=1e-5).max() <= 4
    assert compare(torch.zeros(4, 128), 20, o_frac=16, eps=1e-5).max() <= 0.5


def test_constant_rows_give_beta():
    x = torch.tensor([[0], [5], [-(1 << 19)], [(1 << 19) - 1]]).repeat(1, 48)
    gamma, beta = torch.full((48,), 1 << 18), torch.arange(-24, 24) << 8
    fields = layernorm_fields(n=48, x_frac=16, x_max=8.0, gamma_frac=18, beta_frac=16, o_frac=16, eps=0.0, width=20)
    assert (layernorm(x, gamma, beta, width=20, **fields) == beta).all()


@pytest.mark.parametrize(("width", "frac"), [(8, 4), (12, 8), (16, 12), (24, 20)])
def test_other_widths(width, frac):
    error = compare(normal(64, 128), frac, o_frac=min(frac, 16), width=width)
    assert error.max() <= (4 if width == 24 else 1.5)


def test_pruning_is_strict():
    x, gamma, beta = quantise(normal(8, 64), 16, 20), torch.full((64,), 1 << 18), torch.zeros(64, dtype=torch.int64)
    fields = layernorm_fields(n=64, x_frac=16, x_max=8.0, gamma_frac=18, beta_frac=18, o_frac=16, eps=1e-12, width=20)
    plain = layernorm(x, gamma, beta, width=20, **fields)
    tau = int(plain.abs().median())
    pruned = layernorm(x, gamma, beta, tau=tau, width=20, **fields)
    assert (pruned == torch.where(plain.abs() >= tau, plain, 0)).all()
    assert (pruned.abs() == tau).any() and (pruned == 0).any()


def test_binary_points_that_cannot_be_aligned():
    common = {"n": 64, "x_frac": 16, "x_max": 8.0, "eps": 1e-12, "width": 20}
    with pytest.raises(ValueError, match="beta_frac"):
        layernorm_fields(**common, gamma_frac=10, beta_frac=30, o_frac=10)
    with pytest.raises(ValueError, match="o_frac"):
        layernorm_fields(**common, gamma_frac=10, beta_frac=10, o_frac=30)
    for name, frac in (("beta_frac", 18), ("gamma_frac", 21)):
        with pytest.raises(ValueError, match=name):
            layernorm_fields(**common, **{"gamma_frac": 10, "beta_frac": 10, "o_frac": 10} | {name: frac})


def test_shifts_that_the_unit_does_not_have():
    x, gamma, beta = torch.zeros(1, 16, dtype=torch.int64), *torch.zeros(2, 16, dtype=torch.int64)
    fields = layernorm_fields(n=16, x_frac=16, x_max=8.0, gamma_frac=18, beta_frac=18, o_frac=16, eps=1e-12, width=20)
    for wrong in ({"shift": 10, "beta_shift": 10}, {"shift": 27, "beta_shift": 27}, {"beta_shift": 10}, {"beta_shift": 19}):
        with pytest.raises(ValueError, match="beta_shift"):
            layernorm(x, gamma, beta, width=20, **fields | wrong)

"""The exact product, on every path: one BLAS product, digits, and int64."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from acceltran.sw.golden.matmul import matmul


def exact(a, b):
    return torch.tensor([[sum(x * y for x, y in zip(row, column, strict=True)) for column in b.T.tolist()]
                         for row in a.tolist()])


@settings(max_examples=60)
@given(st.integers(1, 7), st.integers(1, 40), st.integers(1, 5), st.integers(1, 29), st.integers(1, 28),
       st.integers(0, 99))
def test_matches_python_integers(rows, inner, columns, a_bits, b_bits, seed):
    generator = torch.Generator().manual_seed(seed)
    a = torch.randint(-(1 << a_bits), 1 << a_bits, (rows, inner), generator=generator)
    b = torch.randint(-(1 << b_bits), 1 << b_bits, (inner, columns), generator=generator)
    assert (matmul(a, b) == exact(a, b)).all()


@pytest.mark.parametrize("bits", [20, 24, 29])
def test_extremes(bits):
    a, b = torch.full((2, 24), -(1 << (bits - 1))), torch.full((24, 3), -(1 << (bits - 1)))
    b[:, 1] = (1 << (bits - 1)) - 1
    b[:, 2] = 1
    assert (matmul(a, b) == exact(a, b)).all()


def test_one_large_operand_falls_back_to_integers():
    a, b = torch.tensor([[1 << 50, 3]]), torch.tensor([[5], [(1 << 11) + 1]])
    assert matmul(a, b).item() == 5 * (1 << 50) + 3 * ((1 << 11) + 1)


def test_batches_and_zeros():
    generator = torch.Generator().manual_seed(7)
    a = torch.randint(-9, 9, (3, 4, 5), generator=generator)
    b = torch.randint(-9, 9, (5, 2), generator=generator)
    assert (matmul(a, b)[1] == exact(a[1], b)).all()
    assert not matmul(torch.zeros(2, 3, dtype=torch.int64), torch.ones(3, 4, dtype=torch.int64)).any()
    assert matmul(torch.zeros(0, 3, dtype=torch.int64), torch.ones(3, 4, dtype=torch.int64)).shape == (0, 4)


def test_refuses_what_exceeds_63_bits():
    with pytest.raises(OverflowError, match="63 bits"):
        matmul(torch.tensor([[1 << 40]]), torch.tensor([[1 << 23]]))

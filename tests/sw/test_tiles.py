"""Packed tiles survive every way there and back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acceltran.sw.golden.tiles import from_stream, pack_bits, pack_tile, to_stream, unpack_bits, unpack_tile


@pytest.mark.parametrize("density", [0.0, 0.02, 0.5, 1.0])
@pytest.mark.parametrize(("size", "width"), [(8, 20), (16, 8), (16, 20)])
def test_stream_round_trip(size, width, density):
    rng = np.random.default_rng(1)
    shape = (3 * size - 5, 2 * size)
    matrix = rng.integers(-(1 << (width - 1)), 1 << (width - 1), shape) * (rng.random(shape) < density)
    raw = to_stream(matrix, size, width)
    back, used = from_stream(raw + b"\xff" * 7, 3, 2, size, width)
    assert used == len(raw)
    assert (back[: matrix.shape[0]] == matrix).all()
    assert not back[matrix.shape[0]:].any()


@given(st.lists(st.integers(-(1 << 19), (1 << 19) - 1), min_size=1, max_size=20))
def test_bits_round_trip(values):
    assert unpack_bits(pack_bits(values, 20), 20, len(values)).tolist() == values


def test_packed_form_is_row_major_and_dense():
    tile = np.zeros((8, 8), dtype=np.int64)
    tile[1, 2], tile[0, 7], tile[7, 0] = 5, 4, -6
    mask, lines = pack_tile(tile)
    assert lines.tolist() == [[4, 5, -6, 0, 0, 0, 0, 0]]
    assert (unpack_tile(mask, lines) == tile).all()

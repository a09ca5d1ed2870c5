"""The threshold of a wanted sparsity, against exact interpolation."""

import torch

from acceltran.sw.golden.threshold import threshold


def test_threshold():
    knots = torch.tensor([[0, 10, 20, 30, 40, 50, 60, 70, 80], [8, 7, 6, 5, 4, 3, 2, 1, 0], [5] * 9])
    assert threshold(knots, 0).tolist() == [0, 8, 5]
    assert threshold(knots, 256).tolist() == threshold(knots, 400).tolist() == [80, 0, 5]
    assert threshold(knots, 33).tolist() == [10, 6, 5]
    assert threshold(knots[0], 128).tolist() == 40
    exact = knots.double() @ torch.eye(9).double()
    for target in range(257):
        line = torch.lerp(exact[:, min(target // 32, 7)], exact[:, min(target // 32, 7) + 1],
                          target / 32 - min(target // 32, 7))
        error = line - threshold(knots, target)
        assert (error > -1e-9).all() and (error < 1).all()

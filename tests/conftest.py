"""One thread for PyTorch: its tensors here are small, and builds run beside it. Nothing is fetched by transformers.

What the tests of every day simulate is short, and its simulators are built for that; slow ones have the simulators of users.
"""

import os

import pytest
import torch

from acceltran.sim.design import SHORT_RUNS

os.environ["HF_HUB_OFFLINE"] = "1"

torch.set_num_threads(1)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    os.environ[SHORT_RUNS] = "" if item.get_closest_marker("slow") else "1"

"""One thread for PyTorch: its tensors here are small, and builds run beside it. Nothing is fetched by transformers.

Nothing is random: generators begin every test alike, and hypothesis tries the same examples, however long it takes.
What the tests of every day simulate is short, and its simulators are built for that; slow ones have the simulators of users.
"""

import os
import random

import numpy as np
import pytest
import torch
from hypothesis import settings

from acceltran.sim.design import SHORT_RUNS

os.environ["HF_HUB_OFFLINE"] = "1"

torch.set_num_threads(1)

settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("same")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    os.environ[SHORT_RUNS] = "" if item.get_closest_marker("slow") else "1"

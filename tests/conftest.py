"""One thread for PyTorch: its tensors here are small, and builds run beside it."""

import torch

torch.set_num_threads(1)

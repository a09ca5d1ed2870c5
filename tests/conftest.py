"""One thread for PyTorch: its tensors here are small, and builds run beside it. Nothing is fetched by transformers."""

import os

import torch

os.environ["HF_HUB_OFFLINE"] = "1"

torch.set_num_threads(1)

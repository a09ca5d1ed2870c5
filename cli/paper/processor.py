"""BERT-Tiny on the processor at hand: what the accelerator is compared with."""

import os
import platform
import re
import tempfile
import time
import warnings
from pathlib import Path
from statistics import median

import onnxruntime
import torch
from transformers import AutoModelForSequenceClassification

from ..options import DEFAULT_MODEL

__all__ = ["cpu"]

_TOKENS = 128
_NAMES = ("input_ids", "attention_mask")


def cpu():
    """Seconds of a batch of sentences of 128 tokens, with PyTorch and with ONNX Runtime.

    Returns
    -------
    {"processor", "cores", "runs": [{"library", "threads", "batch", "seconds": median of 20}]}
    """
    model = AutoModelForSequenceClassification.from_pretrained(DEFAULT_MODEL, attn_implementation="eager").eval()
    found = {"processor": _processor(), "cores": os.cpu_count(), "runs": []}
    for threads in (1, 2):
        torch.set_num_threads(threads)
        session = _session(model, threads)
        for batch in (1, 4, 32):
            ids = torch.randint(1000, model.config.vocab_size, (batch, _TOKENS), generator=torch.Generator().manual_seed(1))
            mask = torch.ones_like(ids)
            arrays = dict(zip(_NAMES, (ids.numpy(), mask.numpy()), strict=True))
            with torch.inference_mode():
                seconds = {f"PyTorch {torch.__version__}": _median(lambda ids=ids, mask=mask: model(ids, attention_mask=mask)),
                           f"ONNX Runtime {onnxruntime.__version__}": _median(
                               lambda session=session, arrays=arrays: session.run(None, arrays))}
            found["runs"] += [{"library": name, "threads": threads, "batch": batch, "seconds": one}
                              for name, one in seconds.items()]
    return found


def _session(model, threads):
    """The model in ONNX Runtime."""
    axes = {name: {0: "batch", 1: "tokens"} for name in _NAMES}
    ids = torch.ones(1, _TOKENS, dtype=torch.int64)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    with tempfile.TemporaryDirectory(prefix="acceltran-") as folder, warnings.catch_warnings():
        # The exporter without further packages is called old, and says so.
        warnings.simplefilter("ignore")
        path = Path(folder) / "model.onnx"
        torch.onnx.export(model, (ids, ids), str(path), input_names=list(_NAMES), output_names=["logits"], dynamic_axes=axes,
                          dynamo=False)
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _median(call, times=20):
    call()
    seconds = []
    for _ in range(times):
        begin = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - begin)
    return median(seconds)


def _processor():
    """The name of the processor, as far as the system tells it."""
    info = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*:\s*(.+)", info.read_text()) if info.exists() else []
    return names[0] if names else platform.machine()

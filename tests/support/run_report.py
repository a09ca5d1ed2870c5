"""A made-up report of a run, and what its page shows besides, as plain values."""

__all__ = ["DETAILS", "HOSTILE", "REPORT"]

HOSTILE = "</script><script>document.title = 'taken'</script><img src=x onerror=\"document.title = 'taken'\"> & 'so' on <!--"
"""A sentence that would be markup, if nobody escaped it."""

_COUNTERS = {
    "cycles": 1000, "multiplications": 150_000, "dense_multiplications": 200_000, "skipped_multiplications": 50_000,
    "memory_busy": 900, "matrix_busy": 700, "vector_busy": 123, "memory_stalled": 50, "matrix_stalled": 40, "vector_stalled": 3,
    "bytes_read": 8_000, "bytes_written": 160, "weight_tiles": 3, "activation_tiles": 4, "a_tile_loads": 77, "b_tile_loads": 78,
    "instructions": 21, "word_reads": 5, "word_writes": 6, "lost_operands": 6_000, "lost_output": 1_000,
    "lost_imbalance": 3_000, "lost_idle": 96_000,
}


def _zeros(zeros, elements, padded):
    return {"zeros": zeros, "elements": elements, "zeros_padded": zeros + padded, "elements_padded": elements + 2 * padded,
            "sparsity": zeros / elements, "sparsity_padded": (zeros + padded) / (elements + 2 * padded)}


REPORT = {
    "config": "nano", "sentences": 2, "task": "text-classification", "kind": "text-classification",
    "host": "softmax and arg-max over the labels", "similarity_kind": None, "cycles": 1000, "planned_cycles": 990,
    "ideal_cycles": 782, "tensors_compared": 12, "mismatches": 0, "mismatched_tensors": {}, "counters": _COUNTERS,
    "multiplications": 150_000, "skipped": 50_000, "dense_multiplications": 200_000, "skipped_lines": [], "failed": [],
    "sparsity": {"query": _zeros(30, 400, 16), "probabilities": _zeros(45, 90, 60)},
    "predictions": [
        {"text": HOSTILE, "pair": "and <b>more</b>", "label": "po<i>sitive", "logits": [-1.0, 1.0], "equals_golden": True,
         "probabilities": {"po<i>sitive": 0.8808, "negative": 0.1192}},
        {"text": "dull", "label": "negative", "logits": [1.0, -1.0], "equals_golden": False,
         "probabilities": {"negative": 0.8808, "po<i>sitive": 0.1192}}],
    "fidelity": {
        "warning": None, "output": "logits", "cosine": 0.99987654, "max_error": 0.0123, "equal_labels": 1, "values": 5432,
        "saturated": 7, "vanished": 8,
        "sentences": [{"cosine": 0.99987654, "max_error": 0.0123, "label_equal": True},
                      {"cosine": 0.99999999, "max_error": 0.001, "label_equal": False}],
        "tensors": {"layer0.query": {"kind": "query", "values": 400, "saturated": 7, "vanished": 8, "cosine": 0.99,
                                     "max_error": 0.1, "largest": 9.25, "reach": 8.0},
                    "layer0.key": {"kind": "key", "values": 400, "saturated": 0, "vanished": 0, "cosine": 1.0,
                                   "max_error": 0.1, "largest": 1.0, "reach": None}}},
    "batches": [{"sentences": 2, "cycles": 1000, "utilisation": {"multipliers": 0.586}, "mismatches": 0}],
}
"""Of two sentences, the first of which is `HOSTILE`."""

DETAILS = {
    "model": {"name": "tiny<model>", "layers": 1, "heads": 2}, "options": {"--tau": "0.05"}, "clock_mhz": 250.0,
    "versions": {"AccelTran": "0.1.0"},
    "configuration": {
        "name": "nano", "tile": 16, "integer_bits": 4, "fraction_bits": 16, "grid_rows": 1, "grid_columns": 1, "skip": "both",
        "window": 4, "psum_tiles": 2, "activation_banks": 2, "weight_banks": 1, "activation_tiles": 512, "weight_tiles": 128,
        "bus_width": 128, "softmax_units": 1, "layernorm_units": 1},
    "tensors": [
        {"name": "layer0.query", "kind": "query", "head": None, "zeros": 30, "elements": 400},
        {"name": "layer0.probabilities", "kind": "probabilities", "head": 0, "zeros": 40, "elements": 45},
        {"name": "layer0.probabilities", "kind": "probabilities", "head": 1, "zeros": 5, "elements": 45}],
    "products": [{"name": "query", "none": 120_000, "activation": 110_000, "both": 100_000},
                 {"name": "context", "none": 80_000, "activation": 60_000, "both": 50_000}],
    "timeline": {
        "tracks": [
            {"group": "engines", "name": "matrix engine", "periods": [["layer0.query", 100, 400], ["</script>", 500, 620]]},
            {"group": "engines", "name": "vector engine", "periods": []},
            {"group": "units", "name": "PE 0,0", "periods": [["busy", 110, 390]]}],
        "cycles": 1000, "kinds": {"layer0.query": "query"}, "note": "It shows 2 sentences."},
}

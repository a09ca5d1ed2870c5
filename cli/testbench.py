"""The files that `acceltran generate --testbench` adds."""

from ..sim.testbench import compile_texts, compile_tiny, make_testbench
from ..sw.models.checkpoint import load_checkpoint

__all__ = ["testbench_files"]


def testbench_files(config, output, *, model, texts, length, resident):
    """The files of a testbench for --model on --text, or else for a small encoder made here."""
    if model is None:
        program, golden = compile_tiny(config, resident=resident)
    else:
        program, golden = compile_texts(config, load_checkpoint(model), texts, length, resident=resident)
    return make_testbench(program, golden, output)

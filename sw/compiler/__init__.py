"""The compiler: from a checkpoint and a sentence to a program and its memory image."""

from .compile import check_batch, compile_encoder, compile_graph, compile_quantised, largest_batch
from .errors import CapacityError, CompileError
from .outline import outline_encoder
from .program import Program
from .quantise import QuantisedEncoder, quantise_encoder

__all__ = ["CapacityError", "CompileError", "Program", "QuantisedEncoder", "check_batch", "compile_encoder",
           "compile_graph", "compile_quantised", "largest_batch", "outline_encoder", "quantise_encoder"]

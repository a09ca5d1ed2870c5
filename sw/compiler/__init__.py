"""The compiler: from a checkpoint and a sentence to a program and its memory image."""

from ..ir.errors import CapacityError, CompileError
from ..models.outline import outline_encoder
from ..models.quantise import QuantisedEncoder, quantise_encoder
from .compile import check_batch, compile_encoder, compile_graph, compile_quantised, largest_batch
from .program import Program

__all__ = ["CapacityError", "CompileError", "Program", "QuantisedEncoder", "check_batch", "compile_encoder",
           "compile_graph", "compile_quantised", "largest_batch", "outline_encoder", "quantise_encoder"]

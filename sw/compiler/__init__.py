"""The compiler: from a checkpoint and a sentence to a program and its memory image."""

from ..ir.errors import CapacityError, CompileError
from ..models.outline import outline_encoder
from ..models.quantise import QuantisedEncoder, quantise_encoder
from .compile import (
    batch_fits,
    bucket_tokens,
    check_batch,
    compile_buckets,
    compile_encoder,
    compile_graph,
    compile_quantised,
    largest_batch,
)
from .program import Program
from .saved import load_program, load_programs, save_programs

__all__ = ["CapacityError", "CompileError", "Program", "QuantisedEncoder", "batch_fits", "bucket_tokens", "check_batch",
           "compile_buckets", "compile_encoder", "compile_graph", "compile_quantised", "largest_batch", "load_program",
           "load_programs", "outline_encoder", "quantise_encoder", "save_programs"]

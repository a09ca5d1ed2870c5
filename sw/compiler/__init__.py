"""The compiler: from a checkpoint and a sentence to a program and its memory image."""

from .compile import compile_encoder, compile_graph
from .errors import CompileError
from .program import Program
from .quantise import QuantisedEncoder, quantise_encoder

__all__ = ["CompileError", "Program", "QuantisedEncoder", "compile_encoder", "compile_graph", "quantise_encoder"]

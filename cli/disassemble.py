"""What `acceltran disassemble` does."""

from ..sw.compiler.disassemble import disassemble
from ..sw.ir.errors import CompileError

__all__ = ["disassemble_command"]


def disassemble_command(program):
    """Options are those of the command, see its help."""
    path = program / "program.bin" if program.is_dir() else program
    remedy = "give a program.bin that `acceltran compile` wrote"
    try:
        raw = path.read_bytes()
    except OSError as error:
        if several := ", ".join(sorted(one.name for one in program.glob("program-*.bin"))):
            remedy = f"give one of {several}"
        raise CompileError(f"program = {str(path)!r}: {error.strerror}; {remedy}") from None
    if not raw:
        raise CompileError(f"program = {str(path)!r}: holds no instruction; {remedy}")
    try:
        print(disassemble(raw))
    except ValueError as error:
        raise CompileError(f"program = {str(path)!r}: {error}; {remedy}") from None

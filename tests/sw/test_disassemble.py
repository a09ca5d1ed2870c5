"""Programs as text."""

import pytest

from acceltran.hw.spec.isa import Engine, Opcode, encode
from acceltran.sw.compiler.disassemble import disassemble


def test_one_line_per_instruction():
    raw = b"".join([
        encode(Opcode.LOAD, signal=2, address=4096, bytes=640, buffer=2, slot=3, pitch=16, rows=1, columns=16),
        encode(Opcode.SOFTMAX, wait_matrix=2, wait_memory=1, signal=6, x_slot=1, x_pitch=9, o_slot=80, o_pitch=9,
               rows=8, columns=8, valid_columns=100, x_shift=3, o_frac=18, curve=0),
        encode(Opcode.SYNC, engine=Engine.VECTOR, wait_vector=1),
        encode(Opcode.HALT),
    ])
    assert disassemble(raw).splitlines() == [
        "0 memory LOAD      [signal matrix] address=4096 bytes=640 buffer=2 slot=3 pitch=16 rows=1 columns=16",
        "1 vector SOFTMAX   [wait memory wait matrix x2 signal matrix signal vector] x_slot=1 x_pitch=9 o_slot=80 "
        "o_pitch=9 rows=8 columns=8 valid_columns=100 x_shift=3 o_frac=18",
        "2 vector SYNC      [wait vector]",
        "3 -      HALT",
    ]


def test_numbers_are_aligned():
    lines = disassemble(encode(Opcode.HALT) * 11).splitlines()
    assert lines[0] == " 0 -      HALT"
    assert lines[10] == "10 -      HALT"
    assert disassemble(b"") == ""


def test_refuses_what_is_no_program():
    with pytest.raises(ValueError, match="unknown opcode 0"):
        disassemble(bytes(64))
    with pytest.raises(ValueError, match="64 bytes"):
        disassemble(encode(Opcode.HALT) + b"\1")

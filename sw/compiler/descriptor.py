"""What an image says of itself in its first bytes, for a driver that reads neither JSON nor Python.

Everything is made of 32-bit words, little-endian. The tables below are the one place where they are defined: the compiler
writes by them, and the C driver's header is made from them.
"""

import struct
import zlib
from dataclasses import dataclass

from ...hw.spec.isa import INSTRUCTION_BYTES, Opcode, fields_of
from ...hw.spec.registers import CURVE_STRIDE, IDENTIFIER, KNOTS, PAGE_BITS, config_values
from ...hw.spec.version import VERSION
from ..ir.errors import CompileError
from .image import stripe_section

__all__ = ["FORMAT", "MAGIC", "NAME_BYTES", "RECORDS", "Record", "Word", "build", "largest", "read", "to_c_header"]

MAGIC = 0xACCE1DE5
FORMAT = 1
"""Counts up when a record changes."""

NAME_BYTES = 32
"""Of an output's name, the zero at its end included."""


@dataclass(frozen=True)
class Word:
    """A word of a record; a text takes several."""

    name: str
    doc: str
    signed: bool = False
    text_bytes: int = 0

    @property
    def bytes(self):
        """How many it takes."""
        return self.text_bytes or 4

    @property
    def code(self):
        """As `struct` calls it."""
        return f"{self.text_bytes}s" if self.text_bytes else "i" if self.signed else "I"


@dataclass(frozen=True)
class Record:
    """Words that lie one behind the other."""

    name: str
    doc: str
    words: tuple[Word, ...]

    @property
    def bytes(self):
        """How many it takes."""
        return sum(word.bytes for word in self.words)

    def pack(self, values):
        """The bytes for {name: value}."""
        return struct.pack("<" + "".join(word.code for word in self.words), *(values[word.name] for word in self.words))

    def unpack(self, raw, offset):
        """The inverse of `pack`; texts as str."""
        found = struct.unpack_from("<" + "".join(word.code for word in self.words), raw, offset)
        return {word.name: value.rstrip(b"\0").decode() if word.text_bytes else value
                for word, value in zip(self.words, found, strict=True)}


_HEADER = Record("DESCRIPTOR", "the first bytes of an image", (
    Word("magic", "marks an image"),
    Word("format", "of the descriptor"),
    Word("checksum", "CRC-32 of descriptor_bytes bytes from the image's start, with zero in place of this word"),
    Word("descriptor_bytes", "of all records and curves"),
    Word("image_bytes", "of the whole image, in pages"),
    Word("identity", "CONFIG_IDENTITY of the accelerator that the image is for"),
    Word("version", "VERSION of the generator that it is for"),
    Word("tile", "rows and columns of a tile"),
    Word("width", "bits of a value"),
    Word("bus_bytes", "bytes of a bus word"),
    Word("target_sparsity", "for the TARGET_SPARSITY register"),
    Word("valid_columns_bit", "lowest bit of a SOFTMAX's field that knows the length of a sentence"),
    Word("valid_columns_bits", "bits of the field"),
    Word("curve_count", f"threshold curves of {KNOTS} words each"),
    Word("curves_offset", "of the first curve"),
    Word("bucket_count", "buckets, from the shortest on"),
    Word("buckets_offset", "of the first bucket's record"),
))

_BUCKET = Record("BUCKET", "a program for sentences of up to so many tokens", (
    Word("tokens", "most tokens of a sentence"),
    Word("sentences", "that it runs at once"),
    Word("words", "token numbers are below this"),
    Word("fixed", "1: it runs only the sentences that it was compiled for, or fetches those of its next run"),
    Word("entry", "offset of the program"),
    Word("instructions", "of the program"),
    Word("preload_entry", "offset of the program that fills the buffers once"),
    Word("preload_instructions", "of that program; 0: there is none"),
    Word("run_count", "runs of token numbers"),
    Word("runs_offset", "of the first run's record"),
    Word("patch_count", "instructions that know the length of a sentence"),
    Word("patches_offset", "of the first patch's record"),
    Word("output_count", "results"),
    Word("outputs_offset", "of the first output's record"),
))

_RUN = Record("RUN", "token numbers one behind the other, 32-bit words", (
    Word("offset", "of the first"),
    Word("sentence", "whose they are"),
    Word("first", "number of the first in its sentence"),
    Word("count", "how many"),
))

_PATCH = Record("PATCH", "an instruction that knows the length of a sentence", (
    Word("instruction", "its number in the program"),
    Word("sentence", "whose length it is"),
))

_OUTPUT = Record("OUTPUT", "a result, as packed tiles", (
    Word("name", "text, with a zero at its end", text_bytes=NAME_BYTES),
    Word("offset", "of its first byte"),
    Word("bytes", "at most"),
    Word("tile_rows", "rows of tiles"),
    Word("tile_columns", "tiles in a row"),
    Word("frac", "binary point: an integer n stands for n / 2**frac", signed=True),
    Word("groups", "equal parts of the rows, one below the other: one for each sentence, or for each tile row"),
    Word("valid_rows", "rows of each group that are no padding, from its first on; of sentences for which each token has one, "
         "those of the longest"),
    Word("valid_columns", "columns that are no padding"),
))

_STRIPE = Record("STRIPE", "the weights of a memory port beside the first; these records are the descriptor's last", (
    Word("offset", "of the first byte"),
    Word("bytes", "of all"),
    Word("first", "address, as instructions have it, of the first byte: PORT_BASE is where that lies less this"),
))

RECORDS = (_HEADER, _BUCKET, _RUN, _PATCH, _OUTPUT, _STRIPE)
"""All of them."""


def largest(programs, config):
    """Bytes that the descriptor takes at most, before it is known which token numbers lie one behind the other.

    Parameters
    ----------
    programs : (steps that gather, steps that know a length, sentences, outputs) of each bucket, as numbers; and curves of all
    config : AcceleratorConfig
    """
    size = _HEADER.bytes + (config.memory_ports - 1) * _STRIPE.bytes
    for gathers, softmaxes, sentences, outputs, curves in programs:
        size += _BUCKET.bytes + (gathers + sentences) * _RUN.bytes + softmaxes * _PATCH.bytes + outputs * _OUTPUT.bytes
        size += 4 * KNOTS * curves
    return size


def build(programs, config, image_bytes, sections):
    """The descriptor of an image.

    Parameters
    ----------
    programs : Program of each bucket, their image not yet known
    config : AcceleratorConfig
    image_bytes : of the whole image
    sections : (address, bytes) of its parts by name

    Returns
    -------
    bytes

    Raises
    ------
    CompileError : an output's name is too long
    """
    words, first = config_values(config), programs[0]
    bit, bits = _place(Opcode.SOFTMAX, "valid_columns")
    curves = b"".join(struct.pack(f"<{KNOTS}I", *map(int, curve)) for curve in first.curves)
    curves_offset = _HEADER.bytes
    buckets_offset = curves_offset + len(curves)
    lists, buckets = b"", b""
    lists_offset = buckets_offset + len(programs) * _BUCKET.bytes
    for program in programs:
        bucket, preload = program.bucket, program.preload or {"entry": 0, "instructions": 0}
        values = {"tokens": bucket.tokens, "sentences": bucket.sentences, "words": bucket.words,
                  "fixed": int(bool(bucket.fixed) or bucket.prefetch), "entry": program.entry,
                  "instructions": len(program.instructions), "preload_entry": preload["entry"],
                  "preload_instructions": preload["instructions"]}
        for name, record, entries in (
            ("run", _RUN, [vars(run) for run in bucket.runs]),
            ("patch", _PATCH, [{"instruction": number, "sentence": sentence} for number, sentence in bucket.softmaxes]),
            ("output", _OUTPUT, [entry for place in program.outputs.items() for entry in _outputs(*place)]),
        ):
            plural = f"{name}es_offset" if name == "patch" else f"{name}s_offset"
            values |= {f"{name}_count": len(entries), plural: lists_offset + len(lists)}
            lists += b"".join(record.pack(entry) for entry in entries)
        buckets += _BUCKET.pack(values)
    for port in range(1, config.memory_ports):
        offset, size = sections[stripe_section(port)]
        lists += _STRIPE.pack({"offset": offset, "bytes": size, "first": sections["weights"][0]})
    header = {
        "magic": MAGIC, "format": FORMAT, "checksum": 0, "descriptor_bytes": lists_offset + len(lists),
        "image_bytes": image_bytes, "identity": words["CONFIG_IDENTITY"], "version": words["VERSION"], "tile": config.tile,
        "width": config.width, "bus_bytes": config.bus_width // 8, "target_sparsity": first.target, "valid_columns_bit": bit,
        "valid_columns_bits": bits, "curve_count": len(first.curves), "curves_offset": curves_offset,
        "bucket_count": len(programs), "buckets_offset": buckets_offset,
    }
    rest = curves + buckets + lists
    header["checksum"] = zlib.crc32(_HEADER.pack(header) + rest)
    return _HEADER.pack(header) + rest


def _outputs(name, output):
    """An output, or each of its parts, which then has its number at the end of the name."""
    parts, shape = output["parts"], output["shape"]
    for number in range(parts):
        part = name if parts == 1 else f"{name}.{number}"
        if len(part.encode()) >= NAME_BYTES:
            raise CompileError(f"output {part!r}: a name in an image has up to {NAME_BYTES - 1} bytes: choose a shorter one")
        yield {"name": part.encode(), "offset": output["address"] + number * output["pitch"],
               "bytes": output["bytes"] - (parts - 1) * output["pitch"], "tile_rows": output["rows"] // parts,
               "tile_columns": output["columns"], "frac": output["frac"], "groups": shape[0] // parts,
               "valid_rows": shape[1] if len(shape) == 3 else 1, "valid_columns": shape[-1]}


def read(image):
    """The inverse of `build`: plain values, with curves, stripes, and the lists of each bucket in place of counts and offsets.

    Raises
    ------
    CompileError : these are not the first bytes of an image, or they were changed
    """
    if len(image) < _HEADER.bytes:
        raise CompileError(f"an image of {len(image)} bytes has no descriptor: compile the program again")
    header = _HEADER.unpack(image, 0)
    if header["magic"] != MAGIC or header["format"] != FORMAT:
        raise CompileError(f"the image begins with {header['magic']:#010x}, format {header['format']}, and this version reads "
                           f"{MAGIC:#010x}, format {FORMAT}: compile the program again")
    raw = bytes(image[: header["descriptor_bytes"]])
    if zlib.crc32(_HEADER.pack(header | {"checksum": 0}) + raw[_HEADER.bytes:]) != header["checksum"]:
        raise CompileError("the image's descriptor was changed since it was written: compile the program again")
    curves = [list(struct.unpack_from(f"<{KNOTS}I", raw, header["curves_offset"] + 4 * KNOTS * number))
              for number in range(header["curve_count"])]
    buckets = _list(_BUCKET, raw, header["buckets_offset"], header["bucket_count"])
    for bucket in buckets:
        bucket |= {"runs": _list(_RUN, raw, bucket["runs_offset"], bucket["run_count"]),
                   "patches": _list(_PATCH, raw, bucket["patches_offset"], bucket["patch_count"]),
                   "outputs": _list(_OUTPUT, raw, bucket["outputs_offset"], bucket["output_count"])}
    last = max((bucket["outputs_offset"] + bucket["output_count"] * _OUTPUT.bytes for bucket in buckets), default=len(raw))
    stripes = _list(_STRIPE, raw, last, (len(raw) - last) // _STRIPE.bytes)
    return header | {"curves": curves, "buckets": buckets, "stripes": stripes}


def _list(record, raw, offset, count):
    return [record.unpack(raw, offset + number * record.bytes) for number in range(count)]


def _place(opcode, name):
    """(lowest bit, bits) of a field in an instruction."""
    start = 0
    for field in fields_of(opcode):
        if field.name == name:
            return start, field.bits
        start += field.bits
    raise ValueError(f"{opcode.name} has no field {name}")


def to_c_header():
    """Offsets of all words as a C header, and the numbers that a driver needs besides the registers."""
    lines = ["/* Layout of the descriptor at the start of an image, generated: do not edit. */",
             "#ifndef ACCELTRAN_DESCRIPTOR_H", "#define ACCELTRAN_DESCRIPTOR_H", ""]
    for name, value, doc in (
        ("IDENTIFIER", f"0x{IDENTIFIER:08x}u", "what the ID register reads"),
        ("DRIVER_VERSION", f"0x{VERSION[0] << 16 | VERSION[1] << 8 | VERSION[2]:08x}u", "as in the VERSION register"),
        ("PAGE_BYTES", f"{1 << PAGE_BITS}u", "an image begins at a multiple of this"),
        ("INSTRUCTION_BYTES", f"{INSTRUCTION_BYTES}u", "of each instruction"),
        ("KNOTS", f"{KNOTS}u", "of a threshold curve"),
        ("CURVE_STRIDE", f"{CURVE_STRIDE}u", "words from one curve to the next in the CURVE registers"),
        ("DESCRIPTOR_MAGIC_VALUE", f"0x{MAGIC:08x}u", "the first word of an image"),
        ("DESCRIPTOR_FORMAT_VALUE", f"{FORMAT}u", "the second"),
        ("NAME_BYTES", f"{NAME_BYTES}u", "of an output's name, the zero at its end included"),
    ):
        lines.append(f"#define ACCELTRAN_{name} {value} /* {doc} */")
    for record in RECORDS:
        lines += ["", f"/* {record.doc} */", f"#define ACCELTRAN_{record.name}_BYTES {record.bytes}u"]
        offset = 0
        for word in record.words:
            name = f"ACCELTRAN_{record.name}_{word.name.upper()}"
            # A record's own size is already called so.
            name += "_WORD" if word.name == "bytes" else ""
            lines.append(f"#define {name} {offset}u /* {word.doc} */")
            offset += word.bytes
    return "\n".join([*lines, "", "#endif", ""])

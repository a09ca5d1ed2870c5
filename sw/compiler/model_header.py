"""A saved program as a C header: what firmware knows of the model when it is compiled, and what its example must give."""

import json
import re

from ...hw.spec.registers import config_values

__all__ = ["MODEL_HEADER", "c_text", "model_header"]

MODEL_HEADER = "model.h"

_PER_LINE = 12


def model_header(programs):
    """The text of the header.

    Parameters
    ----------
    programs : Program of each bucket of one image, from the shortest on; with `expected` for token numbers, results and labels
    """
    first = programs[0]
    buckets = " ".join(f"BUCKET({number}, {program.bucket.tokens}u, {program.bucket.sentences}u)"
                       for number, program in enumerate(programs))
    lines = [
        "/* What image.bin holds, generated: do not edit. */", "#ifndef ACCELTRAN_MODEL_H", "#define ACCELTRAN_MODEL_H", "",
        "#include <stdint.h>", "",
        _macro("IDENTITY", f"0x{config_values(first.config)['CONFIG_IDENTITY']:08x}u", "CONFIG_IDENTITY of its accelerator"),
        _macro("IMAGE_BYTES", f"{len(first.image)}u", "of image.bin"),
        _macro("BASE", f"UINT64_C(0x{first.base:x})", "address for which it was compiled; it may lie at another"),
        _macro("MOST_TOKENS", f"{max(program.bucket.tokens for program in programs)}u", "of a sentence"),
        _macro("BUCKETS", f"{len(programs)}u", "programs, from the shortest sentences on"),
        _macro("BUCKET_LIST(BUCKET)", buckets, "number, most tokens, sentences at once"),
    ]
    if first.expected:
        labels = first.expected.answers.labels
        names = [labels.get(number, f"LABEL_{number}") for number in range(max(labels, default=-1) + 1)]
        lines.append(_macro("LABELS", f"{len(names)}u", "names of the classes"))
        if names:
            lines.append(f"static const char *const acceltran_model_labels[] = {{{', '.join(map(c_text, names))}}};")
    for number, program in enumerate(programs):
        lines += _example(number, program)
    return "\n".join([*lines, "", "#endif", ""])


def _example(number, program):
    """Token numbers and results of the sentence that a program begins with."""
    if not program.expected:
        return
    yield ""
    yield f"/* Bucket {number}: token numbers of each sentence that image.bin holds, and what the outputs must be. */"
    for place, sentence in enumerate(program.expected.answers.sentences):
        yield _array("uint32_t", f"{number}_tokens_{place}", sentence["ids"])
    for name, output in program.outputs.items():
        columns = output["columns"] * program.config.tile
        integers = program.expected.integers(name, columns).view(output["shape"][0], -1, columns)
        valid = output["shape"][1] if len(output["shape"]) == 3 else 1
        yield _array("int32_t", f"{number}_{re.sub(r'[^0-9a-zA-Z]', '_', name)}",
                     integers[:, :valid, : output["shape"][-1]].flatten().tolist())


def _macro(name, value, doc):
    return f"#define ACCELTRAN_MODEL_{name} {value} /* {doc} */"


def _array(kind, name, values):
    """Its size in elements is a macro, which the preprocessor can compare."""
    rows = [", ".join(map(str, values[n: n + _PER_LINE])) for n in range(0, len(values), _PER_LINE)]
    body = ",\n    ".join(rows)
    return (f"#define ACCELTRAN_MODEL_{name.upper()}_COUNT {len(values)}u\n"
            f"static const {kind} acceltran_model_{name}[] = {{\n    {body}}};")


def c_text(value):
    """A C string; bytes beyond ASCII as octal numbers, which end after three digits."""
    return "".join(character if character.isascii() and character not in "?" else
                   "".join(f"\\{byte:03o}" for byte in character.encode())
                   for character in json.dumps(str(value), ensure_ascii=False))

"""What `acceltran soc` does: a RISC-V processor runs a model on the RTL through the C driver."""

import tempfile
import time
from pathlib import Path

from rich.markup import escape

from ..hw.spec.files import write_json
from ..silicon.soc import soc_utilisation
from ..sim.soc import MOST_MEMORY, build_firmware, console_text, memory_size, run_soc
from ..sw.compiler import CompileError, quantise_encoder, save_programs
from ..sw.compiler.bucket import choose
from ..sw.compiler.model_header import c_text
from ..sw.ir.execute import execute
from ..sw.ir.graph import Store
from ..sw.models.answers import answers_of
from ..sw.models.limits import Limits
from ..sw.models.sentences import encode_sentences
from .buckets import compile_all, load_bucket_inputs
from .compile import with_expected
from .console import check_outputs, console, stages, tell
from .inputs import read_texts

__all__ = ["TEXTS", "sentences_header", "soc_command"]

TEXTS = ("a warm , funny and quietly moving film", "dull .",
         "it takes a while to find its feet , but the last half hour is as tense and as tender as anything seen this year")
"""Of different lengths."""

_OUTPUT = "logits"


def soc_command(*, config, model, texts, buckets, output, json_path, latency, shuffle, ecp5):
    """Options are those of the command, see its help; returns the exit code."""
    check_outputs(json_path)
    texts = list(texts or TEXTS)
    config, checkpoint, first, sizes = load_bucket_inputs(config, model, texts[:1], buckets, task=None, pooling=None,
                                                          refused={})
    if config.clusters > 1:
        raise CompileError(f"clusters = {config.clusters}: the firmware runs one sentence after the other; set it to 1")
    if config.memory_ports > 1:
        raise CompileError(f"memory_ports = {config.memory_ports}: the system on chip has one port for its accelerator; set it "
                           "to 1")
    if checkpoint.task.name != "text-classification":
        raise CompileError(f"--model {model}: is for {checkpoint.task.name}, and the firmware prints classes: give a model for "
                           "text-classification")
    with stages(config.name) as stage, tempfile.TemporaryDirectory(prefix="acceltran-") as scratch:
        folder = Path(output or scratch)
        stage("compiling the model")
        programs = [with_expected(checkpoint, program, batch, first, Limits(), sizes[-1])
                    for program, batch in compile_all(checkpoint, config, first.sentences, sizes, {})]
        save_programs(programs, folder / "program")
        stage("golden model")
        if (size := len(programs[0].image)) > MOST_MEMORY:
            raise CompileError(f"the image has {size:,} bytes, and the system on chip {MOST_MEMORY:,} of main memory: use a "
                               "smaller model")
        encoder = quantise_encoder(checkpoint, config)
        sentences = [_expected(checkpoint, encoder, programs, one) for one in read_texts(texts, None).sentences]
        stage("compiling the firmware")
        headers = {"sentences.h": sentences_header(sentences, memory_size(programs[0].image)),
                   "model.h": (folder / "program" / "model.h").read_text()}
        firmware = build_firmware(folder / "firmware", headers)
        stage("building and running the system on chip")
        begun = time.monotonic()
        run = run_soc(config, firmware, programs[0].image, folder / "run", latency=latency, shuffle=shuffle)
        seconds = time.monotonic() - begun
        taken = soc_utilisation(config, folder / "ecp5", firmware.image, stage=stage) if ecp5 else None
    tell(*checkpoint.notes)
    wanted = console_text(config, sentences)
    console.print(escape(run.console), end="", highlight=False)
    equal = run.console == wanted
    console.print(f"{run.cycles:,} cycles from reset to the end, in {seconds:.0f} s with the build; driver "
                  f"{firmware.driver_bytes:,} bytes, firmware {len(firmware.image):,}, image {len(programs[0].image):,}")
    console.print("every character is as expected" if equal else "the text differs from what was expected, which is:\n"
                  + escape(wanted))
    if taken:
        console.print("LFE5U-85F, before placement: " + ", ".join(
            f"{name} {entry['used']:,} of {entry['available']:,}" for name, entry in taken.items()))
    if json_path:
        write_json(json_path, {
            "configuration": config.name, "equal": equal, "console": run.console, "expected": wanted, "cycles": run.cycles,
            "driver_bytes": firmware.driver_bytes, "firmware_bytes": len(firmware.image),
            "image_bytes": len(programs[0].image), "sentences": sentences, "ecp5": taken})
    return int(not equal)


def _expected(checkpoint, encoder, programs, sentence):
    """A sentence and what the firmware has to print of it: by the golden model of this sentence alone, without buckets."""
    batch = encode_sentences(checkpoint, [sentence])
    ids = batch.encoded[0].ids
    program = choose(programs, len(ids))
    graph = encoder.build_graph(batch.lengths, len(batch.ids[0]), tokens=batch.tokens)
    values = execute(graph, batch.ids)
    store = next(operation for operation in graph.operations if isinstance(operation, Store) and operation.output == _OUTPUT)
    logits = values[store.x.tensor][store.x.row, : store.shape[-1]].tolist()
    best = max(range(len(logits)), key=logits.__getitem__)
    labels = answers_of(checkpoint, batch, layers=graph.layers, tile=graph.tile).labels
    return {"text": sentence.text, "tokens": list(map(int, ids)), "logits": logits, "frac": graph.tensors[store.x.tensor].frac,
            "label": labels.get(best, f"LABEL_{best}"), "bucket": program.bucket.tokens,
            "instructions": len(program.instructions) - 1}


def sentences_header(sentences, memory_bytes):
    """The C header of the sentences: texts, token numbers, and the results of the golden model.

    Parameters
    ----------
    sentences : see `console_text`
    memory_bytes : of main memory
    """
    lines = ["/* Sentences, and what the golden model makes of them, generated: do not edit. */", "#include <stdint.h>", "",
             f"#define SENTENCES {len(sentences)}u", f"#define MEMORY_BYTES {memory_bytes}u",
             f"#define LARGEST_RESULT {max(len(one['logits']) for one in sentences)}u", ""]
    for number, one in enumerate(sentences):
        lines += [f"static const uint32_t tokens_{number}[] = {{{', '.join(map(str, one['tokens']))}}};",
                  f"static const int32_t logits_{number}[] = {{{', '.join(map(str, one['logits']))}}};"]
    lines += ["", "struct sentence {", "    const char *text;", "    const uint32_t *tokens;", "    uint32_t count;",
              "    const int32_t *logits;", "    uint32_t classes;", "};", "static const struct sentence sentences[] = {"]
    lines += [f"    {{{c_text(one['text'])}, tokens_{number}, {len(one['tokens'])}u, logits_{number}, "
              f"{len(one['logits'])}u}}," for number, one in enumerate(sentences)]
    return "\n".join([*lines, "};", ""])

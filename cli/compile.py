"""What `acceltran compile` does."""

from dataclasses import replace

from rich.markup import escape

from ..hw.spec.files import write_json
from ..sim.expectation import expectation
from ..sw.compiler import compile_encoder, save_programs
from ..sw.models.answers import answers_of
from ..sw.models.fidelity import golden_fidelity
from ..sw.models.sentences import encode_sentences
from .buckets import compile_all, load_bucket_inputs
from .console import check_outputs, console, print_fidelity, tell, told_cut, warn
from .hardware import loop_order
from .inputs import address_of, calibration_options, load_inputs, longest_of, site_options

__all__ = ["compile_command", "with_expected"]


_WITHOUT_LAYERS = ("the program does not hold the layers behind the pooling: acceltran run --program gives the hidden states, "
                   "not vectors")


def compile_command(*, config, model, texts, text_pairs, file, length, order, output, sites, target_sparsity, truncate,
                    calibration, json_path, limits, task, pooling, base=None, buckets=None, layout=None, **options):
    """Options are those of the command, see its help."""
    check_outputs(json_path)
    options |= {"base": address_of("--base", base), "order": loop_order(order)}
    if buckets:
        refused = {"--text-pair": text_pairs, "--file": file, "--length": length, "--truncate": truncate}
        config, checkpoint, data, sizes = load_bucket_inputs(config, model, texts, buckets, task=task, pooling=pooling,
                                                             refused=refused)
    else:
        config, checkpoint, data = load_inputs(config, model, texts, file, layout=layout, text_pairs=text_pairs, task=task,
                                               pooling=pooling)
    options |= site_options(sites, target_sparsity, checkpoint) | calibration_options(calibration)
    if buckets:
        longest, compiled = sizes[-1], compile_all(checkpoint, config, data.sentences, sizes, options)
    else:
        longest = longest_of(checkpoint, data, length, truncate)
        batch = encode_sentences(checkpoint, data.sentences, length, longest=longest)
        full = batch.filled(config.clusters)
        compiled = [(compile_encoder(checkpoint, config, full.ids, full.lengths, tokens=full.tokens, **options), full)]
    programs = [with_expected(checkpoint, program, batch, data, limits, longest) for program, batch in compiled]
    notes = programs[-1].expected.inputs["notes"]
    manifest = save_programs(programs, output)
    if json_path:
        write_json(json_path, manifest)
    tell(*checkpoint.notes, *notes)
    if data.reading:
        console.print(escape(data.describe()))
    if (cut := programs[-1].expected.inputs["cut"]):
        console.print(told_cut(cut, len(data.texts), longest))
    _print_programs(programs, output)
    print_fidelity(programs[-1].expected.fidelity)
    return int(any([warn(program.expected.fidelity) for program in programs]))


def with_expected(checkpoint, program, batch, data, limits, longest):
    """A compiled program with what it must give, by the golden model.

    Parameters
    ----------
    checkpoint : Checkpoint
    program : Program with its graph
    batch, data : Batch of its sentences, and the Data that they are of
    limits : Limits of the fidelity
    longest : tokens to which sentences were cut
    """
    count = len(data.texts) if program.config.clusters > 1 else len(batch.encoded)
    golden, fidelity = golden_fidelity(checkpoint, program.graph, batch)
    answers = answers_of(checkpoint, batch, layers=program.graph.layers, tile=program.config.tile)
    inputs = {"texts": data.texts, "pairs": data.pairs, "lines": data.lines, "reading": data.reading,
              "cut": batch.part(range(count)).cut, "longest": longest,
              "notes": [_WITHOUT_LAYERS] if answers.loses_layers else []}
    return replace(program, expected=expectation(program, golden, fidelity=fidelity.to_dict(limits), answers=answers,
                                                 inputs=inputs, sentences=count))


def _print_programs(programs, output):
    image = f"image of {len(programs[0].image):,} bytes"
    if len(programs) > 1:
        console.print(f"{output}: {len(programs)} programs, {image}")
    for program in programs:
        where = f"{output}: " if len(programs) == 1 else f"  up to {program.bucket.tokens} tokens: "
        planned = f", {program.planned_cycles:,} cycles planned" if program.planned_cycles else ""
        size = f", {image}" if len(programs) == 1 else ""
        console.print(f"{where}{len(program.instructions)} instructions{size}{planned}")

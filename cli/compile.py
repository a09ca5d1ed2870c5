"""What `acceltran compile` does."""

from dataclasses import replace

from rich.markup import escape

from ..hw.spec.files import write_json
from ..sim.expectation import expectation
from ..sw.compiler import compile_encoder
from ..sw.models.answers import answers_of
from ..sw.models.fidelity import golden_fidelity
from ..sw.models.sentences import encode_sentences
from .console import check_outputs, console, print_fidelity, tell, told_cut, warn
from .hardware import loop_order
from .inputs import calibration_options, load_inputs, longest_of, site_options

__all__ = ["compile_command"]


_WITHOUT_LAYERS = ("the program does not hold the layers behind the pooling: acceltran run --program gives the hidden states, "
                   "not vectors")


def compile_command(*, config, model, texts, text_pairs, file, length, order, output, sites, target_sparsity, truncate,
                    calibration, json_path, limits, task, pooling, layout=None, **options):
    """Options are those of the command, see its help."""
    check_outputs(json_path)
    config, checkpoint, data = load_inputs(config, model, texts, file, layout=layout, text_pairs=text_pairs, task=task,
                                           pooling=pooling)
    longest = longest_of(checkpoint, data, length, truncate)
    batch = encode_sentences(checkpoint, data.sentences, length, longest=longest)
    options |= site_options(sites, target_sparsity, checkpoint) | calibration_options(calibration)
    program = compile_encoder(checkpoint, config, batch.ids, batch.lengths, tokens=batch.tokens, order=loop_order(order),
                              **options)
    golden, fidelity = golden_fidelity(checkpoint, program.graph, batch)
    cut = batch.cut
    answers = answers_of(checkpoint, batch, layers=program.graph.layers, tile=config.tile)
    notes = [_WITHOUT_LAYERS] if answers.loses_layers else []
    inputs = {"texts": data.texts, "pairs": data.pairs, "lines": data.lines, "reading": data.reading, "cut": cut,
              "longest": longest, "notes": notes}
    expected = expectation(program, golden, fidelity=fidelity.to_dict(limits), answers=answers, inputs=inputs)
    manifest = replace(program, expected=expected).save(output)
    if json_path:
        write_json(json_path, manifest)
    tell(*checkpoint.notes, *notes)
    if data.reading:
        console.print(escape(data.describe()))
    if cut:
        console.print(told_cut(cut, len(data.texts), longest))
    planned = f", {program.planned_cycles:,} cycles planned" if program.planned_cycles else ""
    console.print(f"{output}: {len(program.instructions)} instructions, image of {len(program.image):,} bytes{planned}")
    print_fidelity(expected.fidelity)
    return int(warn(expected.fidelity))

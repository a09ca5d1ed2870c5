"""What `acceltran compile` does."""

from dataclasses import replace

from rich.markup import escape

from ..hw.spec.files import write_json
from ..sim.expectation import expectation
from ..sw.compiler import compile_encoder
from ..sw.models.checkpoint import count_cut, encode_texts
from ..sw.models.fidelity import golden_fidelity
from .console import check_outputs, console, print_fidelity, told_cut, warn
from .hardware import loop_order
from .inputs import calibration_options, load_inputs, longest_of, site_options

__all__ = ["compile_command"]


def compile_command(*, config, model, texts, file, length, order, output, sites, target_sparsity, truncate, calibration,
                    json_path, limits, layout=None, **options):
    """Options are those of the command, see its help."""
    check_outputs(json_path)
    config, checkpoint, data = load_inputs(config, model, texts, file, layout=layout)
    longest = longest_of(checkpoint, data, length, truncate)
    ids, lengths = encode_texts(checkpoint, data.texts, length, longest=longest)
    options |= site_options(sites, target_sparsity, checkpoint) | calibration_options(calibration)
    program = compile_encoder(checkpoint, config, ids, lengths, order=loop_order(order), **options)
    golden, fidelity = golden_fidelity(checkpoint, program.graph, ids)
    cut = count_cut(checkpoint, data.texts, longest) if longest else 0
    inputs = {"texts": data.texts, "lines": data.lines, "reading": data.reading, "cut": cut, "longest": longest}
    expected = expectation(program, golden, fidelity=fidelity.to_dict(limits), labels=checkpoint.config.id2label, inputs=inputs)
    manifest = replace(program, expected=expected).save(output)
    if json_path:
        write_json(json_path, manifest)
    if data.reading:
        console.print(escape(data.describe()))
    if cut:
        console.print(told_cut(cut, len(data.texts), longest))
    planned = f", {program.planned_cycles:,} cycles planned" if program.planned_cycles else ""
    console.print(f"{output}: {len(program.instructions)} instructions, image of {len(program.image):,} bytes{planned}")
    print_fidelity(expected.fidelity)
    return int(warn(expected.fidelity))

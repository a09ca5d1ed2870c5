"""What `acceltran estimate` does."""

from rich.table import Table

from ...hw.spec.errors import InputError
from ...hw.spec.files import write_json, write_text
from ...silicon.energy import NOT_MODELLED
from ...sim.timeline import apart, instruction_labels, write_tracks
from ...sw.estimate.phases import CAUSES
from ...sw.estimate.tracks import periods
from ..console import check_outputs, console, plain_table, stages
from .page import estimate_page
from .point import estimated, values_of
from .setting import Setting

__all__ = ["estimate_command", "print_estimate"]

_HEADS = ("cycles", "mult.", "oper.", "out.", "imbal.")
"""Short, so that the table fits into 80 columns."""


def estimate_command(*, texts, tokens, batch, sites, clock, json_path, trace, report, **options):
    """Options are those of the command, see its help."""
    if texts and batch is not None:
        raise InputError("--batch and --text: with sentences, the batch is all of them; leave --batch out")
    setting = Setting(texts=tuple(texts or ()), tokens=tokens or (None if texts else 128), batch=batch or 1,
                      sites=sites and str(sites), **options)
    check_outputs(json_path, trace, report)
    with stages(setting.hardware().name) as stage:
        program, result, seconds = estimated(setting, stage=stage)
    values = values_of(setting, program, result, clock_mhz=clock) | {"seconds": seconds}
    found = periods(result, instruction_labels(program))
    shown = [{"group": group, "name": name, "periods": one} for group, named in found.items()
             for name, listed in named.items() for one in apart(listed)]
    if json_path:
        write_json(json_path, values)
    if trace:
        write_tracks(trace, shown)
    if report:
        kinds = {name: tensor["kind"] for name, tensor in program.tensors.items()}
        write_text(report, estimate_page(values, shown, kinds), encoding="utf-8")
    print_estimate(values)
    return 0


def print_estimate(values):
    """The tables of an estimate."""
    use, counters, cycles = values["utilisation"], values["counters"], max(1, values["cycles"])
    table = Table("", "", title=f"{values['model']} on {values['config']}, {sentences_of(values)}", show_header=False)
    for name, value in (
        ("cycles, estimated", f"{values['cycles']:,}"),
        ("cycles, planned by the compiler", "not planned" if values["planned_cycles"] is None else
         f"{values['planned_cycles']:,}"),
        (f"milliseconds at {values['clock_mhz']:g} MHz", f"{values['milliseconds']:.4g}"),
        ("sequences per second", f"{values['sequences_per_second']:,.0f}"),
        ("multiplications done", f"{counters['multiplications']:,}"),
        ("multiplications skipped", f"{counters['skipped_multiplications']:,}"),
        ("multipliers busy", f"{100 * use['multipliers']:.1f} %"),
        ("dense-equivalent utilisation", f"{100 * use['multipliers_dense_equivalent']:.1f} %"),
        *((f"{engine} engine busy", f"{100 * use[engine]:.1f} %") for engine in ("memory", "matrix", "vector")),
        ("bytes read / written", f"{counters['bytes_read']:,} / {counters['bytes_written']:,}"),
        ("bus busy", f"{100 * use['bus']:.1f} %"),
        ("mm2, ASAP7 and SRAM of 22 nm", f"{values['area']['mm2']:.3g}"),
        ("uJ per sequence, with main memory", f"{values['energy']['energy_uJ']:,.3g}"),
        ("mW", f"{values['energy']['power_mW']:,.3g}"),
        ("seconds to compile / run the golden model / estimate",
         " / ".join(f"{values['seconds'].get(name, 0):.1f}" for name in ("compiling", "golden model", "estimating"))),
    ):
        table.add_row(name, value)
    console.print(table)

    heads = ("cycles", "multiplying", "operands", "output", "imbalance")
    table = plain_table("product", *_HEADS, *CAUSES, title="where the cycles went; the last four: waits before products")
    for one in values["phases"]:
        table.add_row(one["kind"], *(f"{one[name]:,.0f}" if name in one else "" for name in (*heads, *CAUSES)))
    table.add_section()
    sums = {name: sum(one.get(name, 0) for one in values["phases"]) for name in (*heads, *CAUSES)}
    table.add_row("all", *(f"{sums[name]:,.0f}" for name in (*heads, *CAUSES)))
    table.add_row("%", *(f"{100 * sums[name] / cycles:.1f}" for name in (*heads, *CAUSES)))
    console.print(table)
    console.print(values["note"])
    console.print(f"area and energy are modelled from measured ones; {NOT_MODELLED}")


def sentences_of(values):
    """How many sentences, of how many tokens."""
    longest = max(values["tokens"])
    count = values["sentences"]
    return f"{count} sentence{'s' if count > 1 else ''} of {'up to ' if count > 1 else ''}{longest} tokens"

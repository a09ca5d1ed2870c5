"""The claims of the paper's abstract and figures, with ours."""

from .claim import Claim
from .document_tables import figure

__all__ = ["claims"]

_PASS_SEQUENCES, _PASS_JOULES = 7.4, 0.52
"""BERT-Tiny on a Raspberry Pi 4, sequences per second and joules per sequence: the authors' own pass over SST-2."""

_TRAINED = "bert-tiny-reviews, weights as trained"
"""The model whose pruning docs/dynatran.md has first."""

_LAYER_GOP = 1.05
"""Operations of one attention layer of BERT-Base at 384 tokens, in thousands of millions, as its users count them."""

_ENERGON, _SPATTEN = 612, 360
"""GOP/s on that layer, scaled to 128 multipliers at 1 GHz."""


def claims(figures):
    """The Claims, from the figures of `collect`."""
    return [*_accuracy(), *_pruning(), *_memory(figures), *_edge(figures), *_server(figures), *_hardware()]


def _accuracy():
    study = "acceltran study --data dev.tsv"
    return [
        Claim("abstract", "DynaTran is more accurate than top-k pruning, at up to 1.2 times the sparsity", "1.2x",
              f"{_top_k('zeros:')}x ({_top_k('zeros, padded:')}x with padding counted) at half a point lost, strengths read "
              "off the dev set", "measured", study,
              "BERT-Tiny on movie reviews, integer model; chosen on other data, top-k has no strength within the budget. "
              "Only attention probabilities have a top-k."),
        Claim("figures: accuracy", "BERT-Tiny, SST-2: 83.0 % at 29.9 % sparsity, 78.2 % at 34.6 %", "83.0 / 78.2 %",
              f"one threshold: {', '.join(_accurate('dynatran', f'tau {tau}') for tau in (0.02, 0.05, 0.1))}; "
              f"thresholds per site: {_accurate('per-site', 'point 0.625')}",
              "measured", study, "another checkpoint of the same size; padding counted, as in the paper"),
        Claim("figures: accuracy", "BERT-Base, SST-2 and SQuAD v2, with and without movement pruning",
              "93.8 % at 33.6 %; F1 77.9", "", "not reproduced", "",
              "No BERT-Base checkpoint is packaged, and none is fetched; a folder of one runs with "
              "`acceltran evaluate --model FOLDER --data FILE`."),
    ]


def _top_k(what):
    """DynaTran's zeros over those of top-k, as `acceltran study` found them."""
    return figure("dynatran.md", "ratio", {"model": _TRAINED, "what": what, "lost at most": "0.5", "strengths": "read off"})


def _accurate(method, strength):
    """Accuracy and zeros, padding counted, in per cent of one digit."""
    row = {"method": method, "strength": strength}
    accuracy = float(figure("dynatran.md", "accuracy %", row, heading=_TRAINED))
    return f"{accuracy:.1f} % at {figure('dynatran.md', 'padded', row, heading=_TRAINED)} %"


def _pruning():
    slower = [figure("dynatran.md", "top-k over threshold, time", {"attention probabilities": name})
              for name in ("bert-tiny-reviews", "of BERT-Base")]
    gates = figure("dynatran.md", "ratio", {"values in a row (20 bits)": "16"})
    share = figure("silicon.md", "measured", {"what": "DynaTran against the PE"})
    return [
        Claim("figures: cost of pruning", "a threshold is faster than top-k on a CPU", "1.48x (Tiny), 5.35x (Base)",
              ", ".join(f"{one}x" for one in slower), "measured", "acceltran cost --data dev.tsv",
              "one thread of PyTorch on another processor"),
        Claim("figures: cost of pruning", "and on a GPU", "4.19x, 96.4x", "", "not reproduced", "", "measured on no GPU here"),
        Claim("text", "in hardware a threshold costs a comparator for each value", "",
              f"{gates} times fewer gates than a top-k selector for 16 values; {share} of a PE", "measured",
              "acceltran cost --data dev.tsv", "mapped by Yosys"),
    ]


def _memory(figures):
    found = []
    for name, theirs in (("BERT-Tiny", "8.0 / 71.9 / 20.2 %"), ("BERT-Base", "32.0 / 65.8 / 2.2 %")):
        counts = figures["memory"][name]
        whole = sum(counts.values())
        ours = " / ".join(f"{100 * counts[part] / whole:.1f}" for part in ("weights", "activations", "embeddings"))
        found.append(Claim("figures: memory", f"{name}, 512 tokens: weights / activations / embeddings", theirs, f"{ours} %",
                           "measured", "acceltran paper --only memory",
                           "counted from shapes: every tensor of the graph once, all word vectors. The paper's share of "
                           "embeddings is smaller than all word vectors are, so it counts them in another way."))
    return found


def _edge(figures):
    edge = figures["edge"]
    half, dense = edge["half"], edge["dense"]
    energy = half.get("energy_uJ")
    ratio = half["sequences_per_second"] / _PASS_SEQUENCES
    rows = [
        Claim("abstract", "Edge against a Raspberry Pi, throughput", "330,000x", f"{_round(ratio)}x", "modelled",
              "acceltran paper --only edge",
              f"{half['sequences_per_second']:,.0f} sequences/s, half of weights and activations zero, batch 4, 700 MHz, "
              f"against the {_PASS_SEQUENCES} of the authors' own pass over SST-2 "
              f"(135 ms a sequence). Their table has 6,417 ms, the "
              "life of the process over few samples; that row is what gives 330,000. A well-used Pi may need some "
              "1.3 ms (by multiplications), against which it would be "
              f"{_round(half['sequences_per_second'] * 0.0013)}x."),
        Claim("abstract", "Edge against a Raspberry Pi, energy", "93,000x",
              f"{_round(1e6 * _PASS_JOULES / energy)}x" if energy else "", "modelled" if energy else "not reproduced",
              "acceltran paper --only edge",
              (f"{energy:.0f} uJ a sequence in ASAP7 with its memory, " if energy else "") +
              f"against {_PASS_JOULES} J of the same pass; the abstract's figure needs some 33 J"),
        Claim("figures: baselines", "a CPU as baseline, BERT-Tiny at 128 tokens", "Apple M1: 17,400x slower than Edge",
              _cpu(figures, half), "measured", "acceltran paper --only cpu", "this machine's processor; the chart's other "
              "devices (NCS, M1 GPU) are not at hand"),
        Claim("authors' simulator", "BERT-Tiny on Edge, batch 4, 128 tokens: cycles",
              "28,860 after loading embeddings (79,232)",
              f"{dense['cycles']:,} dense, {half['cycles']:,} half and half, {edge['half, prefetched']['cycles']:,} with 2:4 "
              "weights and the next embeddings fetched", "modelled", "acceltran paper --only edge",
              "held to the RTL of `edge` within 6 %; the simulator assumes a sparsity of 0.5 and holds no values"),
        Claim("authors' simulator", "multipliers busy", "26.6 %", f"{100 * dense['multipliers_busy']:.0f} % dense",
              "modelled", "acceltran paper --only edge", ""),
    ]
    return rows


def _cpu(figures, half):
    runs = figures["cpu"]["runs"]
    best = max(runs, key=lambda run: run["batch"] / run["seconds"])
    one = min((run for run in runs if run["batch"] == 1), key=lambda run: run["seconds"])
    rate = best["batch"] / best["seconds"]
    return (f"Edge is {_round(half['sequences_per_second'] / rate)}x as fast as {best['library']} with {best['threads']} "
            f"threads, batch {best['batch']} ({rate:,.0f} sequences/s); batch 1 takes {1000 * one['seconds']:.1f} ms at best "
            f"({one['library']}, {one['threads']} threads)")


def _server(figures):
    server, attention, rtl = figures["server"], figures["attention"], figures.get("attention_rtl")
    scaled = {name: _LAYER_GOP * 1e9 / (one["cycles"] * one["multipliers"] / 128)
              for name, one in attention.items()}
    full = server["full"]
    others = "; ".join(f"{name} {server[name]['sequences_per_second']:,.0f}" for name in server if name != "full")
    return [
        Claim("abstract", "Server against Energon, throughput", "5.73x",
              f"{scaled['DynaTran'] / _ENERGON:.2f}x (dense {scaled['dense'] / _ENERGON:.2f}x), on one workload", "modelled",
              "acceltran paper --only attention",
              f"an attention layer of BERT-Base at 384 tokens on `mini` (its activation buffer twice as "
              f"large), scaled to 128 multipliers at 1 GHz: "
              f"{scaled['dense']:,.0f} GOP/s dense, {scaled['DynaTran']:,.0f} with half of weights and activations zero. "
              f"Energon {_ENERGON} (1.7 times SpAtten's {_SPATTEN}, itself not measured); FACT and DTQAtten 928 (SALO). The "
              "paper compares unlike sizes."),
        *([Claim("abstract", "the same workload on the RTL", "", "; ".join(
              f"{name}: {one['measured']:,} cycles for the encoder layer, {one['estimated']:,} estimated"
              for name, one in rtl.items()), "measured", "acceltran paper --only attention_rtl",
              "every integer equal; the attention is the first part of the layer")] if rtl else []),
        Claim("abstract", "Server against Energon, energy", "3.69x", "", "not reproduced", "",
              "The chart puts Energon 133 times below SpAtten; Energon itself claims 1.6 times SpAtten's efficiency."),
        Claim("ablation", "BERT-Tiny on Server, batch 32, sequences/s", "172,180 (from memory of the paper)",
              f"{full['sequences_per_second']:,.0f}", "modelled", "acceltran paper --only server",
              "700 MHz, weights resident, half of weights and activations zero"),
        Claim("ablation", "without DynaTran / weight pruning / sparsity modules / 3D RRAM",
              "93,333 / 163,484 / 90,410 / 88,736 (from memory)", others, "modelled", "acceltran paper --only server",
              "in place of another kind of memory: weights from main memory over one 512-bit port"),
    ]


def _hardware():
    size, peak = ({name: figure("silicon.md", f"`{name}`", {"": what}) for name in ("edge", "server")}
                  for what in ("together, mm2", "peak at 700 MHz"))
    softmax, layernorm = (figure("silicon.md", "multipliers", {"16 values per cycle, 20 bits": f"{unit} unit"})
                          for unit in ("softmax", "layer-norm"))
    return [
        Claim("table", "Edge: 15.05 TOPS, 55.12 mm2", "15.05 (22.9 with two operations each), 55.12 mm2",
              f"{peak['edge']}, {size['edge']} mm2", "measured", "acceltran synth --config edge --liberty ASAP7 --clock 700",
              "mapped to ASAP7 (7 nm) before layout, SRAM by CACTI at 22 nm; the paper's is 14 nm"),
        Claim("table", "Server: 372.74 TOPS, 1,950.95 mm2", "372.74, 1,950.95 mm2",
              f"{peak['server']}, {size['server']} mm2 (partly estimated)", "modelled", "",
              "docs/silicon.md says how: PEs of `edge` times 16; another process, no 3D memory"),
        Claim("blocks", "softmax and layer-norm of tile 16", "177 and 163.9 multipliers large", f"{softmax} and {layernorm}",
              "measured", "acceltran synth --top softmax", "ours stream rows, have an exponential, gamma, beta and a residual"),
        Claim("figures: dataflows", "bjik, kjib, ... : of 24 loop orders, which reuse most", "bijk best",
              "depends on the shape; all 24 run, and the compiler chooses for each product", "measured",
              "acceltran bench orders", "the authors' reuse test compares k twice and never j"),
        Claim("figures: stalls", "stalls against PEs and buffers of Edge", "plots", "docs/exploration.md, stalls", "modelled",
              "acceltran sweep docs/examples/edge_stalls.toml -o build/edge-stalls", "a model held to the RTL"),
    ]


def _round(value):
    """Two digits of what is large: a ratio is not known better."""
    if value < 100:
        return f"{value:.1f}"
    digits = len(str(int(value))) - 2
    return f"{round(value / 10**digits) * 10**digits:,}"

"""A cluster: a part of the grid with activation buffer, vector buffer and vector units of its own."""

from amaranth.hdl import Module
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .buffer.tile_reader import read_request
from .cluster_parts import ClusterParts
from .control.clustered_engine import engine_signature
from .layout import tile_beat, tile_write, vector_write
from .matrix.pe_grid import lost_multipliers
from .spec.widths import SLOT_BITS

__all__ = ["COMPUTE_ENGINES", "Cluster", "counts_layout"]

COMPUTE_ENGINES = ("matrix", "vector")


def counts_layout(config):
    """What a cluster, or all of `config`, does in a cycle: as the members of the same names of engines and buffers say."""
    c, activation = config, config.activation_banks
    return data.StructLayout({
        "fired": range(c.multipliers + 1), "dense": range(c.multipliers * c.tile + 1), "lost": lost_multipliers(c.multipliers),
        "a_tiles": range(c.grid_rows + 1), "b_tiles": range(c.clusters * c.grid_columns + 1),
        "words_read": range(activation + 1), "words_written": range(activation + 1),
        "pe_busy": c.pes, "softmax_busy": c.softmax_units, "layernorm_busy": c.layernorm_units,
    })


class Cluster(wiring.Component):
    """Works on its own sequences: `ClusterParts`, with weights from a `WeightBroadcast`.

    Parameters
    ----------
    config : AcceleratorConfig of one cluster

    Members
    -------
    matrix, vector : Out(engine_signature)
    matrix_curve, vector_curve : Out(6); matrix_tau, vector_tau : In(W - 1), threshold look-up
    b_weight_request : Out(stream(read_request)), b_weight : In(stream(tile_beat)).array(columns), b_weight_idle : In(1)
    activation_write : In(stream(tile_write)), vector_write : In(stream(vector_write)), of the memory engine
    gathered_write : In(stream(tile_write)), with several memory ports: of the further one that brings embeddings
    store_request : In(stream(SLOT_BITS)), store : Out(stream(tile_beat)), the tiles of a STORE
    counts : Out(counts_layout)
    """

    def __init__(self, *, config):
        self._config = c = config
        size = {"tile": c.tile, "width": c.width, "lines_per_beat": c.lines_per_beat}
        super().__init__({
            **dict.fromkeys(COMPUTE_ENGINES, Out(engine_signature())),
            **{f"{engine}_{name}": port for engine in COMPUTE_ENGINES
               for name, port in (("curve", Out(6)), ("tau", In(c.width - 1)))},
            "b_weight_request": Out(stream.Signature(read_request(c.grid_columns))),
            "b_weight": In(stream.Signature(tile_beat(**size | {"width": c.b_width}))).array(c.grid_columns),
            "b_weight_idle": In(1),
            "activation_write": In(stream.Signature(tile_write(**size))),
            **({"gathered_write": In(stream.Signature(tile_write(**size)))} if c.memory_ports > 1 else {}),
            "vector_write": In(stream.Signature(vector_write(c.tile, c.width, c.scale_bits))),
            "store_request": In(stream.Signature(SLOT_BITS)),
            "store": Out(stream.Signature(tile_beat(**size))),
            "counts": Out(counts_layout(c)),
        })

    def elaborate(self, platform):
        m = Module()
        parts = ClusterParts(config=self._config, shared_weights=True)
        parts.add(m)
        for name in COMPUTE_ENGINES:
            engine, face = getattr(parts, name), getattr(self, name)
            connect(m, flipped(face.instruction), engine.instruction)
            m.d.comb += [
                *(getattr(face, signal).eq(getattr(engine, signal)) for signal in ("done", "error", "busy", "stalled")),
                getattr(self, f"{name}_curve").eq(engine.curve), engine.tau.eq(getattr(self, f"{name}_tau")),
            ]

        # Weights from outside; activations and vectors from the memory engine; tiles to it.
        matrix = parts.matrix
        connect(m, matrix.b_weight_request, flipped(self.b_weight_request))
        for source, column in zip(self.b_weight, matrix.b_weight, strict=True):
            connect(m, flipped(source), column)
        m.d.comb += matrix.b_weight_idle.eq(self.b_weight_idle)
        writes = [self.activation_write, *([self.gathered_write] if self._config.memory_ports > 1 else [])]
        for source, write in zip(writes, parts.activation_writes, strict=True):
            connect(m, flipped(source), write)
        connect(m, flipped(self.vector_write), parts.vectors.write)
        parts.connect_store(m, self.store_request)
        connect(m, parts.store_reader.o[0], flipped(self.store))

        m.d.comb += [self.counts[name].eq(value) for name, value in vars(parts.counts).items()]
        return m

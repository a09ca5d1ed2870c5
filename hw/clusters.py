"""All clusters of an accelerator with several: one program, one weight buffer, sequences of its own for each."""

from amaranth.hdl import Cat, Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .arithmetic import tree_sum
from .buffer.tile_reader import read_port
from .cluster import COMPUTE_ENGINES, Cluster, counts_layout
from .control.clustered_engine import ClusteredEngine, engine_signature
from .layout import tile_beat, tile_write, vector_write
from .matrix.weight_broadcast import WeightBroadcast
from .shared_module import instantiate
from .spec.widths import SLOT_BITS
from .streams.stream_fork import StreamFork

__all__ = ["Clusters"]


class Clusters(wiring.Component):
    """The clusters, as if they were one engine of each kind.

    Parameters
    ----------
    config : AcceleratorConfig of the whole, with two clusters or more

    Members
    -------
    matrix, vector : Out(engine_signature)
    matrix_curve, vector_curve : Out(6).array(clusters); matrix_tau, vector_tau : In(W - 1).array(clusters)
    weight_read : Out(read_port), to the weight buffer
    activation_write : In(stream(tile_write)), activation_clusters : In(clusters), who gets it
    gathered : In(stream(tile_write)).array(ports), gathered_clusters : In(clusters).array(ports), with several memory ports:
        the same of each beside the first, for one cluster of those with its number, modulo the ports
    vector_write : In(stream(vector_write)), for all
    store_request : In(stream(SLOT_BITS)), store : Out(stream(tile_beat)), store_clusters : In(clusters), whose
    counts : Out(counts_layout)
    """

    def __init__(self, *, config):
        self._config = c = config
        count, size = c.clusters, {"tile": c.tile, "width": c.width, "lines_per_beat": c.lines_per_beat}
        self._b_size = size | {"width": c.b_width}
        super().__init__({
            **dict.fromkeys(COMPUTE_ENGINES, Out(engine_signature())),
            **{f"{engine}_{name}": port for engine in COMPUTE_ENGINES
               for name, port in (("curve", Out(6).array(count)), ("tau", In(c.width - 1).array(count)))},
            "weight_read": Out(read_port(**self._b_size, lanes=c.grid_columns)),
            "activation_write": In(stream.Signature(tile_write(**size))), "activation_clusters": In(count),
            **({"gathered": In(stream.Signature(tile_write(**size))).array(c.memory_ports - 1),
                "gathered_clusters": In(count).array(c.memory_ports - 1)} if c.memory_ports > 1 else {}),
            "vector_write": In(stream.Signature(vector_write(c.tile, c.width, c.scale_bits))),
            "store_request": In(stream.Signature(SLOT_BITS)), "store_clusters": In(count),
            "store": Out(stream.Signature(tile_beat(**size))),
            "counts": Out(counts_layout(c)),
        })

    def elaborate(self, platform):
        m = Module()
        c = self._config
        clusters = [instantiate(m, platform, f"cluster_{n}", Cluster, config=c.cluster) for n in range(c.clusters)]

        # Instructions to all, weights to all.
        for name in COMPUTE_ENGINES:
            m.submodules[name] = engine = ClusteredEngine(clusters=c.clusters)
            connect(m, flipped(getattr(self, name)), engine.whole)
            for n, cluster in enumerate(clusters):
                connect(m, engine.part[n], getattr(cluster, name))
                m.d.comb += [getattr(self, f"{name}_curve")[n].eq(getattr(cluster, f"{name}_curve")),
                             getattr(cluster, f"{name}_tau").eq(getattr(self, f"{name}_tau")[n])]
        m.submodules.weights = weights = WeightBroadcast(
            **self._b_size, columns=c.grid_columns, clusters=c.clusters, latency=c.buffer_latency)
        connect(m, weights.port, flipped(self.weight_read))
        for n, cluster in enumerate(clusters):
            connect(m, cluster.b_weight_request, weights.request[n])
            m.d.comb += cluster.b_weight_idle.eq(weights.idle)
            for column in range(c.grid_columns):
                connect(m, weights.o[n][column], cluster.b_weight[column])

        # Activations to some, vectors to all, tiles from one.
        m.submodules.activations = activations = StreamFork(
            shape=self.activation_write.p.shape(), branches=c.clusters, choice=True)
        connect(m, flipped(self.activation_write), activations.i)
        m.d.comb += [activations.chosen.eq(self.activation_clusters), self.vector_write.ready.eq(1)]
        for n, cluster in enumerate(clusters):
            connect(m, activations.o[n], cluster.activation_write)
            asked = self.store_clusters[n]
            m.d.comb += [
                cluster.vector_write.valid.eq(self.vector_write.valid),
                cluster.vector_write.payload.eq(self.vector_write.payload),
                cluster.store_request.valid.eq(self.store_request.valid & asked),
                cluster.store_request.payload.eq(self.store_request.payload),
                cluster.store.ready.eq(self.store.ready & asked),
            ]
            with m.If(asked):
                m.d.comb += [
                    self.store_request.ready.eq(cluster.store_request.ready),
                    self.store.valid.eq(cluster.store.valid), self.store.payload.eq(cluster.store.payload),
                ]
        for port in range(1, min(c.memory_ports, c.clusters)):
            source, named = self.gathered[port - 1], self.gathered_clusters[port - 1]
            for n in range(port, c.clusters, c.memory_ports):
                write = clusters[n].gathered_write
                m.d.comb += [write.payload.eq(source.payload), write.valid.eq(source.valid & named[n])]
                with m.If(named[n]):
                    m.d.comb += source.ready.eq(write.ready)
        self._count(m, [cluster.counts for cluster in clusters])
        return m

    def _count(self, m, counts):
        for name in ("fired", "dense", "a_tiles", "b_tiles", "words_read", "words_written"):
            m.d.comb += self.counts[name].eq(tree_sum(one[name] for one in counts))
        for name in ("pe_busy", "softmax_busy", "layernorm_busy"):
            m.d.comb += self.counts[name].eq(Cat(one[name] for one in counts))
        for cause, _ in self.counts.lost.shape():
            m.d.comb += self.counts.lost[cause].eq(tree_sum(one.lost[cause] for one in counts))

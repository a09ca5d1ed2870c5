"""The whole accelerator: control, memory engine, buffers, matrix engine, vector engine."""

from amaranth.hdl import Cat, Module, Mux, ResetSignal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .arithmetic import tree_sum
from .buffer.tile_buffer import TileBuffer
from .cluster_parts import ClusterParts
from .clusters import Clusters
from .control.axi_lite import axi_lite_signature
from .control.control_unit import ControlUnit
from .control.layouts import TIMELINE
from .control.threshold_calculator import lookups
from .held_reset import held_reset
from .memory.axi import AXI4ReadSignature, AXI4Signature
from .memory.memory_engine import MemoryEngine
from .registered_reset import registered_reset
from .spec.registers import ADDRESS_BITS

__all__ = ["RESET_HELD", "Accelerator", "accelerator_signature"]

RESET_HELD = 8
"""Cycles for which the reset of the ports is held inside: two for the registers through which it comes to a PE, the others for
the pipeline behind them."""


def accelerator_signature(config):
    """The ports of the accelerator of `config`, but clock and reset."""
    bus = {"data_width": config.bus_width, "address_width": config.address_bits}
    return wiring.Signature({
        "m_axi": Out(AXI4Signature(**bus)),
        **{f"m_axi_{port}": Out(AXI4ReadSignature(**bus)) for port in range(1, config.memory_ports)},
        "s_axil": In(axi_lite_signature(address_bits=ADDRESS_BITS)),
        "irq": Out(1),
        "timeline": Out(TIMELINE),
        "activity": Out(data.StructLayout({"pes": config.pes, "units": config.softmax_units + config.layernorm_units})),
    })


class Accelerator(wiring.Component):
    """Top level.

    One cycle of reset is enough, at power-up and at any later time; for `RESET_HELD` cycles after it no register access is
    taken. From the first cycle after a reset on every output is defined, whatever registers and memories held before.

    Parameters
    ----------
    config : AcceleratorConfig

    Members
    -------
    m_axi : Out(AXI4), manager to main memory: program, weights, tables, results
    m_axi_{n} : Out(AXI4, read channels only) of the memory ports from 1 on: weights, and embeddings of clusters
    s_axil : In(AXI4-Lite), registers
    irq : Out(1), level
    timeline : Out(TIMELINE), instruction starts and completions, for timelines
    activity : Out({pes, units}), which PEs, softmax and layer-norm units work in this cycle
    """

    def __init__(self, *, config):
        self._config = config
        super().__init__(accelerator_signature(config))

    def elaborate(self, platform):
        m = Module()
        c = self._config
        size = {"tile": c.tile, "width": c.width, "lines_per_beat": c.lines_per_beat}

        # Control takes programs and registers; it resets everything else but the bus side of the memory engine.
        hold, held = held_reset(m, "held", RESET_HELD)
        control = ControlUnit(config=c)
        m.submodules.control = hold(control)
        connect(m, flipped(self.s_axil), control.csr)
        m.d.comb += [self.irq.eq(control.irq), self.timeline.eq(control.timeline)]
        restart = registered_reset(m, "core", ResetSignal("held") | control.core_reset)

        memory = MemoryEngine(
            **size, b_width=c.b_width, scale_bits=c.scale_bits, bus_width=c.bus_width, burst_beats=c.burst_beats,
            outstanding_reads=c.outstanding_reads, address_bits=c.address_bits, weight_tiles=c.weight_tiles,
            activation_tiles=c.cluster.activation_tiles, vector_lines=c.vector_lines, ports=c.memory_ports, skid=c.long_wires,
            clusters=c.clusters,
        )
        m.submodules.memory = hold(memory)
        connect(m, memory.axi, flipped(self.m_axi))
        for port in range(1, c.memory_ports):
            connect(m, getattr(memory, f"axi_{port}"), flipped(getattr(self, f"m_axi_{port}")))
            m.d.comb += memory.port_base[port - 1].eq(control.port_base[port - 1])
        connect(m, control.fetch_request, memory.fetch_request)
        connect(m, memory.fetch, control.fetch)
        m.d.comb += [
            memory.flush.eq(control.flush), memory.core_reset.eq(control.core_reset),
            control.memory_idle.eq(memory.idle), memory.access.eq(control.access),
            memory.scrub.eq(control.scrub), control.scrubbed.eq(memory.scrubbed),
        ]
        self._connect_engines(m, control, memory=memory)

        # The weight buffer serves all clusters.
        weight = TileBuffer(**size | {"width": c.b_width}, banks=c.weight_banks, tiles=c.weight_tiles, name="weight",
                            registered=c.buffer_registers, readers=[c.grid_columns], writers=c.memory_ports)
        m.submodules.weight_buffer = restart(weight)
        for port, source in enumerate(self._weight_writes(memory)):
            connect(m, source, weight.write[port])
        clusters = self._one_cluster if c.clusters == 1 else self._several_clusters
        counts = clusters(m, restart, control, memory, weight)
        self._count(m, control, memory, weight, counts, held)
        return m

    def _one_cluster(self, m, restart, control, memory, weight):
        """The parts of the only cluster; returns what they count."""
        parts = ClusterParts(config=self._config)
        parts.add(m, restart)
        matrix, vector = parts.matrix, parts.vector
        self._connect_engines(m, control, matrix=matrix, vector=vector)
        m.d.comb += [
            matrix.tau.eq(control.matrix_tau), control.matrix_curve.eq(matrix.curve),
            vector.tau.eq(control.vector_tau), control.vector_curve.eq(vector.curve),
        ]
        connect(m, matrix.b_weight_read, weight.read_0)
        connect(m, memory.activation_write, parts.activation_writes[0])
        connect(m, memory.vector_write, parts.vectors.write)
        parts.connect_store(m, memory.read_request)
        connect(m, parts.store_reader.o[0], memory.read)
        return parts.counts

    def _several_clusters(self, m, restart, control, memory, weight):
        """The same of several."""
        clusters = Clusters(config=self._config)
        m.submodules.clusters = restart(clusters)
        self._connect_engines(m, control, matrix=clusters.matrix, vector=clusters.vector)
        for (curve, tau), (asked, answer) in zip(lookups(control, self._config.clusters),
                                                 lookups(clusters, self._config.clusters), strict=True):
            m.d.comb += [curve.eq(asked), answer.eq(tau)]
        connect(m, clusters.weight_read, weight.read_0)
        connect(m, memory.activation_write, clusters.activation_write)
        for port in range(1, self._config.memory_ports):
            connect(m, getattr(memory, f"activation_write_{port}"), clusters.gathered[port - 1])
            m.d.comb += clusters.gathered_clusters[port - 1].eq(getattr(memory, f"activation_clusters_{port}"))
        connect(m, memory.vector_write, clusters.vector_write)
        connect(m, memory.read_request, clusters.store_request)
        connect(m, clusters.store, memory.read)
        m.d.comb += [clusters.activation_clusters.eq(memory.activation_clusters),
                     clusters.store_clusters.eq(memory.store_clusters)]
        return clusters.counts

    def _connect_engines(self, m, control, **engines):
        for name, engine in engines.items():
            connect(m, getattr(control, f"{name}_instruction"), engine.instruction)
            for signal in ("done", "error", "busy", "stalled"):
                m.d.comb += getattr(control, f"{name}_{signal}").eq(getattr(engine, signal))

    def _weight_writes(self, memory):
        """Streams of tiles to the weight buffer, one of each memory port."""
        return [memory.weight_write, *(getattr(memory, f"weight_write_{port}") for port in range(1, self._config.memory_ports))]

    def _activation_writes(self, memory):
        """Streams of tiles to activation buffers; those of further ports are for clusters."""
        ports = range(1, self._config.memory_ports if self._config.clusters > 1 else 1)
        return [memory.activation_write, *(getattr(memory, f"activation_write_{port}") for port in ports)]

    def _count(self, m, control, memory, weight, counts, held):
        events, further = control.events, [f"bytes_read_{port}" for port in range(1, self._config.memory_ports)]
        m.d.comb += [
            events.fired.eq(counts.fired),
            events.dense.eq(counts.dense),
            *(events[f"lost_{cause}"].eq(counts.lost[cause]) for cause in counts.lost.shape().members),
            events.bytes_read.eq(tree_sum([memory.bytes_read, *(getattr(memory, name) for name in further)])),
            *(events[name].eq(getattr(memory, name)) for name in further),
            events.bytes_written.eq(memory.bytes_written),
            events.weight_tiles.eq(tree_sum(write.valid & write.ready & write.payload.last
                                            for write in self._weight_writes(memory))),
            events.activation_tiles.eq(tree_sum(write.valid & write.ready & write.payload.last
                                                for write in self._activation_writes(memory))),
            events.a_tile_loads.eq(counts.a_tiles),
            events.b_tile_loads.eq(counts.b_tiles),
            events.word_reads.eq(counts.words_read + weight.words_read),
            events.word_writes.eq(counts.words_written + weight.words_written),
            self.activity.pes.eq(Mux(held, 0, counts.pe_busy)),
            self.activity.units.eq(Mux(held, 0, Cat(counts.softmax_busy, counts.layernorm_busy))),
        ]

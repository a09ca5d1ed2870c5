"""The AXI4 manager port and the units in which the memory engine counts."""

from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["AXI4ReadSignature", "AXI4WriteSignature", "AXI4Signature", "BURST_INCR", "RESPONSE_OKAY",
           "beat_bits", "join", "read_beat", "read_request", "size_code"]

BURST_INCR = 1
RESPONSE_OKAY = 0


def size_code(data_width):
    """The value of awsize and arsize for full-width beats: log2 of the bytes in a beat."""
    return (data_width // 8).bit_length() - 1


def beat_bits(data_width, address_bits=32):
    """Bits of a byte address in units of beats; a number of beats of an instruction has as many as one of 32 bits."""
    return address_bits - size_code(data_width)


def read_request(data_width):
    """A wish for consecutive beats of main memory: ``beats`` of them from beat address ``beat`` on, counted from the base of
    memory.
    """
    return data.StructLayout({"beat": beat_bits(data_width), "beats": beat_bits(data_width)})


def read_beat(data_width):
    """A beat that was read, whether its response was other than OKAY, and whether it was refused: then `error` is set too, and
    the bus was not asked.
    """
    return data.StructLayout({"data": data_width, "error": 1, "refused": 1})


def _address_channel(prefix, address_width, id_width):
    return {
        f"{prefix}id": Out(id_width),
        f"{prefix}addr": Out(address_width),
        f"{prefix}len": Out(8),
        f"{prefix}size": Out(3),
        f"{prefix}burst": Out(2),
        f"{prefix}cache": Out(4),
        f"{prefix}prot": Out(3),
        f"{prefix}valid": Out(1),
        f"{prefix}ready": In(1),
    }


class AXI4ReadSignature(wiring.Signature):
    """The AR and R channels of an AXI4 manager.

    Parameters
    ----------
    address_width, data_width, id_width : bits of addresses, data and transaction ids
    """

    def __init__(self, *, data_width, address_width=32, id_width=1):
        super().__init__(_address_channel("ar", address_width, id_width) | {
            "rid": In(id_width),
            "rdata": In(data_width),
            "rresp": In(2),
            "rlast": In(1),
            "rvalid": In(1),
            "rready": Out(1),
        })


class AXI4WriteSignature(wiring.Signature):
    """The AW, W and B channels of an AXI4 manager.

    Parameters
    ----------
    address_width, data_width, id_width : bits of addresses, data and transaction ids
    """

    def __init__(self, *, data_width, address_width=32, id_width=1):
        super().__init__(_address_channel("aw", address_width, id_width) | {
            "wdata": Out(data_width),
            "wstrb": Out(data_width // 8),
            "wlast": Out(1),
            "wvalid": Out(1),
            "wready": In(1),
            "bid": In(id_width),
            "bresp": In(2),
            "bvalid": In(1),
            "bready": Out(1),
        })


class AXI4Signature(wiring.Signature):
    """All five channels of an AXI4 manager, with the signal names of the standard.

    A port ``axi`` becomes ``axi__awaddr`` and so on in Verilog, which is ``AxiBus.from_prefix(dut, "axi_")`` for
    cocotbext-axi. Signals that are left out (lock, qos, region, user) have the standard's default, zero.

    Parameters
    ----------
    address_width, data_width, id_width : bits of addresses, data and transaction ids
    """

    def __init__(self, *, data_width, address_width=32, id_width=1):
        widths = {"data_width": data_width, "address_width": address_width, "id_width": id_width}
        super().__init__({
            name: member
            for half in (AXI4WriteSignature(**widths), AXI4ReadSignature(**widths))
            for name, member in half.members.items()
        })


def join(outer, inner):
    """Statements that pass the channels of `inner`, a manager's half, through to the full port `outer`."""
    return [
        getattr(outer, name).eq(getattr(inner, name)) if member.flow is Out
        else getattr(inner, name).eq(getattr(outer, name))
        for name, member in inner.signature.members.items()
    ]

// A system on chip around the accelerator: a PicoRV32 with its boot memory and a serial port, the accelerator's registers on
// AXI4-Lite, and one AXI4 port to main memory that processor and accelerator share.
//
//   0x0000_0000  boot memory (firmware, data, stack)
//   0x1000_0000  serial port: a byte written is sent; the write waits while the one before it leaves
//   0x1000_0004  bit 0: a bus access of the processor was answered with an error; writing clears it
//   0x2000_0000  registers of the accelerator
//   0x8000_0000  main memory, up to 0xffff_ffff
module soc #(
    parameter DATA = 64,                // bits of the accelerator's bus
    parameter ADDRESS = 32,             // bits of its addresses
    parameter BOOT_BYTES = 65536,
    parameter FIRMWARE = "firmware.hex",
    parameter BIT_CYCLES = 8            // clock cycles of a bit on the serial line
) (
    input  wire                 aclk,
    input  wire                 aresetn,
    output wire                 serial,
    output wire                 trap,   // the processor met an illegal instruction

    output wire [1:0]           memory_arid,
    output wire [ADDRESS-1:0]   memory_araddr,
    output wire [7:0]           memory_arlen,
    output wire [2:0]           memory_arsize,
    output wire [1:0]           memory_arburst,
    output wire [3:0]           memory_arcache,
    output wire [2:0]           memory_arprot,
    output wire                 memory_arvalid,
    input  wire                 memory_arready,
    input  wire [1:0]           memory_rid,
    input  wire [DATA-1:0]      memory_rdata,
    input  wire [1:0]           memory_rresp,
    input  wire                 memory_rlast,
    input  wire                 memory_rvalid,
    output wire                 memory_rready,
    output wire [1:0]           memory_awid,
    output wire [ADDRESS-1:0]   memory_awaddr,
    output wire [7:0]           memory_awlen,
    output wire [2:0]           memory_awsize,
    output wire [1:0]           memory_awburst,
    output wire [3:0]           memory_awcache,
    output wire [2:0]           memory_awprot,
    output wire                 memory_awvalid,
    input  wire                 memory_awready,
    output wire [DATA-1:0]      memory_wdata,
    output wire [DATA/8-1:0]    memory_wstrb,
    output wire                 memory_wlast,
    output wire                 memory_wvalid,
    input  wire                 memory_wready,
    input  wire [1:0]           memory_bid,
    input  wire [1:0]           memory_bresp,
    input  wire                 memory_bvalid,
    output wire                 memory_bready
);
    // The processor and what it reaches.
    wire        mem_valid, mem_ready, interrupt;
    wire [31:0] mem_addr, mem_wdata, mem_rdata;
    wire [3:0]  mem_wstrb;
    picorv32 #(
        .ENABLE_COUNTERS(1), .ENABLE_COUNTERS64(0), .BARREL_SHIFTER(1), .ENABLE_MUL(1), .ENABLE_DIV(1),
        .CATCH_MISALIGN(1), .CATCH_ILLINSN(1), .ENABLE_IRQ(1), .ENABLE_IRQ_QREGS(0), .ENABLE_IRQ_TIMER(0),
        .MASKED_IRQ(32'h0), .LATCHED_IRQ(32'h0), .PROGADDR_RESET(32'h0), .PROGADDR_IRQ(32'h0), .STACKADDR(BOOT_BYTES)
    ) cpu (
        .clk(aclk), .resetn(aresetn), .trap(trap),
        .mem_valid(mem_valid), .mem_ready(mem_ready), .mem_addr(mem_addr), .mem_wdata(mem_wdata), .mem_wstrb(mem_wstrb),
        .mem_rdata(mem_rdata), .irq({28'd0, interrupt, 3'd0}),
        .mem_instr(), .mem_la_read(), .mem_la_write(), .mem_la_addr(), .mem_la_wdata(), .mem_la_wstrb(), .eoi(),
        .pcpi_valid(), .pcpi_insn(), .pcpi_rs1(), .pcpi_rs2(), .pcpi_wr(1'b0), .pcpi_rd(32'd0), .pcpi_wait(1'b0),
        .pcpi_ready(1'b0), .trace_valid(), .trace_data()
    );

    wire        boot_valid, serial_valid, serial_ready;
    wire [31:0] boot_rdata;
    soc_boot_memory #(.BYTES(BOOT_BYTES), .FIRMWARE(FIRMWARE)) boot (
        .clk(aclk), .enable(boot_valid), .address(mem_addr), .wstrb(mem_wstrb), .wdata(mem_wdata), .rdata(boot_rdata)
    );
    soc_serial #(.BIT_CYCLES(BIT_CYCLES)) port (
        .clk(aclk), .resetn(aresetn), .valid(serial_valid), .data(mem_wdata[7:0]), .ready(serial_ready), .line(serial)
    );

    // Registers of the accelerator.
    wire [11:0] s_awaddr, s_araddr;
    wire [31:0] s_wdata, s_rdata;
    wire [3:0]  s_wstrb;
    wire [1:0]  s_bresp, s_rresp;
    wire        s_awvalid, s_awready, s_wvalid, s_wready, s_bvalid, s_bready, s_arvalid, s_arready, s_rvalid, s_rready;

    // Main memory as the processor sees it: single beats.
    wire [31:0]        c_araddr, c_awaddr;
    wire [DATA-1:0]    c_wdata, c_rdata;
    wire [DATA/8-1:0]  c_wstrb;
    wire [1:0]         c_rresp, c_bresp;
    wire               c_arvalid, c_arready, c_rvalid, c_rready, c_awvalid, c_awready, c_wvalid, c_wready, c_bvalid, c_bready;

    soc_cpu_bus #(.DATA(DATA)) cpu_bus (
        .clk(aclk), .resetn(aresetn),
        .mem_valid(mem_valid), .mem_ready(mem_ready), .mem_addr(mem_addr), .mem_wdata(mem_wdata), .mem_wstrb(mem_wstrb),
        .mem_rdata(mem_rdata),
        .boot_valid(boot_valid), .boot_rdata(boot_rdata), .serial_valid(serial_valid), .serial_ready(serial_ready),
        .s_awaddr(s_awaddr), .s_awvalid(s_awvalid), .s_awready(s_awready), .s_wdata(s_wdata), .s_wstrb(s_wstrb),
        .s_wvalid(s_wvalid), .s_wready(s_wready), .s_bresp(s_bresp), .s_bvalid(s_bvalid), .s_bready(s_bready),
        .s_araddr(s_araddr), .s_arvalid(s_arvalid), .s_arready(s_arready), .s_rdata(s_rdata), .s_rresp(s_rresp),
        .s_rvalid(s_rvalid), .s_rready(s_rready),
        .c_araddr(c_araddr), .c_arvalid(c_arvalid), .c_arready(c_arready), .c_rdata(c_rdata), .c_rresp(c_rresp),
        .c_rvalid(c_rvalid), .c_rready(c_rready), .c_awaddr(c_awaddr), .c_awvalid(c_awvalid), .c_awready(c_awready),
        .c_wdata(c_wdata), .c_wstrb(c_wstrb), .c_wvalid(c_wvalid), .c_wready(c_wready), .c_bresp(c_bresp),
        .c_bvalid(c_bvalid), .c_bready(c_bready)
    );

    // The accelerator.
    wire [ADDRESS-1:0]  a_araddr, a_awaddr;
    wire [7:0]          a_arlen, a_awlen;
    wire [2:0]          a_arsize, a_awsize, a_arprot, a_awprot;
    wire [1:0]          a_arburst, a_awburst, a_rresp, a_bresp;
    wire [3:0]          a_arcache, a_awcache;
    wire [DATA-1:0]     a_rdata, a_wdata;
    wire [DATA/8-1:0]   a_wstrb;
    wire [0:0]          a_arid, a_rid, a_awid, a_bid;
    wire                a_arvalid, a_arready, a_rvalid, a_rready, a_rlast;
    wire                a_awvalid, a_awready, a_wvalid, a_wready, a_wlast, a_bvalid, a_bready;
    acceltran accelerator (
        .aclk(aclk), .aresetn(aresetn), .interrupt(interrupt),
        .s_axi_awaddr(s_awaddr), .s_axi_awprot(3'b000), .s_axi_awvalid(s_awvalid), .s_axi_awready(s_awready),
        .s_axi_wdata(s_wdata), .s_axi_wstrb(s_wstrb), .s_axi_wvalid(s_wvalid), .s_axi_wready(s_wready),
        .s_axi_bresp(s_bresp), .s_axi_bvalid(s_bvalid), .s_axi_bready(s_bready),
        .s_axi_araddr(s_araddr), .s_axi_arprot(3'b000), .s_axi_arvalid(s_arvalid), .s_axi_arready(s_arready),
        .s_axi_rdata(s_rdata), .s_axi_rresp(s_rresp), .s_axi_rvalid(s_rvalid), .s_axi_rready(s_rready),
        .m_axi_arid(a_arid), .m_axi_araddr(a_araddr), .m_axi_arlen(a_arlen), .m_axi_arsize(a_arsize),
        .m_axi_arburst(a_arburst), .m_axi_arcache(a_arcache), .m_axi_arprot(a_arprot), .m_axi_arvalid(a_arvalid),
        .m_axi_arready(a_arready), .m_axi_rid(a_rid), .m_axi_rdata(a_rdata), .m_axi_rresp(a_rresp), .m_axi_rlast(a_rlast),
        .m_axi_rvalid(a_rvalid), .m_axi_rready(a_rready),
        .m_axi_awid(a_awid), .m_axi_awaddr(a_awaddr), .m_axi_awlen(a_awlen), .m_axi_awsize(a_awsize),
        .m_axi_awburst(a_awburst), .m_axi_awcache(a_awcache), .m_axi_awprot(a_awprot), .m_axi_awvalid(a_awvalid),
        .m_axi_awready(a_awready), .m_axi_wdata(a_wdata), .m_axi_wstrb(a_wstrb), .m_axi_wlast(a_wlast),
        .m_axi_wvalid(a_wvalid), .m_axi_wready(a_wready), .m_axi_bid(a_bid), .m_axi_bresp(a_bresp), .m_axi_bvalid(a_bvalid),
        .m_axi_bready(a_bready)
    );

    localparam [2:0] SIZE = $clog2(DATA / 8);
    soc_interconnect #(.DATA(DATA), .ADDRESS(ADDRESS)) crossing (
        .clk(aclk), .resetn(aresetn),
        .a_arid(a_arid), .a_araddr(a_araddr), .a_arlen(a_arlen), .a_arcache(a_arcache), .a_arprot(a_arprot),
        .a_arvalid(a_arvalid), .a_arready(a_arready), .a_rid(a_rid), .a_rdata(a_rdata), .a_rresp(a_rresp), .a_rlast(a_rlast),
        .a_rvalid(a_rvalid), .a_rready(a_rready), .a_awid(a_awid), .a_awaddr(a_awaddr), .a_awlen(a_awlen),
        .a_awcache(a_awcache), .a_awprot(a_awprot), .a_awvalid(a_awvalid), .a_awready(a_awready), .a_wdata(a_wdata),
        .a_wstrb(a_wstrb), .a_wlast(a_wlast), .a_wvalid(a_wvalid), .a_wready(a_wready), .a_bid(a_bid), .a_bresp(a_bresp),
        .a_bvalid(a_bvalid), .a_bready(a_bready),
        .c_araddr(c_araddr), .c_arvalid(c_arvalid), .c_arready(c_arready), .c_rdata(c_rdata), .c_rresp(c_rresp),
        .c_rvalid(c_rvalid), .c_rready(c_rready), .c_awaddr(c_awaddr), .c_awvalid(c_awvalid), .c_awready(c_awready),
        .c_wdata(c_wdata), .c_wstrb(c_wstrb), .c_wvalid(c_wvalid), .c_wready(c_wready), .c_bresp(c_bresp),
        .c_bvalid(c_bvalid), .c_bready(c_bready),
        .m_arid(memory_arid), .m_araddr(memory_araddr), .m_arlen(memory_arlen), .m_arcache(memory_arcache),
        .m_arprot(memory_arprot), .m_arvalid(memory_arvalid), .m_arready(memory_arready), .m_rid(memory_rid),
        .m_rdata(memory_rdata), .m_rresp(memory_rresp), .m_rlast(memory_rlast), .m_rvalid(memory_rvalid),
        .m_rready(memory_rready), .m_awid(memory_awid), .m_awaddr(memory_awaddr), .m_awlen(memory_awlen),
        .m_awcache(memory_awcache), .m_awprot(memory_awprot), .m_awvalid(memory_awvalid), .m_awready(memory_awready),
        .m_wdata(memory_wdata), .m_wstrb(memory_wstrb), .m_wlast(memory_wlast), .m_wvalid(memory_wvalid),
        .m_wready(memory_wready), .m_bid(memory_bid), .m_bresp(memory_bresp), .m_bvalid(memory_bvalid),
        .m_bready(memory_bready)
    );
    assign memory_arsize = SIZE;
    assign memory_awsize = SIZE;
    assign memory_arburst = 2'b01;
    assign memory_awburst = 2'b01;
endmodule

// Two AXI4 managers at one subordinate: the accelerator (a), and the processor (c) with bursts of one beat. Ids get one more
// bit, by which answers find their way back. The processor goes first; an offer stays until it is taken. A write burst keeps
// address and data channel until both are through.
module soc_interconnect #(
    parameter DATA = 64,
    parameter ADDRESS = 32
) (
    input  wire               clk,
    input  wire               resetn,

    input  wire [0:0]         a_arid,
    input  wire [ADDRESS-1:0] a_araddr,
    input  wire [7:0]         a_arlen,
    input  wire [3:0]         a_arcache,
    input  wire [2:0]         a_arprot,
    input  wire               a_arvalid,
    output wire               a_arready,
    output wire [0:0]         a_rid,
    output wire [DATA-1:0]    a_rdata,
    output wire [1:0]         a_rresp,
    output wire               a_rlast,
    output wire               a_rvalid,
    input  wire               a_rready,
    input  wire [0:0]         a_awid,
    input  wire [ADDRESS-1:0] a_awaddr,
    input  wire [7:0]         a_awlen,
    input  wire [3:0]         a_awcache,
    input  wire [2:0]         a_awprot,
    input  wire               a_awvalid,
    output wire               a_awready,
    input  wire [DATA-1:0]    a_wdata,
    input  wire [DATA/8-1:0]  a_wstrb,
    input  wire               a_wlast,
    input  wire               a_wvalid,
    output wire               a_wready,
    output wire [0:0]         a_bid,
    output wire [1:0]         a_bresp,
    output wire               a_bvalid,
    input  wire               a_bready,

    input  wire [31:0]        c_araddr,
    input  wire               c_arvalid,
    output wire               c_arready,
    output wire [DATA-1:0]    c_rdata,
    output wire [1:0]         c_rresp,
    output wire               c_rvalid,
    input  wire               c_rready,
    input  wire [31:0]        c_awaddr,
    input  wire               c_awvalid,
    output wire               c_awready,
    input  wire [DATA-1:0]    c_wdata,
    input  wire [DATA/8-1:0]  c_wstrb,
    input  wire               c_wvalid,
    output wire               c_wready,
    output wire [1:0]         c_bresp,
    output wire               c_bvalid,
    input  wire               c_bready,

    output wire [1:0]         m_arid,
    output wire [ADDRESS-1:0] m_araddr,
    output wire [7:0]         m_arlen,
    output wire [3:0]         m_arcache,
    output wire [2:0]         m_arprot,
    output wire               m_arvalid,
    input  wire               m_arready,
    input  wire [1:0]         m_rid,
    input  wire [DATA-1:0]    m_rdata,
    input  wire [1:0]         m_rresp,
    input  wire               m_rlast,
    input  wire               m_rvalid,
    output wire               m_rready,
    output wire [1:0]         m_awid,
    output wire [ADDRESS-1:0] m_awaddr,
    output wire [7:0]         m_awlen,
    output wire [3:0]         m_awcache,
    output wire [2:0]         m_awprot,
    output wire               m_awvalid,
    input  wire               m_awready,
    output wire [DATA-1:0]    m_wdata,
    output wire [DATA/8-1:0]  m_wstrb,
    output wire               m_wlast,
    output wire               m_wvalid,
    input  wire               m_wready,
    input  wire [1:0]         m_bid,
    input  wire [1:0]         m_bresp,
    input  wire               m_bvalid,
    output wire               m_bready
);
    // Read addresses: who is offered stays.
    reg  offered, owner;
    wire reads_cpu = offered ? owner : c_arvalid;
    assign m_arvalid = reads_cpu ? c_arvalid : a_arvalid;
    assign m_arid = {reads_cpu, !reads_cpu && a_arid[0]};
    assign m_araddr = reads_cpu ? c_araddr : a_araddr;
    assign m_arlen = reads_cpu ? 8'd0 : a_arlen;
    assign m_arcache = reads_cpu ? 4'b0011 : a_arcache;
    assign m_arprot = reads_cpu ? 3'b000 : a_arprot;
    assign c_arready = reads_cpu && m_arready;
    assign a_arready = !reads_cpu && m_arready;
    always @(posedge clk) begin
        offered <= m_arvalid && !m_arready;
        owner <= reads_cpu;
        if (!resetn) offered <= 0;
    end

    // Read data.
    assign a_rid = m_rid[0];
    assign a_rdata = m_rdata;
    assign a_rresp = m_rresp;
    assign a_rlast = m_rlast;
    assign a_rvalid = m_rvalid && !m_rid[1];
    assign c_rdata = m_rdata;
    assign c_rresp = m_rresp;
    assign c_rvalid = m_rvalid && m_rid[1];
    assign m_rready = m_rid[1] ? c_rready : a_rready;

    // Writes: one burst at a time.
    reg writing, writes_cpu, address_through, data_through;
    assign m_awvalid = writing && !address_through && (writes_cpu ? c_awvalid : a_awvalid);
    assign m_awid = {writes_cpu, !writes_cpu && a_awid[0]};
    assign m_awaddr = writes_cpu ? c_awaddr : a_awaddr;
    assign m_awlen = writes_cpu ? 8'd0 : a_awlen;
    assign m_awcache = writes_cpu ? 4'b0011 : a_awcache;
    assign m_awprot = writes_cpu ? 3'b000 : a_awprot;
    assign m_wvalid = writing && !data_through && (writes_cpu ? c_wvalid : a_wvalid);
    assign m_wdata = writes_cpu ? c_wdata : a_wdata;
    assign m_wstrb = writes_cpu ? c_wstrb : a_wstrb;
    assign m_wlast = writes_cpu || a_wlast;
    assign c_awready = writing && writes_cpu && !address_through && m_awready;
    assign a_awready = writing && !writes_cpu && !address_through && m_awready;
    assign c_wready = writing && writes_cpu && !data_through && m_wready;
    assign a_wready = writing && !writes_cpu && !data_through && m_wready;
    wire address_goes = m_awvalid && m_awready;
    wire data_goes = m_wvalid && m_wready && m_wlast;
    always @(posedge clk) begin
        if (!writing) begin
            writing <= c_awvalid || a_awvalid;
            writes_cpu <= c_awvalid;
            address_through <= 0;
            data_through <= 0;
        end else begin
            if (address_goes) address_through <= 1;
            if (data_goes) data_through <= 1;
            if ((address_through || address_goes) && (data_through || data_goes)) writing <= 0;
        end
        if (!resetn) writing <= 0;
    end

    // Write answers.
    assign a_bid = m_bid[0];
    assign a_bresp = m_bresp;
    assign a_bvalid = m_bvalid && !m_bid[1];
    assign c_bresp = m_bresp;
    assign c_bvalid = m_bvalid && m_bid[1];
    assign m_bready = m_bid[1] ? c_bready : a_bready;
endmodule

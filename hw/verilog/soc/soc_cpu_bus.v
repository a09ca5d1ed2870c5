// The processor's accesses, one at a time: to boot memory, serial port and error flag, to the accelerator's registers by
// AXI4-Lite, or to main memory as AXI4 bursts of one beat. Error answers read as zero and set a flag at 0x1000_0004.
module soc_cpu_bus #(
    parameter DATA = 64
) (
    input  wire               clk,
    input  wire               resetn,
    input  wire               mem_valid,
    output reg                mem_ready,
    input  wire [31:0]        mem_addr,
    input  wire [31:0]        mem_wdata,
    input  wire [3:0]         mem_wstrb,
    output reg  [31:0]        mem_rdata,

    output wire               boot_valid,
    input  wire [31:0]        boot_rdata,
    output wire               serial_valid,
    input  wire               serial_ready,

    output wire [11:0]        s_awaddr,
    output reg                s_awvalid,
    input  wire               s_awready,
    output wire [31:0]        s_wdata,
    output wire [3:0]         s_wstrb,
    output reg                s_wvalid,
    input  wire               s_wready,
    input  wire [1:0]         s_bresp,
    input  wire               s_bvalid,
    output wire               s_bready,
    output wire [11:0]        s_araddr,
    output reg                s_arvalid,
    input  wire               s_arready,
    input  wire [31:0]        s_rdata,
    input  wire [1:0]         s_rresp,
    input  wire               s_rvalid,
    output wire               s_rready,

    output wire [31:0]        c_araddr,
    output reg                c_arvalid,
    input  wire               c_arready,
    input  wire [DATA-1:0]    c_rdata,
    input  wire [1:0]         c_rresp,
    input  wire               c_rvalid,
    output wire               c_rready,
    output wire [31:0]        c_awaddr,
    output reg                c_awvalid,
    input  wire               c_awready,
    output wire [DATA-1:0]    c_wdata,
    output wire [DATA/8-1:0]  c_wstrb,
    output reg                c_wvalid,
    input  wire               c_wready,
    input  wire [1:0]         c_bresp,
    input  wire               c_bvalid,
    output wire               c_bready
);
    localparam SIZE = $clog2(DATA / 8);
    localparam [1:0] IDLE = 0, BOOT = 1, REGISTERS = 2, MEMORY = 3;
    reg [1:0] state;
    reg       error;
    wire      write = mem_wstrb != 0;
    wire      starts = mem_valid && !mem_ready && state == IDLE;

    // The top bits of the address choose: 1 main memory, 001 registers, 0001 serial port and flag, 0000 boot memory.
    wire to_memory = mem_addr[31];
    wire to_registers = !mem_addr[31] && mem_addr[29];
    wire to_serial = !mem_addr[31] && !mem_addr[29] && mem_addr[28];
    assign boot_valid = starts && !to_memory && !to_registers && !to_serial;
    assign serial_valid = starts && to_serial && write && !mem_addr[2];

    assign s_awaddr = mem_addr[11:0];
    assign s_araddr = mem_addr[11:0];
    assign s_wdata = mem_wdata;
    assign s_wstrb = mem_wstrb;
    assign s_bready = 1;
    assign s_rready = 1;

    // A word has its place in a beat.
    wire [SIZE-3:0] lane = mem_addr[SIZE-1:2];
    assign c_araddr = {mem_addr[31:SIZE], {SIZE{1'b0}}};
    assign c_awaddr = {mem_addr[31:SIZE], {SIZE{1'b0}}};
    assign c_wdata = {DATA/32{mem_wdata}};
    assign c_wstrb = {{DATA/8-4{1'b0}}, mem_wstrb} << {lane, 2'b00};
    assign c_rready = 1;
    assign c_bready = 1;

    always @(posedge clk) begin
        mem_ready <= 0;
        if (s_awready) s_awvalid <= 0;
        if (s_wready) s_wvalid <= 0;
        if (s_arready) s_arvalid <= 0;
        if (c_awready) c_awvalid <= 0;
        if (c_wready) c_wvalid <= 0;
        if (c_arready) c_arvalid <= 0;
        case (state)
            IDLE: if (starts) begin
                if (to_memory) begin
                    state <= MEMORY;
                    c_arvalid <= !write;
                    c_awvalid <= write;
                    c_wvalid <= write;
                end else if (to_registers) begin
                    state <= REGISTERS;
                    s_arvalid <= !write;
                    s_awvalid <= write;
                    s_wvalid <= write;
                end else if (to_serial) begin
                    mem_rdata <= {31'd0, mem_addr[2] && error};
                    mem_ready <= !serial_valid || serial_ready;
                    if (write && mem_addr[2]) error <= 0;
                end else
                    state <= BOOT;
            end
            BOOT: begin
                mem_rdata <= boot_rdata;
                mem_ready <= 1;
                state <= IDLE;
            end
            REGISTERS: if (s_bvalid || s_rvalid) begin
                mem_rdata <= s_rdata;
                mem_ready <= 1;
                state <= IDLE;
                if ((s_bvalid ? s_bresp : s_rresp) != 0) error <= 1;
            end
            MEMORY: if (c_bvalid || c_rvalid) begin
                mem_rdata <= c_rresp == 0 ? c_rdata[32*lane +: 32] : 32'd0;
                mem_ready <= 1;
                state <= IDLE;
                if ((c_bvalid ? c_bresp : c_rresp) != 0) error <= 1;
            end
        endcase
        if (!resetn) begin
            state <= IDLE;
            error <= 0;
            mem_ready <= 0;
            {s_awvalid, s_wvalid, s_arvalid, c_awvalid, c_wvalid, c_arvalid} <= 0;
        end
    end
endmodule

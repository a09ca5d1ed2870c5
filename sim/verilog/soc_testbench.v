// The system on chip with its main memory, and a receiver at its serial line: what comes goes to serial.log, until end of text.
module soc_testbench #(
    parameter DATA = 64,
    parameter ADDRESS = 32,
    parameter MEMORY_BYTES = 1 << 24
) (
    input  wire clk,
    input  wire rst,
    output reg  finished,
    output wire trapped
);
    localparam BIT_CYCLES = 8;
    wire serial;
    wire [1:0] arid, rid, awid, bid, arburst, awburst, rresp, bresp;
    wire [ADDRESS-1:0] araddr, awaddr;
    wire [7:0] arlen, awlen;
    wire [2:0] arsize, awsize, arprot, awprot;
    wire [3:0] arcache, awcache;
    wire [DATA-1:0] rdata, wdata;
    wire [DATA/8-1:0] wstrb;
    wire arvalid, arready, rlast, rvalid, rready, awvalid, awready, wlast, wvalid, wready, bvalid, bready;

    soc #(.DATA(DATA), .ADDRESS(ADDRESS), .BIT_CYCLES(BIT_CYCLES)) dut (
        .aclk(clk), .aresetn(!rst), .serial(serial), .trap(trapped),
        .memory_arid(arid), .memory_araddr(araddr), .memory_arlen(arlen), .memory_arsize(arsize), .memory_arburst(arburst),
        .memory_arcache(arcache), .memory_arprot(arprot), .memory_arvalid(arvalid), .memory_arready(arready),
        .memory_rid(rid), .memory_rdata(rdata), .memory_rresp(rresp), .memory_rlast(rlast), .memory_rvalid(rvalid),
        .memory_rready(rready), .memory_awid(awid), .memory_awaddr(awaddr), .memory_awlen(awlen), .memory_awsize(awsize),
        .memory_awburst(awburst), .memory_awcache(awcache), .memory_awprot(awprot), .memory_awvalid(awvalid),
        .memory_awready(awready), .memory_wdata(wdata), .memory_wstrb(wstrb), .memory_wlast(wlast), .memory_wvalid(wvalid),
        .memory_wready(wready), .memory_bid(bid), .memory_bresp(bresp), .memory_bvalid(bvalid), .memory_bready(bready)
    );
    acceltran_memory #(.DATA(DATA), .ADDRESS(ADDRESS), .ID(2), .BYTES(MEMORY_BYTES)) memory (
        .clk(clk), .rst(rst),
        .arid(arid), .araddr(araddr), .arlen(arlen), .arvalid(arvalid), .arready(arready), .rid(rid), .rdata(rdata),
        .rresp(rresp), .rlast(rlast), .rvalid(rvalid), .rready(rready), .awid(awid), .awaddr(awaddr), .awlen(awlen),
        .awvalid(awvalid), .awready(awready), .wdata(wdata), .wstrb(wstrb), .wlast(wlast), .wvalid(wvalid), .wready(wready),
        .bid(bid), .bresp(bresp), .bvalid(bvalid), .bready(bready)
    );

    // A bit is taken in its middle; the tenth, the stop bit, ends the character.
    integer log;
    initial log = $fopen("serial.log", "w");
    final $fclose(log);
    reg [7:0] character;
    reg [3:0] bits;
    reg [7:0] count;
    reg       receiving;
    always @(posedge clk) begin
        if (!receiving) begin
            if (!serial) begin
                receiving <= 1;
                bits <= 0;
                count <= BIT_CYCLES + BIT_CYCLES / 2 - 1;
            end
        end else if (count != 0)
            count <= count - 8'd1;
        else begin
            count <= BIT_CYCLES - 1;
            bits <= bits + 4'd1;
            if (bits < 8)
                character <= {serial, character[7:1]};
            else begin
                receiving <= 0;
                if (character == 8'd4 || !serial) finished <= 1;
                else begin
                    $fwrite(log, "%c", character);
                    $fflush(log);
                end
            end
        end
        if (trapped) finished <= 1;
        if (rst) begin
            receiving <= 0;
            finished <= 0;
        end
    end
endmodule

// Memory of the processor, with byte enables; a word read is there in the next cycle.
module soc_boot_memory #(
    parameter BYTES = 65536,
    parameter FIRMWARE = "firmware.hex"
) (
    input  wire        clk,
    input  wire        enable,
    input  wire [31:0] address,
    input  wire [3:0]  wstrb,
    input  wire [31:0] wdata,
    output reg  [31:0] rdata
);
    localparam BITS = $clog2(BYTES / 4);
    reg [31:0] words [0:BYTES/4-1];
    wire [BITS-1:0] word = address[BITS+1:2];
    initial $readmemh(FIRMWARE, words);

    always @(posedge clk)
        if (enable) begin
            rdata <= words[word];
            if (wstrb[0]) words[word][7:0] <= wdata[7:0];
            if (wstrb[1]) words[word][15:8] <= wdata[15:8];
            if (wstrb[2]) words[word][23:16] <= wdata[23:16];
            if (wstrb[3]) words[word][31:24] <= wdata[31:24];
        end
endmodule

// Synchronous SRAM with one read and one write port: replace this module by a macro of the target process.
// The read port answers one cycle after read_enable and holds its data until the next read. Each of LANES equal parts
// of a word has its own write enable. Reading a word in the cycle in which it is written returns undefined data;
// the accelerator never does.
module acceltran_sram #(
    parameter DEPTH = 16,
    parameter WIDTH = 8,
    parameter LANES = 1,
    parameter NAME = "sram",
    parameter ADDRESS = (DEPTH > 1) ? $clog2(DEPTH) : 1
) (
    input  wire               clk,
    input  wire               read_enable,
    input  wire [ADDRESS-1:0] read_address,
    output reg  [WIDTH-1:0]   read_data,
    input  wire [LANES-1:0]   write_enable,
    input  wire [ADDRESS-1:0] write_address,
    input  wire [WIDTH-1:0]   write_data
);
    localparam LANE = WIDTH / LANES;
    (* no_rw_check *) reg [WIDTH-1:0] words [0:DEPTH-1];
    integer lane;

    always @(posedge clk) begin
        if (read_enable) read_data <= words[read_address];
        for (lane = 0; lane < LANES; lane = lane + 1)
            if (write_enable[lane]) words[write_address][lane*LANE +: LANE] <= write_data[lane*LANE +: LANE];
    end
endmodule

// The SRAM of the generated design with a log of its writes, for checking every intermediate tensor. An instance called
// NAME logs when the simulation runs with the argument +NAME: one line per write with the time, the address, the lane
// enables and the word, in the file NAME.log.
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
    reg [WIDTH-1:0] words [0:DEPTH-1];
    integer lane;
    integer log = 0;

    initial if ($test$plusargs(NAME)) log = $fopen({NAME, ".log"}, "w");
    final if (log != 0) $fclose(log);

    always @(posedge clk) begin
        if (read_enable) read_data <= words[read_address];
        for (lane = 0; lane < LANES; lane = lane + 1)
            if (write_enable[lane]) words[write_address][lane*LANE +: LANE] <= write_data[lane*LANE +: LANE];
        if (log != 0 && |write_enable) $fwrite(log, "%0d %0d %h %h\n", $time, write_address, write_enable, write_data);
    end
endmodule

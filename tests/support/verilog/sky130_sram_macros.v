// Behaviour of OpenRAM's SRAM macros for SKY130 with one port for reads and writes and one for reads, as their published models
// have it: inputs are taken at rising edges of the clock, at which the outputs become undefined; at the falling edge words are
// written and read data appear. Written anew for the tests; there is no timing in it.
module sky130_sram_1rw1r #(
    parameter ADDRESS = 8
) (
    input  wire               clk0,
    input  wire               csb0,
    input  wire               web0,
    input  wire [3:0]         wmask0,
    input  wire [ADDRESS-1:0] addr0,
    input  wire [31:0]        din0,
    output reg  [31:0]        dout0,
    input  wire               clk1,
    input  wire               csb1,
    input  wire [ADDRESS-1:0] addr1,
    output reg  [31:0]        dout1
);
    reg [31:0] words [0:(1<<ADDRESS)-1];
    reg selected0, writing0, selected1;
    reg [3:0] mask0;
    reg [ADDRESS-1:0] place0, place1;
    reg [31:0] data0;
    integer lane;

    always @(posedge clk0) begin
        selected0 <= !csb0;
        writing0 <= !web0;
        mask0 <= wmask0;
        place0 <= addr0;
        data0 <= din0;
        dout0 <= 32'bx;
    end
    always @(posedge clk1) begin
        selected1 <= !csb1;
        place1 <= addr1;
        dout1 <= 32'bx;
    end
    always @(negedge clk0) begin
        if (selected0 && writing0)
            for (lane = 0; lane < 4; lane = lane + 1)
                if (mask0[lane]) words[place0][8*lane +: 8] <= data0[8*lane +: 8];
        if (selected0 && !writing0) dout0 <= words[place0];
    end
    // A word that is written and read in the same cycle: nothing is known of what was read.
    always @(negedge clk1)
        if (selected1) dout1 <= selected0 && writing0 && place0 === place1 ? 32'bx : words[place1];
endmodule

module sky130_sram_1kbyte_1rw1r_32x256_8(
    input wire clk0, input wire csb0, input wire web0, input wire [3:0] wmask0, input wire [7:0] addr0, input wire [31:0] din0,
    output wire [31:0] dout0, input wire clk1, input wire csb1, input wire [7:0] addr1, output wire [31:0] dout1
);
    sky130_sram_1rw1r #(.ADDRESS(8)) macro(
        .clk0(clk0), .csb0(csb0), .web0(web0), .wmask0(wmask0), .addr0(addr0), .din0(din0), .dout0(dout0),
        .clk1(clk1), .csb1(csb1), .addr1(addr1), .dout1(dout1));
endmodule

module sky130_sram_2kbyte_1rw1r_32x512_8(
    input wire clk0, input wire csb0, input wire web0, input wire [3:0] wmask0, input wire [8:0] addr0, input wire [31:0] din0,
    output wire [31:0] dout0, input wire clk1, input wire csb1, input wire [8:0] addr1, output wire [31:0] dout1
);
    sky130_sram_1rw1r #(.ADDRESS(9)) macro(
        .clk0(clk0), .csb0(csb0), .web0(web0), .wmask0(wmask0), .addr0(addr0), .din0(din0), .dout0(dout0),
        .clk1(clk1), .csb1(csb1), .addr1(addr1), .dout1(dout1));
endmodule

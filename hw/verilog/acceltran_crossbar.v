// Every output is one of the inputs: output n carries input select[n]. Inputs, outputs and selects are packed, number 0
// lowest. In a text of its own because it stays this short for any size.
module acceltran_crossbar #(
    parameter INPUTS = 2,
    parameter OUTPUTS = 1,
    parameter WIDTH = 8,
    parameter SELECT = (INPUTS > 1) ? $clog2(INPUTS) : 1
) (
    input  wire [INPUTS*WIDTH-1:0]   i,
    input  wire [OUTPUTS*SELECT-1:0] select,
    output wire [OUTPUTS*WIDTH-1:0]  o
);
    wire [WIDTH-1:0] words [0:INPUTS-1];
    genvar n;

    generate
        for (n = 0; n < INPUTS; n = n + 1) begin : input_word
            assign words[n] = i[n*WIDTH +: WIDTH];
        end
        for (n = 0; n < OUTPUTS; n = n + 1) begin : output_word
            assign o[n*WIDTH +: WIDTH] = words[select[n*SELECT +: SELECT]];
        end
    endgenerate
endmodule

// acceltran_crossbar as equal crossbars of up to SLICE bits of every word, one of which stands for all in a mapping.
module acceltran_crossbar_slices #(
    parameter INPUTS = 2,
    parameter OUTPUTS = 1,
    parameter WIDTH = 8,
    parameter SELECT = (INPUTS > 1) ? $clog2(INPUTS) : 1,
    parameter SLICE = 8
) (
    input  wire [INPUTS*WIDTH-1:0]   i,
    input  wire [OUTPUTS*SELECT-1:0] select,
    output wire [OUTPUTS*WIDTH-1:0]  o
);
    genvar low, n;

    generate
        for (low = 0; low < WIDTH; low = low + SLICE) begin : slices
            localparam BITS = (WIDTH - low < SLICE) ? WIDTH - low : SLICE;
            wire [INPUTS*BITS-1:0] part_i;
            wire [OUTPUTS*BITS-1:0] part_o;
            for (n = 0; n < INPUTS; n = n + 1) assign part_i[n*BITS +: BITS] = i[n*WIDTH + low +: BITS];
            for (n = 0; n < OUTPUTS; n = n + 1) assign o[n*WIDTH + low +: BITS] = part_o[n*BITS +: BITS];
            acceltran_crossbar #(.INPUTS(INPUTS), .OUTPUTS(OUTPUTS), .WIDTH(BITS)) slice(
                .i(part_i), .select(select), .o(part_o));
        end
    endgenerate
endmodule

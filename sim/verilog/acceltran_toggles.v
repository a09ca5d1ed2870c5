// Counters for the power of an inference. Each writes one line at the end of the simulation to toggles.log: its instance
// and two numbers.

// How many bits of `nets` differ from one clock edge to the next, and how many bits there are.
module acceltran_toggles #(
    parameter BITS = 1
) (
    input wire            clk,
    input wire [BITS-1:0] nets
);
    reg [BITS-1:0] settled = 0;
    reg [63:0] toggles = 0;
    integer log;

    always @(posedge clk) begin
        toggles <= toggles + 64'($countones(nets ^ settled));
        settled <= nets;
    end
    final begin
        log = $fopen("toggles.log", "a");
        $fwrite(log, "%m %0d %0d\n", toggles, BITS);
        $fclose(log);
    end
endmodule

// In how many cycles an SRAM is read, and in how many any part of a word is written.
module acceltran_accesses #(
    parameter LANES = 1
) (
    input wire             clk,
    input wire             read_enable,
    input wire [LANES-1:0] write_enable
);
    reg [63:0] reads = 0, writes = 0;
    integer log;

    always @(posedge clk) begin
        reads <= reads + 64'(read_enable);
        writes <= writes + 64'(|write_enable);
    end
    final begin
        log = $fopen("toggles.log", "a");
        $fwrite(log, "%m %0d %0d\n", reads, writes);
        $fclose(log);
    end
endmodule

bind acceltran_sram acceltran_accesses #(.LANES(LANES)) acceltran_accesses_0(.*);
bind acceltran_crossbar acceltran_toggles #(.BITS(INPUTS*WIDTH)) acceltran_inputs_0(.clk(system.clk), .nets(i));
bind acceltran_crossbar acceltran_toggles #(.BITS(OUTPUTS*WIDTH)) acceltran_driven_0(.clk(system.clk), .nets(o));

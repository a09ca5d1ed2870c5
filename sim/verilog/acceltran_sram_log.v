// A log of the writes of every SRAM, for checking each intermediate tensor. An instance called NAME logs when the
// simulation runs with the argument +NAME: one line per write with the time, the address, the lane enables and the word,
// in the file NAME.SCOPE.log, where SCOPE is the path of this module: instances in several clusters have the same name.
module acceltran_sram_log #(
    parameter NAME = "sram",
    parameter ADDRESS = 1,
    parameter WIDTH = 8,
    parameter LANES = 1
) (
    input wire               clk,
    input wire [LANES-1:0]   write_enable,
    input wire [ADDRESS-1:0] write_address,
    input wire [WIDTH-1:0]   write_data
);
    integer log = 0;

    initial if ($test$plusargs(NAME)) log = $fopen($sformatf("%s.%m.log", NAME), "w");
    final if (log != 0) $fclose(log);

    always @(posedge clk)
        if (log != 0 && |write_enable) $fwrite(log, "%0d %0d %h %h\n", $time, write_address, write_enable, write_data);
endmodule

bind acceltran_sram acceltran_sram_log #(.NAME(NAME), .ADDRESS(ADDRESS), .WIDTH(WIDTH), .LANES(LANES)) write_log(.*);

// Sends bytes on a serial line: a start bit (low), eight data bits from the lowest on, a stop bit (high).
module soc_serial #(
    parameter BIT_CYCLES = 8
) (
    input  wire       clk,
    input  wire       resetn,
    input  wire       valid,
    input  wire [7:0] data,
    output wire       ready,
    output wire       line
);
    reg [9:0]  bits;
    reg [3:0]  left;
    reg [15:0] wait_cycles;
    assign ready = left == 0;
    assign line = left == 0 || bits[0];

    always @(posedge clk) begin
        if (valid && ready) begin
            bits <= {1'b1, data, 1'b0};
            left <= 4'd10;
            wait_cycles <= BIT_CYCLES - 1;
        end else if (left != 0) begin
            wait_cycles <= wait_cycles == 0 ? BIT_CYCLES - 1 : wait_cycles - 16'd1;
            if (wait_cycles == 0) begin
                bits <= {1'b1, bits[9:1]};
                left <= left - 4'd1;
            end
        end
        if (!resetn) left <= 0;
    end
endmodule

// Between main memory and a manager port, on a channel that answers: makes the next answer that begins, a beat of a read or the
// response of a write, an error, as long as `response` is not zero and `id` is the answer's. `struck` tells that it has; it falls
// with `response`. An answer that waits stays as it is.
module acceltran_answer_fault #(
    parameter ID = 1
) (
    input  wire          clk,
    input  wire          rst,
    input  wire [1:0]    response,
    input  wire [ID-1:0] id,
    input  wire          valid,
    input  wire          ready,
    input  wire [ID-1:0] given_id,
    input  wire [1:0]    given,
    output wire [1:0]    resp,
    output reg           struck
);
    reg waiting;
    reg [1:0] held;
    wire strike = valid && !waiting && response != 2'b00 && !struck && id == given_id;
    assign resp = waiting ? held : strike ? response : given;

    always @(posedge clk) begin
        waiting <= valid && !ready;
        held <= resp;
        struck <= (struck || strike) && response != 2'b00;
        if (rst) begin
            waiting <= 0; struck <= 0;
        end
    end
endmodule

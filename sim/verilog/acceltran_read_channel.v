// The read channels of a port of simulated main memory: bursts are answered in order, the first beat LATENCY cycles after its
// address (or as many as +latency=N says), then one beat per cycle; up to QUEUE bursts wait. Addresses outside the BYTES bytes
// from +base=HEX on (0 without) answer DECERR. With +stall=N each handshake is held back in N of 256 cycles, at random; each port
// draws its own numbers from +stall_seed=S. With +shuffle every burst has a latency of its own, at random up to the given one,
// and beats of different ids are mixed in any order, as AXI4 allows. +latency_P=N and +stall_P=N are for port NUMBER = P alone.
// The word at `place` of the memory is expected at `word` in the same cycle.
module acceltran_read_channel #(
    parameter DATA = 128,
    parameter ADDRESS = 32,
    parameter BYTES = 1 << 27,
    parameter ID = 1,
    parameter LATENCY = 40,
    parameter QUEUE = 16,
    parameter NUMBER = 0
) (
    input  wire              clk,
    input  wire              rst,
    input  wire [ADDRESS-1:0] araddr,
    input  wire [7:0]        arlen,
    input  wire [ID-1:0]     arid,
    input  wire              arvalid,
    output wire              arready,
    output wire [DATA-1:0]   rdata,
    output wire [1:0]        rresp,
    output wire [ID-1:0]     rid,
    output wire              rlast,
    output wire              rvalid,
    input  wire              rready,
    output wire [$clog2(BYTES / (DATA / 8))-1:0] place,
    input  wire [DATA-1:0]   word
);
    localparam WORD = $clog2(DATA / 8);
    localparam WORDS = BYTES / (DATA / 8);

    string own;
    integer stall = 0, seed = 1, latency = LATENCY, unused;
    reg [ADDRESS-1:0] base = 0;
    reg shuffle = 0, read_open = 1, ready = 1;
    reg [31:0] state = 1;
    initial begin
        unused = $value$plusargs("stall=%d", stall);
        unused = $value$plusargs("stall_seed=%d", seed);
        unused = $value$plusargs("latency=%d", latency);
        own = $sformatf("stall_%0d=%%d", NUMBER);
        unused = $value$plusargs(own, stall);
        own = $sformatf("latency_%0d=%%d", NUMBER);
        unused = $value$plusargs(own, latency);
        unused = $value$plusargs("base=%h", base);
        shuffle = $test$plusargs("shuffle") != 0;
        state = 32'd747796405 * seed + 32'd97 * NUMBER + 32'd1;
        if (state == 0) state = 1;
    end

    // A number of this port's own sequence, by Marsaglia's xorshift.
    function [31:0] draw();
        state = state ^ state << 13;
        state = state ^ state >> 17;
        state = state ^ state << 5;
        draw = state;
    endfunction

    // Valid stays open until its transfer; ready is drawn anew every cycle.
    function open(input integer chance);
        open = chance == 0 || (draw() & 32'd255) >= chance;
    endfunction
    always @(posedge clk) begin
        if (!read_open || rvalid && rready) read_open <= open(stall);
        ready <= open(stall);
    end

    // Rings of bursts, each with the time from which it may be answered; one ring, or with +shuffle one per id.
    localparam RINGS = 1 << ID;
    localparam PLACE = $clog2(QUEUE);
    reg [31:0] now;
    reg [ADDRESS-1:0] address [0:RINGS*QUEUE-1]; // from base on; one below it wraps to one far beyond the array
    reg [7:0]       length [0:RINGS*QUEUE-1];
    reg [ID-1:0]    id     [0:RINGS*QUEUE-1];
    reg [31:0]      due    [0:RINGS*QUEUE-1];
    reg [PLACE-1:0] head [0:RINGS-1], tail [0:RINGS-1];
    reg [PLACE:0]   count [0:RINGS-1];
    reg [7:0]       beat [0:RINGS-1];

    reg  [ID-1:0]       pick;
    wire [ID-1:0]       ring = shuffle ? arid : {ID{1'b0}};
    wire [ID+PLACE-1:0] first = {pick, head[pick]};
    wire [ID+PLACE-1:0] last = {ring, tail[ring]};
    wire [ADDRESS-1:0]  word_address = (address[first] >> WORD) + {{(ADDRESS-8){1'b0}}, beat[pick]};
    assign place = word_address[$clog2(WORDS)-1:0];
    assign arready = count[ring] < QUEUE && ready;
    assign rvalid = count[pick] != 0 && now >= due[first] && read_open;
    assign rdata = word;
    assign rresp = (address[first] >> $clog2(BYTES)) == 0 ? 2'b00 : 2'b11;
    assign rid = id[first];
    assign rlast = beat[pick] == length[first];

    integer n;
    always @(posedge clk) begin
        now <= now + 1;
        if (shuffle && !(rvalid && !rready)) pick <= draw();
        if (arvalid && arready) begin
            address[last] <= araddr - base;
            length[last] <= arlen;
            id[last] <= arid;
            due[last] <= now + (shuffle ? draw() % (latency + 1) : latency);
            tail[ring] <= tail[ring] + 1;
        end
        if (rvalid && rready) begin
            beat[pick] <= rlast ? 8'd0 : beat[pick] + 8'd1;
            if (rlast) head[pick] <= head[pick] + 1;
        end
        for (n = 0; n < RINGS; n = n + 1)
            count[n] <= count[n] + {{PLACE{1'b0}}, arvalid && arready && ring == n}
                - {{PLACE{1'b0}}, rvalid && rready && rlast && pick == n};
        if (rst) begin
            now <= 0; pick <= 0;
            for (n = 0; n < RINGS; n = n + 1) begin
                head[n] <= 0; tail[n] <= 0; count[n] <= 0; beat[n] <= 0;
            end
        end
    end
endmodule

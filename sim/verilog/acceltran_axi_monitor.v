// Watches an AXI4 manager port of an accelerator and writes to LOG what breaks a rule: of the protocol, or of the table
// of AXI facts in docs/integration.md. At the end it writes what it has seen. Bound to module accelerator; +read_first,
// +read_last, +write_first, +write_last (hexadecimal) name the bytes that may be touched, +prot and +cache the attributes.
module acceltran_axi_monitor #(
    parameter DATA = 128,
    parameter ADDRESS = 32,
    parameter BEATS = 16,           // longest burst
    parameter READS = 4,            // data bursts in flight
    parameter FETCHES = 16,         // fetch bursts in flight
    parameter WRITES = 4,           // write bursts in flight
    parameter LOG = "axi.log"
) (
    input wire              clk,
    input wire              rst,
    input wire [0:0]        m_axi__arid,
    input wire [ADDRESS-1:0] m_axi__araddr,
    input wire [7:0]        m_axi__arlen,
    input wire [2:0]        m_axi__arsize,
    input wire [1:0]        m_axi__arburst,
    input wire [3:0]        m_axi__arcache,
    input wire [2:0]        m_axi__arprot,
    input wire              m_axi__arvalid,
    input wire              m_axi__arready,
    input wire [0:0]        m_axi__rid,
    input wire              m_axi__rlast,
    input wire              m_axi__rvalid,
    input wire              m_axi__rready,
    input wire [0:0]        m_axi__awid,
    input wire [ADDRESS-1:0] m_axi__awaddr,
    input wire [7:0]        m_axi__awlen,
    input wire [2:0]        m_axi__awsize,
    input wire [1:0]        m_axi__awburst,
    input wire [3:0]        m_axi__awcache,
    input wire [2:0]        m_axi__awprot,
    input wire              m_axi__awvalid,
    input wire              m_axi__awready,
    input wire [DATA-1:0]   m_axi__wdata,
    input wire [DATA/8-1:0] m_axi__wstrb,
    input wire              m_axi__wlast,
    input wire              m_axi__wvalid,
    input wire              m_axi__wready,
    input wire [0:0]        m_axi__bid,
    input wire              m_axi__bvalid,
    input wire              m_axi__bready
);
    localparam BYTES = DATA / 8;
    localparam [2:0] SIZE = $clog2(BYTES);
    reg [ADDRESS-1:0] read_first = 0, read_last = {ADDRESS{1'b1}}, write_first = 0, write_last = {ADDRESS{1'b1}};
    reg [2:0] prot = 0;
    reg [3:0] cache = 4'b0011;
    integer log, unused;
    initial begin
        log = $fopen(LOG, "w");
        unused = $value$plusargs("read_first=%h", read_first);
        unused = $value$plusargs("read_last=%h", read_last);
        unused = $value$plusargs("write_first=%h", write_first);
        unused = $value$plusargs("write_last=%h", write_last);
        unused = $value$plusargs("prot=%h", prot);
        unused = $value$plusargs("cache=%h", cache);
    end

    integer violations = 0, cycles = 0, reads = 0, writes = 0, interleaved = 0, overtaking = 0, early_data = 0, most_reads = 0,
            most_fetches = 0, most_writes = 0;
    task rule(input reg holds, input string text);
        if (!holds) begin
            violations = violations + 1;
            $fwrite(log, "%0d %s\n", $time, text);
        end
    endtask

    // What was offered in the cycle before and not taken.
    reg ar_held = 0, aw_held = 0, w_held = 0, r_mixed = 0;
    reg [ADDRESS+20:0] ar_before, aw_before;
    reg [DATA+BYTES:0] w_before;
    wire [ADDRESS+20:0] ar = {m_axi__arid, m_axi__araddr, m_axi__arlen, m_axi__arsize, m_axi__arburst, m_axi__arcache,
                              m_axi__arprot};
    wire [ADDRESS+20:0] aw = {m_axi__awid, m_axi__awaddr, m_axi__awlen, m_axi__awsize, m_axi__awburst, m_axi__awcache,
                              m_axi__awprot};
    wire [DATA+BYTES:0] w = {m_axi__wdata, m_axi__wstrb, m_axi__wlast};

    // In flight: bursts by id, the order of their addresses, lengths of writes.
    integer flying [0:1], flying_writes = 0, addresses = 0, bursts = 0, beats = 0, n;
    reg [7:0] lengths [0:255], lasts [0:255];
    reg [0:0] order [0:255], r_id = 0;
    reg [7:0] order_head = 0, order_tail = 0, write_head = 0, write_tail = 0, beat = 0, last_tail = 0;
    initial begin
        flying[0] = 0;
        flying[1] = 0;
    end

    function inside_page(input [ADDRESS-1:0] address, input [7:0] length);
        inside_page = address[11:0] + (length + 13'd1) * BYTES <= 13'd4096;
    endfunction

    always @(posedge clk) begin
        cycles = cycles + 1;
        if (rst) begin
            // AXI4, A3.1.2: in the first cycle after a reset nothing is valid yet.
            ar_held <= 0; aw_held <= 0; w_held <= 0; r_mixed <= 0;
            flying[0] = 0; flying[1] = 0; flying_writes = 0; order_head = 0; order_tail = 0;
            write_head = 0; write_tail = 0; last_tail = 0; beat = 0;
        end else begin
            rule(!ar_held || m_axi__arvalid && ar == ar_before, "AR changed before it was taken");
            rule(!aw_held || m_axi__awvalid && aw == aw_before, "AW changed before it was taken");
            rule(!w_held || m_axi__wvalid && w == w_before, "W changed before it was taken");
            ar_held <= m_axi__arvalid && !m_axi__arready;
            aw_held <= m_axi__awvalid && !m_axi__awready;
            w_held <= m_axi__wvalid && !m_axi__wready;
            ar_before <= ar;
            aw_before <= aw;
            w_before <= w;
            rule(m_axi__rready === 1'b1 && m_axi__bready === 1'b1, "an answer has to wait");
            rule(^{m_axi__arvalid, m_axi__awvalid, m_axi__wvalid} !== 1'bx, "a valid is undefined");

            if (m_axi__arvalid) begin
                rule(m_axi__arburst == 2'b01 && m_axi__arsize == SIZE && m_axi__araddr % BYTES == 0, "AR is no whole INCR burst");
                rule(m_axi__arlen < BEATS && inside_page(m_axi__araddr, m_axi__arlen), "AR is too long or crosses 4 KiB");
                rule(m_axi__arcache == cache && m_axi__arprot == prot, "AR has other attributes");
                rule(m_axi__araddr >= read_first && m_axi__araddr + ({56'd0, m_axi__arlen} + 1) * BYTES - 1 <= read_last,
                     "AR is outside");
            end
            if (m_axi__awvalid) begin
                rule(m_axi__awburst == 2'b01 && m_axi__awsize == SIZE && m_axi__awaddr % BYTES == 0, "AW is no whole INCR burst");
                rule(m_axi__awlen < BEATS && inside_page(m_axi__awaddr, m_axi__awlen), "AW is too long or crosses 4 KiB");
                rule(m_axi__awcache == cache && m_axi__awprot == prot, "AW has other attributes");
                rule(m_axi__awaddr >= write_first && m_axi__awaddr + ({56'd0, m_axi__awlen} + 1) * BYTES - 1 <= write_last,
                     "AW is outside");
                rule(m_axi__awid == 0, "AW has another id than 0");
            end

            // Reads in flight.
            if (m_axi__arvalid && m_axi__arready) begin
                reads = reads + 1;
                flying[m_axi__arid] = flying[m_axi__arid] + 1;
                order[order_tail] = m_axi__arid;
                order_tail = order_tail + 1;
            end
            rule(flying[0] <= READS, "too many reads are in flight");
            rule(flying[1] <= FETCHES, "too many fetches are in flight");
            if (flying[0] > most_reads) most_reads = flying[0];
            if (flying[1] > most_fetches) most_fetches = flying[1];
            if (m_axi__rvalid && m_axi__rready) begin
                if (r_mixed && m_axi__rid != r_id) interleaved = interleaved + 1;
                if (order_head != order_tail && order[order_head] != m_axi__rid) overtaking = overtaking + 1;
                r_id <= m_axi__rid;
                r_mixed <= !m_axi__rlast;
                if (m_axi__rlast) begin
                    flying[m_axi__rid] = flying[m_axi__rid] - 1;
                    // The oldest burst of this id leaves the order.
                    for (n = 0; order[order_head + n[7:0]] != m_axi__rid && n < 255; n = n + 1);
                    for (n = n; n > 0; n = n - 1) order[order_head + n[7:0]] = order[order_head + n[7:0] - 8'd1];
                    order_head = order_head + 1;
                end
            end

            // Writes in flight: the beats of a burst end where its address says, whichever comes first.
            if (m_axi__awvalid && m_axi__awready) begin
                writes = writes + 1;
                flying_writes = flying_writes + 1;
                lengths[write_tail] = m_axi__awlen;
                write_tail = write_tail + 1;
            end
            if (m_axi__wvalid && m_axi__wready) begin
                rule(m_axi__wstrb == {BYTES{1'b1}} || m_axi__wstrb == 0, "a beat is written in part");
                if (write_head == write_tail) early_data = early_data + 1;
                if (m_axi__wlast) begin
                    lasts[last_tail] = beat;
                    last_tail = last_tail + 1;
                end
                beat = m_axi__wlast ? 8'd0 : beat + 8'd1;
            end
            if (write_head != write_tail && write_head != last_tail) begin
                rule(lasts[write_head] == lengths[write_head], "WLAST is not where AWLEN says");
                write_head = write_head + 1;
            end
            if (m_axi__bvalid && m_axi__bready) flying_writes = flying_writes - 1;
            rule(flying_writes <= WRITES, "too many writes are in flight");
            if (flying_writes > most_writes) most_writes = flying_writes;
        end
    end

    final begin
        $fwrite(log, "end violations=%0d cycles=%0d reads=%0d writes=%0d interleaved=%0d overtaking=%0d early_data=%0d", violations,
                cycles, reads, writes, interleaved, overtaking, early_data);
        $fwrite(log, " most_reads=%0d most_fetches=%0d most_writes=%0d\n", most_reads, most_fetches, most_writes);
        $fclose(log);
    end
endmodule

// Plays programs of loads, starts and reads into an EIE array, one transfer a cycle (cosim/common_player.v), and
// records the results.
//
// Program:
//   "L" count transfers
//   "S" layer limit       start with that layer, wait for done
//   "R" count             read activations 0 to count - 1
// Record:
//   "C" cycles, then the cycles of each layer        after each start
//   "T" cycles, then the layer that runs             after a start that is not done after its limit
//   "R" values                                       after each read
//   "A" busy padding stalled starved draining        of each PE over all starts of the program, at its end
// Trace (+trace=FILE): the monitor in hexadecimal, a line a cycle, of the first start of the program.
module player (
    input clk,
    output reg finished
);
`include "common_player.v"

    reg start, read_valid;
    reg [`INDEX_BITS-1:0] read_index;
    wire read_ready, idle, done, result_valid;
    wire signed [15:0] result;
    reg signed [15:0] value;
    wire [`MONITOR_BITS-1:0] monitor;

    eie_array array (
        .clk(clk),
        .rst(rst),
        .load__payload(transfer[`LOAD_BITS-1:0]),
        .load__valid(load_valid),
        .load__ready(load_ready),
        .start(start),
        .first(count[`LAYER_BITS-1:0]),
        .idle(idle),
        .done(done),
        .read__payload(read_index),
        .read__valid(read_valid),
        .read__ready(read_ready),
        .result__payload(result),
        .result__valid(result_valid),
        .result__ready(1'b1),
        .monitor(monitor)
    );

    // The monitor's fields, in the order of zeroskip.rtl.eie.layouts.monitor_layout.
    wire running = monitor[0];
    wire [`LAYER_BITS-1:0] layer = monitor[1 +: `LAYER_BITS];
    wire blocked = monitor[1 + `LAYER_BITS];
    wire draining = monitor[2 + `LAYER_BITS];
    wire [2*`PES-1:0] activity = monitor[3 + `LAYER_BITS +: 2*`PES];

    reg [31:0] to_read;
    integer traced, trace_file, pe, l;
    reg [8*1024-1:0] trace_name;
    reg [31:0] layer_cycles [0:255];
    reg [63:0] busy [0:`PES-1], padding [0:`PES-1], stalled [0:`PES-1], starved [0:`PES-1], drained [0:`PES-1];

    initial begin
        traced = $value$plusargs("trace=%s", trace_name);
        for (l = 0; l < 256; l = l + 1) layer_cycles[l] = 0;
        for (pe = 0; pe < `PES; pe = pe + 1) begin
            busy[pe] = 0;
            padding[pe] = 0;
            stalled[pe] = 0;
            starved[pe] = 0;
            drained[pe] = 0;
        end
    end

    always @(posedge clk) begin
        if (rst) begin
            resetting <= resetting - 3'd1;
            state <= OPENING;
            load_valid <= 1'b0;
            start <= 1'b0;
            read_valid <= 1'b0;
            read_index <= 0;
            finished <= 1'b0;
        end else begin
            case (state)
                OPENING: begin
                    open_files;
                    if (traced != 0) trace_file = $fopen(trace_name, "w");
                    finished <= 1'b0;
                    state <= COMMAND;
                end
                COMMAND: begin
                    read_command;
                    if (got == 0) begin
                        for (pe = 0; pe < `PES; pe = pe + 1) begin
                            $fwrite(record_file, "A %0d %0d %0d %0d %0d\n",
                                    busy[pe], padding[pe], stalled[pe], starved[pe], drained[pe]);
                            busy[pe] = 0;
                            padding[pe] = 0;
                            stalled[pe] = 0;
                            starved[pe] = 0;
                            drained[pe] = 0;
                        end
                        close_files;
                        if (traced != 0) $fclose(trace_file);
                        finished <= 1'b1;
                        state <= OPENING;
                    end else if (command == "L") begin
                        state <= LOADING;
                    end else if (command == "S") begin
                        start <= 1'b1;
                        state <= STARTING;
                    end else begin
                        to_read <= count;
                        read_index <= 0;
                        read_valid <= 1'b1;
                        $fwrite(record_file, "R");
                        state <= READING;
                    end
                end
                LOADING: load;
                STARTING:
                    if (idle) begin
                        start <= 1'b0;
                        cycles <= 1;
                        state <= RUNNING;
                    end
                RUNNING:
                    if (done) begin
                        $fwrite(record_file, "C %0d", cycles);
                        for (l = 0; l < `LAYERS; l = l + 1) begin
                            $fwrite(record_file, " %0d", layer_cycles[l]);
                            layer_cycles[l] = 0;
                        end
                        $fwrite(record_file, "\n");
                        state <= COMMAND;
                    end else if (cycles > limit) begin
                        $fwrite(record_file, "T %0d %0d\n", cycles, layer);
                        close_files;
                        finished <= 1'b1;
                        state <= OPENING;
                    end else cycles <= cycles + 1;
                READING: begin
                    if (read_valid && read_ready) begin
                        read_index <= read_index + 1;
                        if (to_read == 1) read_valid <= 1'b0;
                        to_read <= to_read - 1;
                    end
                    if (result_valid) begin
                        // Unmasked: Verilator 5.48 may print bits above those of a wire.
                        value = result;
                        $fwrite(record_file, " %0d", value);
                        count = count - 1;
                        if (count == 0) begin
                            $fwrite(record_file, "\n");
                            state <= COMMAND;
                        end
                    end
                end
                default: ;
            endcase
            if (running) begin
                layer_cycles[layer] = layer_cycles[layer] + 1;
                for (pe = 0; pe < `PES; pe = pe + 1)
                    if (activity[2*pe]) busy[pe] = busy[pe] + 1;
                    else if (activity[2*pe+1]) padding[pe] = padding[pe] + 1;
                    else if (draining) drained[pe] = drained[pe] + 1;
                    else if (blocked) stalled[pe] = stalled[pe] + 1;
                    else starved[pe] = starved[pe] + 1;
                if (traced != 0 && starts == 1) $fwrite(trace_file, "%h\n", monitor);
            end
        end
    end
endmodule

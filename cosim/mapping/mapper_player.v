// Plays programs of loads, jobs and reads into a mapping unit, one transfer a cycle (cosim/common_player.v), and records
// the results.
//
// Program:
//   "L" count transfers
//   "S" 0 limit job         start port, JOB_BYTES bytes; wait for done
//   "R" count, base         words base (4 bytes) to base + count - 1 of the memory
// +pause=N: the triples wait in about N of 256 cycles.
// Record:
//   "M" count values        each word of triples, the values in hexadecimal, zeros behind the last
//   "C" cycles disordered sorted     after each job
//   "T" cycles              after a job that is not done after its limit
//   "D" word                each word of the memory, in hexadecimal
module mapper_player (
    input clk,
    output reg finished
);
`include "common_player.v"

    localparam JOB_BYTES = (`JOB_BITS + 7) / 8, FINISHING = 6;
    reg [8*JOB_BYTES-1:0] job;
    reg start_valid, read_valid, triples_ready;
    reg [`ADDRESS_BITS-1:0] read_address;
    wire start_ready, read_ready, done, disordered, result_valid, triples_valid;
    wire [`WORD_BITS-1:0] result;
    wire [`COUNT_BITS+`VALUES_BITS-1:0] triples;
    wire [`SORTED_BITS-1:0] sorted;

    mapper mapper (
        .clk(clk),
        .rst(rst),
        .load__payload(transfer[`LOAD_BITS-1:0]),
        .load__valid(load_valid),
        .load__ready(load_ready),
        .start__payload(job[`JOB_BITS-1:0]),
        .start__valid(start_valid),
        .start__ready(start_ready),
        .triples__payload(triples),
        .triples__valid(triples_valid),
        .triples__ready(triples_ready),
        .done(done),
        .sorted(sorted),
        .disordered(disordered),
        .read__payload(read_address),
        .read__valid(read_valid),
        .read__ready(read_ready),
        .result__payload(result),
        .result__valid(result_valid),
        .result__ready(1'b1)
    );

    wire [`COUNT_BITS-1:0] found = triples[`VALUES_BITS +: `COUNT_BITS];
    wire [`VALUES_BITS-1:0] every = {`VALUES_BITS{1'b1}};
    reg [31:0] base, waiting;
    integer pause;

    initial begin
        pause = 0;
        got = $value$plusargs("pause=%d", pause);
    end

    always @(posedge clk) begin
        if (rst) begin
            resetting <= resetting - 3'd1;
            state <= OPENING;
            load_valid <= 1'b0;
            start_valid <= 1'b0;
            read_valid <= 1'b0;
            triples_ready <= 1'b1;
            finished <= 1'b0;
        end else begin
            if (pause != 0) triples_ready <= ($urandom & 255) >= pause;
            if (triples_valid && triples_ready)
                $fwrite(record_file, "M %0d %h\n", found, triples[`VALUES_BITS-1:0] & ~(every << found * `TRIPLE_BITS));
            case (state)
                OPENING: begin
                    open_files;
                    finished <= 1'b0;
                    state <= COMMAND;
                end
                COMMAND: begin
                    read_command;
                    if (got == 0) begin
                        close_files;
                        finished <= 1'b1;
                        state <= OPENING;
                    end else if (command == "L") begin
                        state <= LOADING;
                    end else if (command == "S") begin
                        got = $fread(job, program_file);
                        start_valid <= 1'b1;
                        state <= STARTING;
                    end else begin
                        got = $fread(base, program_file);
                        waiting = count;
                        read_address <= base[`ADDRESS_BITS-1:0];
                        read_valid <= 1'b1;
                        state <= READING;
                    end
                end
                LOADING: load;
                STARTING:
                    if (start_ready) begin
                        start_valid <= 1'b0;
                        cycles <= 1;
                        state <= RUNNING;
                    end
                RUNNING:
                    if (done) state <= FINISHING;
                    else if (cycles > limit) begin
                        $fwrite(record_file, "T %0d\n", cycles);
                        close_files;
                        finished <= 1'b1;
                        state <= OPENING;
                    end else cycles <= cycles + 1;
                FINISHING: begin
                    $fwrite(record_file, "C %0d %0d %0d\n", cycles, disordered, sorted);
                    state <= COMMAND;
                end
                READING: begin
                    if (read_valid && read_ready) begin
                        read_address <= read_address + 1;
                        count = count - 1;
                        if (count == 0) read_valid <= 1'b0;
                    end
                    if (result_valid) begin
                        $fwrite(record_file, "D %h\n", result);
                        waiting = waiting - 1;
                        if (waiting == 0) state <= COMMAND;
                    end
                end
                default: ;
            endcase
        end
    end
endmodule

// Plays programs of loads, jobs and reads into a Gemm, one transfer a cycle (cosim/common_player.v), and records the
// results.
//
// Program:
//   "L" count transfers
//   "S" 0 limit job         start port, JOB_BYTES bytes; wait for done
//   "R" count, base         words base (4 bytes) to base + count - 1 of each row of D
// Without cycles of a port, and with the same effect, unless PORTS_ONLY is defined:
//   "F" count bank words    words 0 to count - 1 of a bank (4 bytes; zeroskip.cosim.mma.design.banks), in whole bytes
//   "P" count, base         as "R"
// Record:
//   "C" cycles illegal      after each job
//   "T" cycles              after a job that is not done after its limit
//   "D" word                in hexadecimal, row by row of each word
module gemm_player (
    input clk,
    output reg finished
);
`include "common_player.v"

    localparam JOB_BYTES = (`JOB_BITS + 7) / 8;
    reg [8*JOB_BYTES-1:0] job;
    reg start_valid, read_valid;
    reg [`BANK_BITS-1:0] read_bank;
    reg [`ADDRESS_BITS-1:0] read_address;
    wire start_ready, read_ready, done, illegal, result_valid;
    wire [`RESULT_BITS-1:0] result;

    gemm gemm (
        .clk(clk),
        .rst(rst),
        .load__payload(transfer[`LOAD_BITS-1:0]),
        .load__valid(load_valid),
        .load__ready(load_ready),
        .start__payload(job[`JOB_BITS-1:0]),
        .start__valid(start_valid),
        .start__ready(start_ready),
        .done(done),
        .illegal(illegal),
        .read__payload({read_address, read_bank}),
        .read__valid(read_valid),
        .read__ready(read_ready),
        .result__payload(result),
        .result__valid(result_valid),
        .result__ready(1'b1)
    );

`ifndef PORTS_ONLY
    memories memories ();
`endif

    // Not an integer: Icarus Verilog's $fread takes none.
    reg [31:0] bank;
    reg [31:0] base, waiting;
    integer address;

    always @(posedge clk) begin
        if (rst) begin
            resetting <= resetting - 3'd1;
            state <= OPENING;
            load_valid <= 1'b0;
            start_valid <= 1'b0;
            read_valid <= 1'b0;
            finished <= 1'b0;
        end else begin
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
`ifndef PORTS_ONLY
                    end else if (command == "F") begin
                        got = $fread(bank, program_file);
                        memories.fill(bank, program_file, count);
                    end else if (command == "P") begin
                        got = $fread(base, program_file);
                        for (address = base; address < base + count; address = address + 1)
                            for (bank = 0; bank < `ROWS; bank = bank + 1)
                                memories.print(`D_BANKS + bank, record_file, address);
`endif
                    end else begin
                        got = $fread(base, program_file);
                        waiting = count * `ROWS;
                        read_address <= base[`ADDRESS_BITS-1:0];
                        read_bank <= 0;
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
                    if (done) begin
                        $fwrite(record_file, "C %0d %0d\n", cycles, illegal);
                        state <= COMMAND;
                    end else if (cycles > limit) begin
                        $fwrite(record_file, "T %0d\n", cycles);
                        close_files;
                        finished <= 1'b1;
                        state <= OPENING;
                    end else cycles <= cycles + 1;
                READING: begin
                    if (read_valid && read_ready) begin
                        if (read_bank == `ROWS - 1) begin
                            read_bank <= 0;
                            read_address <= read_address + 1;
                            count = count - 1;
                            if (count == 0) read_valid <= 1'b0;
                        end else read_bank <= read_bank + 1;
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

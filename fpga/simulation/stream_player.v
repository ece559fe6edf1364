// Plays bytes into the stream `i` of a component, and records those of its stream `o` (cosim/common_player.v).
//
// Program, binary: `frames` (4 bytes), `quiet` (4 bytes), then bytes. It ends when all bytes have gone in and `frames`
// zeros have come out, or when nothing has come out for `quiet` cycles.
// Record: the bytes that came out, in hexadecimal, then " " and the cycles that the program took.
module player (
    input clk,
    output reg finished
);
`include "common_player.v"

    reg [31:0] frames, quiet, waited, cycles;
    reg [7:0] next, i_payload;
    reg i_valid;
    wire i_ready, o_valid;
    wire [7:0] o_payload;
    initial i_valid = 1'b0;

    linked linked (
        .clk(clk),
        .rst(rst),
        .i__payload(i_payload),
        .i__valid(i_valid),
        .i__ready(i_ready),
        .broken(1'b0),
        .o__payload(o_payload),
        .o__valid(o_valid),
        .o__ready(1'b1)
    );

    always @(posedge clk) begin
        if (rst) begin
            resetting <= resetting - 3'd1;
            state <= OPENING;
            i_valid <= 1'b0;
            finished <= 1'b0;
        end else if (state == OPENING) begin
            open_files;
            got = $fread(frames, program_file);
            got = $fread(quiet, program_file);
            waited <= 0;
            cycles = 0;
            finished <= 1'b0;
            state <= RUNNING;
        end else begin
            cycles = cycles + 1;
            if (!i_valid || i_ready) begin
                got = $fread(next, program_file);
                // Not into `i_payload` itself, which the component takes at this edge.
                i_payload <= next;
                i_valid <= got == 1;
            end
            waited <= waited + 1;
            if (o_valid) begin
                $fwrite(record_file, "%02x", o_payload);
                waited <= 0;
                if (o_payload == 0 && frames != 0) frames = frames - 1;
            end
            if (!i_valid && (frames == 0 || waited >= quiet)) begin
                $fwrite(record_file, " %0d", cycles);
                close_files;
                finished <= 1'b1;
                state <= OPENING;
            end
        end
    end
endmodule

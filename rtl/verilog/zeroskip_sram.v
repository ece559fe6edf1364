// A memory of DEPTH words of WIDTH bits with one write port and one read port, of one clock.
//
// r_data shows word r_addr in the cycle after r_en, and keeps it while r_en is low. A word that is read and written in
// the same cycle reads as undefined: the design never needs it. Words are undefined until they are written, unless
// CONTENTS names a file that $readmemh reads.
//
// One of three forms is chosen by a macro:
//   (none)                    block RAM, as FPGA tools infer it
//   ZEROSKIP_SRAM_MODEL       a model for simulation, in which a word that is read and written at once reads inverted,
//                             and words start with random values: a comparison with unknown ones would be unknown, even
//                             where the known bits decide it
//   ZEROSKIP_SRAM_BLACK_BOX   nothing inside: for macros. A module of this name, with these parameters and ports, must
//                             come from elsewhere; the sizes that the design needs are in the manifest.
`default_nettype none

`ifdef ZEROSKIP_SRAM_BLACK_BOX
(* blackbox *)
`endif
module zeroskip_sram #(
    parameter WIDTH = 1,
    parameter DEPTH = 1,
    parameter ADDRESS = 1,
    parameter CONTENTS = ""
) (
    input  wire               clk,
    input  wire               w_en,
    input  wire [ADDRESS-1:0] w_addr,
    input  wire [WIDTH-1:0]   w_data,
    input  wire               r_en,
    input  wire [ADDRESS-1:0] r_addr,
    output wire [WIDTH-1:0]   r_data
);
`ifndef ZEROSKIP_SRAM_BLACK_BOX
    (* no_rw_check *)
    reg [WIDTH-1:0] words_memory [0:DEPTH-1];
    reg [WIDTH-1:0] shown;
    assign r_data = shown;

    generate
        if (CONTENTS != "") begin : filled
            initial $readmemh(CONTENTS, words_memory);
        end
`ifdef ZEROSKIP_SRAM_MODEL
        else begin : undefined
            integer seed, index;
            initial begin
                seed = 0;
                for (index = 0; index < DEPTH; index = index + 1)
                    words_memory[index] = {(WIDTH + 31) / 32{$random(seed)}};
            end
        end
`endif
    endgenerate

    always @(posedge clk) begin
        if (w_en) words_memory[w_addr] <= w_data;
`ifdef ZEROSKIP_SRAM_MODEL
        if (r_en) shown <= (w_en && w_addr == r_addr) ? ~words_memory[r_addr] : words_memory[r_addr];
`else
        if (r_en) shown <= words_memory[r_addr];
`endif
    end
`endif
endmodule

`default_nettype wire

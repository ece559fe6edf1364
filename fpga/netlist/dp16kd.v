// The block RAM of the ECP5 (Lattice FPGA-TN-02204), for the simulation of netlists: 18 kbit, two ports.
//
// Where one port writes what the other reads, the read data are random: the device promises nothing. At power-up the
// contents are random too: a netlist must load what it reads. Both ports must have the same clock.
//
// What the synthesis does not use, ends the simulation: output registers, and the write mode WRITETHROUGH.
module DP16KD(
    input DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3, DIA2, DIA1, DIA0,
    input ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0,
    input CEA, OCEA, CLKA, WEA, RSTA, CSA2, CSA1, CSA0,
    output DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2, DOA1, DOA0,
    input DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2, DIB1, DIB0,
    input ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0,
    input CEB, OCEB, CLKB, WEB, RSTB, CSB2, CSB1, CSB0,
    output DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2, DOB1, DOB0
);
    /*verilator no_inline_module*/
    parameter DATA_WIDTH_A = 18;
    parameter REGMODE_A = "NOREG";
    parameter CSDECODE_A = "0b000";
    parameter WRITEMODE_A = "NORMAL";
    parameter CLKAMUX = "CLKA";
    parameter DATA_WIDTH_B = 18;
    parameter REGMODE_B = "NOREG";
    parameter CSDECODE_B = "0b000";
    parameter WRITEMODE_B = "NORMAL";
    parameter CLKBMUX = "CLKB";
    parameter RESETMODE = "SYNC";
    parameter ASYNC_RESET_RELEASE = "SYNC";
    parameter GSR = "ENABLED";
    parameter [319:0] INITVAL_00 = 320'b0;
    parameter [319:0] INITVAL_01 = 320'b0;
    parameter [319:0] INITVAL_02 = 320'b0;
    parameter [319:0] INITVAL_03 = 320'b0;
    parameter [319:0] INITVAL_04 = 320'b0;
    parameter [319:0] INITVAL_05 = 320'b0;
    parameter [319:0] INITVAL_06 = 320'b0;
    parameter [319:0] INITVAL_07 = 320'b0;
    parameter [319:0] INITVAL_08 = 320'b0;
    parameter [319:0] INITVAL_09 = 320'b0;
    parameter [319:0] INITVAL_0A = 320'b0;
    parameter [319:0] INITVAL_0B = 320'b0;
    parameter [319:0] INITVAL_0C = 320'b0;
    parameter [319:0] INITVAL_0D = 320'b0;
    parameter [319:0] INITVAL_0E = 320'b0;
    parameter [319:0] INITVAL_0F = 320'b0;
    parameter [319:0] INITVAL_10 = 320'b0;
    parameter [319:0] INITVAL_11 = 320'b0;
    parameter [319:0] INITVAL_12 = 320'b0;
    parameter [319:0] INITVAL_13 = 320'b0;
    parameter [319:0] INITVAL_14 = 320'b0;
    parameter [319:0] INITVAL_15 = 320'b0;
    parameter [319:0] INITVAL_16 = 320'b0;
    parameter [319:0] INITVAL_17 = 320'b0;
    parameter [319:0] INITVAL_18 = 320'b0;
    parameter [319:0] INITVAL_19 = 320'b0;
    parameter [319:0] INITVAL_1A = 320'b0;
    parameter [319:0] INITVAL_1B = 320'b0;
    parameter [319:0] INITVAL_1C = 320'b0;
    parameter [319:0] INITVAL_1D = 320'b0;
    parameter [319:0] INITVAL_1E = 320'b0;
    parameter [319:0] INITVAL_1F = 320'b0;
    parameter [319:0] INITVAL_20 = 320'b0;
    parameter [319:0] INITVAL_21 = 320'b0;
    parameter [319:0] INITVAL_22 = 320'b0;
    parameter [319:0] INITVAL_23 = 320'b0;
    parameter [319:0] INITVAL_24 = 320'b0;
    parameter [319:0] INITVAL_25 = 320'b0;
    parameter [319:0] INITVAL_26 = 320'b0;
    parameter [319:0] INITVAL_27 = 320'b0;
    parameter [319:0] INITVAL_28 = 320'b0;
    parameter [319:0] INITVAL_29 = 320'b0;
    parameter [319:0] INITVAL_2A = 320'b0;
    parameter [319:0] INITVAL_2B = 320'b0;
    parameter [319:0] INITVAL_2C = 320'b0;
    parameter [319:0] INITVAL_2D = 320'b0;
    parameter [319:0] INITVAL_2E = 320'b0;
    parameter [319:0] INITVAL_2F = 320'b0;
    parameter [319:0] INITVAL_30 = 320'b0;
    parameter [319:0] INITVAL_31 = 320'b0;
    parameter [319:0] INITVAL_32 = 320'b0;
    parameter [319:0] INITVAL_33 = 320'b0;
    parameter [319:0] INITVAL_34 = 320'b0;
    parameter [319:0] INITVAL_35 = 320'b0;
    parameter [319:0] INITVAL_36 = 320'b0;
    parameter [319:0] INITVAL_37 = 320'b0;
    parameter [319:0] INITVAL_38 = 320'b0;
    parameter [319:0] INITVAL_39 = 320'b0;
    parameter [319:0] INITVAL_3A = 320'b0;
    parameter [319:0] INITVAL_3B = 320'b0;
    parameter [319:0] INITVAL_3C = 320'b0;
    parameter [319:0] INITVAL_3D = 320'b0;
    parameter [319:0] INITVAL_3E = 320'b0;
    parameter [319:0] INITVAL_3F = 320'b0;

    initial begin
        if (REGMODE_A != "NOREG" || REGMODE_B != "NOREG" || WRITEMODE_A == "WRITETHROUGH"
            || WRITEMODE_B == "WRITETHROUGH" || CLKAMUX != "CLKA" || CLKBMUX != "CLKB")
            $fatal(1, "DP16KD in a mode that this model lacks");
    end

    // Bytes of 9 bits. Ports of fewer than 9 bits use 8 of them.
    reg [8:0] bytes [0:2047];

    wire [17:0] di_a = {DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3, DIA2, DIA1, DIA0};
    wire [13:0] ad_a = {ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0};
    wire [17:0] di_b = {DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2, DIB1, DIB0};
    wire [13:0] ad_b = {ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0};

    // With 36 bits, port A writes and port B reads the lower half by the pins of A and the upper half by those of B.
    wire [35:0] data_a = DATA_WIDTH_A == 36 ? {di_b, di_a} : {18'b0, di_a};
    reg [35:0] out_a, out_b;
    assign {DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2, DOA1, DOA0} = DATA_WIDTH_B == 36 ? out_b[17:0] : out_a[17:0];
    assign {DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2, DOB1, DOB0} = DATA_WIDTH_B == 36 ? out_b[35:18] : out_b[17:0];

    function [10:0] first_byte(input integer width, input [13:0] address);
        first_byte = width == 36 ? {address[13:5], 2'b0} : width == 18 ? {address[13:4], 1'b0} : address[13:3];
    endfunction

    function integer bytes_of(input integer width);
        bytes_of = width == 36 ? 4 : width == 18 ? 2 : 1;
    endfunction

    // The bits of a byte that a narrow port sees.
    function [8:0] mask(input integer width, input [13:0] address);
        mask = width >= 9 ? 9'h1ff : ((9'd1 << width) - 9'd1) << address[2:0];
    endfunction

    function [35:0] read(input integer width, input [13:0] address);
        integer index;
        begin
            read = 36'b0;
            for (index = 0; index < bytes_of(width); index = index + 1)
                read[9 * index +: 9] = bytes[first_byte(width, address) + index[10:0]];
            if (width < 9)
                read = (read >> address[2:0]) & ((36'd1 << width) - 36'd1);
        end
    endfunction

    // Whether a port that writes touches a byte that the other reads.
    function overlap(input integer width, input [13:0] address, input integer other, input [13:0] other_address);
        overlap = first_byte(width, address) < first_byte(other, other_address) + bytes_of(other)
            && first_byte(other, other_address) < first_byte(width, address) + bytes_of(width);
    endfunction

    task write(input integer width, input [13:0] address, input [35:0] data);
        integer index;
        reg [10:0] place;
        reg [8:0] bits, new_bits;
        for (index = 0; index < bytes_of(width); index = index + 1) begin
            place = first_byte(width, address) + index[10:0];
            bits = mask(width, address);
            new_bits = width >= 9 ? data[9 * index +: 9] : data[8:0] << address[2:0];
            if (width < 18 || address[index])
                bytes[place] <= (bytes[place] & ~bits) | (new_bits & bits);
        end
    endtask

    // Ports of 18 and 36 bits write the bytes that their lowest address lines choose, or none.
    wire chosen_a = DATA_WIDTH_A == 36 ? |ad_a[3:0] : DATA_WIDTH_A == 18 ? |ad_a[1:0] : 1'b1;
    wire chosen_b = DATA_WIDTH_B == 18 ? |ad_b[1:0] : 1'b1;
    wire writes_a = CEA && WEA && chosen_a;
    wire writes_b = CEB && WEB && chosen_b && DATA_WIDTH_B != 36;
    // With READBEFOREWRITE, a port that writes shows what was there before.
    wire reads_a = CEA && (!WEA || WRITEMODE_A == "READBEFOREWRITE") && DATA_WIDTH_A != 36;
    wire reads_b = CEB && (!WEB || WRITEMODE_B == "READBEFOREWRITE");

    always @(posedge CLKA) begin
        if (writes_a)
            write(DATA_WIDTH_A, ad_a, data_a);
        if (writes_b)
            write(DATA_WIDTH_B, ad_b, {18'b0, di_b});
        if (reads_a)
            out_a <= writes_b && overlap(DATA_WIDTH_B, ad_b, DATA_WIDTH_A, ad_a)
                ? {$urandom, $urandom} : read(DATA_WIDTH_A, ad_a);
        if (reads_b)
            out_b <= writes_a && overlap(DATA_WIDTH_A, ad_a, DATA_WIDTH_B, ad_b)
                ? {$urandom, $urandom} : read(DATA_WIDTH_B, ad_b);
        if (RSTA)
            out_a <= 36'b0;
        if (RSTB)
            out_b <= 36'b0;
    end
endmodule

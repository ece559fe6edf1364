    // The core on Wishbone.
    wire ack, err;
    assign answered = ack || err;
    assign response = {1'b0, err};

    eie_wishbone_array array (
        .clk(clk),
        .rst(rst),
        .s_wb_cyc(valid),
        .s_wb_stb(valid),
        .s_wb_we(write),
        .s_wb_adr(address[`ADDRESS_BITS-1:0]),
        .s_wb_sel(4'd15),
        .s_wb_dat_w(data),
        .s_wb_dat_r(rdata),
        .s_wb_ack(ack),
        .s_wb_err(err),
        `STREAMS
        .irq()
    );

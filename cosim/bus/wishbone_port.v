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
`ifndef NO_STREAMS
        .s_axis_tdata(tdata),
        .s_axis_tkeep(tkeep[BEAT_BYTES-1:0]),
        .s_axis_tlast(tlast),
        .s_axis_tvalid(tvalid),
        .s_axis_tready(tready),
        .m_axis_tdata(result_data),
        .m_axis_tkeep(result_keep),
        .m_axis_tlast(result_last),
        .m_axis_tvalid(result_valid),
        .m_axis_tready(result_ready),
`endif
        .irq()
    );

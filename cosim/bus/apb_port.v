    // The core on APB: a cycle of set-up, and then the access.
    reg penable;
    wire pready, pslverr;
    assign answered = valid && penable && pready;
    assign response = {1'b0, pslverr};

    always @(posedge clk) penable <= !rst && valid && !answered;

    eie_apb_array array (
        .clk(clk),
        .rst(rst),
        .s_apb_paddr(address[`ADDRESS_BITS-1:0]),
        .s_apb_pprot(3'd0),
        .s_apb_psel(valid),
        .s_apb_penable(penable),
        .s_apb_pwrite(write),
        .s_apb_pwdata(data),
        .s_apb_pstrb(4'd15),
        .s_apb_pready(pready),
        .s_apb_prdata(rdata),
        .s_apb_pslverr(pslverr),
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

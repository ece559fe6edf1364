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
        `STREAMS
        .irq()
    );

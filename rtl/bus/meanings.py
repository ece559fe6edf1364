"""What the signals of the buses mean, for data sheets."""

from __future__ import annotations

MEANINGS = {
    "axi_lite": {
        "awaddr": "Write address, in bytes.",
        "awprot": "Ignored.",
        "awvalid": "A write address is offered.",
        "awready": "It is taken, together with the data.",
        "wdata": "What to write.",
        "wstrb": "Which bytes of it.",
        "wvalid": "Data to write are offered.",
        "wready": "They are taken, together with the address.",
        "bresp": "How the write ended: OKAY, SLVERR or DECERR.",
        "bvalid": "A write has ended.",
        "bready": "Its response is taken.",
        "araddr": "Read address, in bytes.",
        "arprot": "Ignored.",
        "arvalid": "A read address is offered.",
        "arready": "It is taken.",
        "rdata": "What was read.",
        "rresp": "How the read ended: OKAY, SLVERR or DECERR.",
        "rvalid": "A read has ended.",
        "rready": "Its data are taken.",
    },
    "apb": {
        "paddr": "Address, in bytes.",
        "pprot": "Ignored.",
        "psel": "The core is selected.",
        "penable": "The access, after a cycle of set-up.",
        "pwrite": "Whether it writes.",
        "pwdata": "What to write.",
        "pstrb": "Which bytes of it.",
        "pready": "The access ends.",
        "prdata": "What was read.",
        "pslverr": "The access was refused.",
    },
    "wishbone": {
        "cyc": "A cycle of the bus.",
        "stb": "An access is wanted.",
        "we": "Whether it writes.",
        "adr": "Address, in bytes.",
        "sel": "Which bytes to write.",
        "dat_w": "What to write.",
        "dat_r": "What was read.",
        "ack": "The access has ended.",
        "err": "The access has ended: it was refused.",
    },
    "axi_stream": {
        "tdata": "Values of 16 bits, the first in the lowest bits.",
        "tkeep": "Which bytes count: all, or the first ones at the end of a packet.",
        "tlast": "The end of a packet.",
        "tvalid": "A beat is offered.",
        "tready": "It is taken.",
    },
}
"""By the names of the interfaces, and those of their signals."""

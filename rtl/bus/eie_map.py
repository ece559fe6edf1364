"""The register map of the EIE array."""

from __future__ import annotations

from zeroskip.model.bits import bits_for
from zeroskip.model.eie.geometry import VALUE_BITS, EieGeometry
from zeroskip.rtl.bus.lists import ListError
from zeroskip.rtl.bus.map_parts import MEANING, REFUSALS, Registers, Windows, constant, pulse, setting, status
from zeroskip.rtl.bus.register_map import Field, Kind, RegisterMap, Window
from zeroskip.rtl.eie.layouts import layer_layout

CORE = 1
"""The EIE array among the cores."""

VERSION = 1
"""Of the register map: software that knows another one must not go on."""

EVENTS = {
    "DONE": "A run has ended.",
    **REFUSALS,
    "SHORT": "An image of the stream ended before it had INPUTS values: it was dropped.",
    "LONG": "An image of the stream had more than INPUTS values: it was dropped, up to its TLAST.",
    "KEEP": "A transfer of the stream left out bytes that were not the last values of an image: the image was dropped, "
    "up to its TLAST.",
}
"""The events, from bit 0 on, and what they mean. All but DONE are errors."""

COUNTERS = {
    "RUNS": "Runs that have ended.",
    "BUSY_CYCLES": "Cycles of all runs.",
    "BLOCKED_CYCLES": "Cycles of runs in which a broadcast waited because the queue of a PE was full.",
    "DRAIN_CYCLES": "Cycles of runs in which every column of a layer had been broadcast and PEs still worked.",
    "WEIGHTS": "Entries of sparse matrices that the PEs have worked on, padding not counted.",
    "STARVED_CYCLES": "Cycles in which images were wanted, the core was idle, and no whole image was there.",
    "WAITING_CYCLES": "Cycles in which a result was offered on the stream and was not taken.",
    "DROPPED": "Images of the stream that were dropped.",
}
"""The performance counters, and what they count."""

LIST_EVENTS = {
    "LIST": "A list of descriptors has ended: LIST_STATUS tells how.",
    "LIST_FAILED": "It has ended by an error.",
}
"""The events that an array has besides where it works on lists."""


def eie_map(geometry: EieGeometry, stream_bits: int, *, lists: bool = False) -> RegisterMap:
    """The registers and windows of an array of `geometry` with streams of `stream_bits` bits; with `lists`, images and
    results of these streams are those of a list of descriptors."""
    registers = Registers(CORE, "Which core of zeroskip: 1 is the EIE array.", version=VERSION)
    add = registers.add
    add(
        "ARRAY",
        "How large the array is.",
        constant("PES", 0, 16, geometry.pes, "Processing elements."),
        constant("LAYERS", 16, 16, geometry.layers, "Rows of the layer table."),
    )
    add("ROWS", "Activations of a PE.", constant("ROWS", 0, 32, geometry.activation_rows, "Rows of each file."))
    add("WORDS", "Words of a PE.", constant("WORDS", 0, 32, geometry.entry_words, "Words of its sparse matrices."))
    add("POINTERS_OF_PE", "Pointers of a PE.", constant("POINTERS", 0, 32, geometry.pointers, "Its column pointers."))
    add(
        "FORMAT",
        "How the sparse matrices are stored.",
        constant("INDEX_BITS", 0, 8, geometry.index_bits, "Bits of the count of zeros in an entry."),
        constant("CODE_BITS", 8, 8, geometry.code_bits, "Bits of the code in an entry."),
        constant("ENTRIES", 16, 8, geometry.entries_per_word, "Entries of a word."),
        constant("LANES", 24, 8, geometry.activation_lanes, "Activations of a word of INPUTS_OF_RUN."),
    )
    add(
        "ARITHMETIC",
        "How sums are made.",
        constant("ACCUMULATOR_BITS", 0, 8, geometry.accumulator_bits, "Bits of an accumulator."),
        constant("PRODUCT_SHIFT", 8, 8, geometry.product_shift, "Bits that are dropped from each product."),
        constant("STREAM_BITS", 16, 16, stream_bits, "Bits of TDATA of the streams."),
    )
    add("START", "Starts a run.", pulse("START", 0, "Runs the layers from FIRST to one marked last."), guarded=True)
    add(
        "STREAM",
        "The streams of images and results.",
        Field(
            name="ENABLE",
            low=0,
            width=1,
            kind=Kind.SETTING,
            meaning="Takes images from the stream, runs each, and sends its results. Cleared, the image that has "
            "begun still comes to its end, and whole images still run.",
        ),
        pulse(
            "FLUSH",
            8,
            "Forgets the images that are whole but not begun, and the one that is coming in: the next transfer of the "
            "stream is the first of an image.",
        ),
    )
    add(
        "STATUS",
        "What the core does.",
        status("RUNNING", 0, 1, "A run is under way, or an image is loaded or its results are read."),
        status("LOCKED", 1, 1, "The core is in use: it runs, or the streams are enabled, or hold a part of an image."),
        status("RECEIVING", 2, 1, "An image has begun to come in and is not whole."),
        status("SENDING", 3, 1, "Results of the stream have not all been taken."),
        status("IMAGES", 8, 8, "Whole images that wait."),
    )
    registers.add_events({**EVENTS, **LIST_EVENTS} if lists else EVENTS)
    most = geometry.activations
    add(
        "FIRST",
        "The layer with which runs begin.",
        setting("FIRST", bits_for(geometry.layers), 0, 0, geometry.layers - 1, "A row of the layer table."),
        guarded=True,
    )
    add(
        "INPUTS",
        "The size of an image of the stream.",
        setting("INPUTS", bits_for(most + 1), 1, 1, most, "Values of an image."),
        guarded=True,
    )
    add(
        "OUTPUTS",
        "The size of a result of the stream.",
        setting("OUTPUTS", bits_for(most + 1), 1, 1, most, "Values of a result: outputs of the last layer."),
        guarded=True,
    )
    add("CYCLES", "Of the last run.", status("CYCLES", 0, 32, "Cycles from its start to its end."))
    registers.add_counters(COUNTERS)
    if lists:
        _add_lists(registers)
    return RegisterMap(
        name="zeroskip_eie",
        title="EIE array of zeroskip",
        meaning=MEANING,
        registers=tuple(registers.found),
        windows=_windows(geometry),
    )


def _add_lists(registers: Registers) -> None:
    """Behind all others, which stay where they are."""
    add = registers.add
    add("LIST", "The list to start.", _address("The address in memory of its first descriptor."), guarded=True)
    add("LIST_START", "Starts a list.", pulse("START", 0, "Works on the descriptors from LIST on."), guarded=True)
    add("LIST_STOP", "Stops a list.", pulse("STOP", 0, "The list ends behind the descriptor at work."))
    errors = ", ".join(f"{error.value} {error.name}" for error in ListError)
    add(
        "LIST_STATUS",
        "The list at work, or the last one.",
        status("RUNNING", 0, 1, "A list is under way."),
        status("ERROR", 8, 4, f"How the last one has ended: {errors}."),
    )
    add(
        "LIST_AT",
        "Where the list is.",
        status("ADDRESS", 0, 32, "The address of the descriptor at work, or of that at which the last list has ended."),
    )


def _address(meaning: str) -> Field:
    return Field(name="ADDRESS", low=0, width=32, kind=Kind.SETTING, meaning=meaning)


def _windows(geometry: EieGeometry) -> tuple[Window, ...]:
    """The windows, the larger ones behind the smaller ones."""
    lanes = geometry.activation_lanes
    windows = Windows()
    add = windows.add
    add(
        "CODEBOOKS",
        "Values of the codebooks: value c of codebook b is word b * 2**CODE_BITS + c.",
        entries=geometry.layers * geometry.codebook_size,
        bits=VALUE_BITS,
    )
    add("LAYER_TABLE", "Rows of the layer table.", entries=geometry.layers, bits=int(layer_layout(geometry).size))
    add(
        "INPUTS_OF_RUN",
        "Inputs of the next run, LANES in a word, the first in its lowest bits. All inputs of a run must be written "
        "before it, zeros too.",
        entries=-(-geometry.activations // lanes),
        bits=lanes * VALUE_BITS,
    )
    add(
        "RESULTS",
        "Results of the last run, one in a word, with its sign extended.",
        entries=geometry.activations,
        bits=VALUE_BITS,
        written=False,
        signed=True,
    )
    add(
        "POINTERS",
        "Column pointers of a PE.",
        entries=geometry.pointers,
        bits=geometry.pointer_bits,
        instances=geometry.pes,
    )
    add(
        "ENTRIES",
        "Sparse matrices of a PE.",
        entries=geometry.entry_words,
        bits=geometry.word_bits,
        instances=geometry.pes,
    )
    return tuple(windows.found)

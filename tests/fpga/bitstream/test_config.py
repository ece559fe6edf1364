"""Contents of block RAMs in the text of a bitstream: found, replaced and read back, by texts written by hand."""

from __future__ import annotations

import numpy as np
import pytest

from zeroskip.fpga.bitstream.config import PatchError, patched, place, read_back, sections
from zeroskip.fpga.bitstream.layout import Slice
from zeroskip.fpga.bitstream.memories import Memory, marker

ECP5_BITS, ICE40_BITS = 64 * 320, 16 * 256


def ecp5_section(number: int, words: dict[int, int]) -> str:
    digits = [f"{words.get(index, 0):03x}" for index in range(2048)]
    lines = [" ".join(digits[start : start + 8]) for start in range(0, 2048, 8)]
    return f".bram_init {number}\n" + "\n".join(lines) + "\n\n"


def ice40_section(place: str, lines: dict[int, int]) -> str:
    return f".ram_data {place}\n" + "\n".join(f"{lines.get(index, 0):064x}" for index in range(16)) + "\n\n"


def test_ecp5_words_are_18_of_20_bits() -> None:
    """Word 5 of 9 bits is the upper half of the third 18 bits: from bit 2 * 20 + 9 of the cell's contents on."""
    found = sections("junk\n" + ecp5_section(3, {5: 0b1_0000_0101}), "ecp5")
    assert list(found) == ["3"]
    assert np.flatnonzero(found["3"]).tolist() == [49, 51, 57]
    assert len(found["3"]) == ECP5_BITS


def test_ice40_lines_begin_with_the_highest_bit() -> None:
    found = sections("junk\n" + ice40_section("25 1", {2: 0b1001}), "ice40")
    assert np.flatnonzero(found["25 1"]).tolist() == [512, 515]
    assert len(found["25 1"]) == ICE40_BITS


def memory_and_slices(bits: int) -> tuple[Memory, list[Slice]]:
    """A memory of 8 x 4 in two block RAMs: even bits of its words in one, odd bits in the other."""
    memory = Memory(name="pe_0.words", module="top.pe_0", memory="words", depth=8, width=4)
    slices = []
    for half in (0, 1):
        numbers = np.zeros(bits, np.int32)
        for word in range(8):
            for column in (half, half + 2):
                numbers[20 * word + 10 * half + column] = word * 4 + column + 1
        slices.append(Slice(suffix=f".{half}", numbers=numbers))
    return memory, slices


@pytest.mark.parametrize("family", ["ecp5", "ice40"])
def test_memories_are_found_replaced_and_read_back(family: str) -> None:
    """In a text whose sections stand in another order than the slices, beside one of another memory."""
    memory, slices = memory_and_slices({"ecp5": ECP5_BITS, "ice40": ICE40_BITS}[family])
    mark = marker(memory)
    names = ["7", "4", "9"] if family == "ecp5" else ["6 7", "6 4", "19 9"]
    make = ecp5_section if family == "ecp5" else ice40_section
    empty = "".join(make(name, {}) for name in names)  # type: ignore[operator]
    other = make(names[1], {3: 17})  # type: ignore[operator]

    def placed_at(name: str, one: Slice) -> str:
        from zeroskip.fpga.bitstream.config import Placed

        alone = Placed(memory=memory, slice=one, section=name)
        return patched(make(name, {}), family, [alone], {memory: mark})  # type: ignore[operator]

    text = "top\n" + placed_at(names[0], slices[1]) + other + placed_at(names[2], slices[0]) + "end\n"
    placed = place(text, family, {memory: (mark, slices)})
    assert [one.section for one in placed] == [names[2], names[0]]

    wanted = np.random.default_rng(5).integers(0, 2, (8, 4), np.uint8)
    changed = patched(text, family, placed, {memory: wanted})
    assert np.array_equal(read_back(changed, family, placed)[memory], wanted)
    assert other in changed
    assert changed.startswith("top\n")
    assert changed.endswith("end\n")
    with pytest.raises(PatchError, match=r"^pe_0\.words\.0 must be in one block RAM, and was found in 0$"):
        place(empty, family, {memory: (mark, slices)})

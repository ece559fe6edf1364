"""The cores with their links, which the boards' tops wrap: components with streams `i` and `o` of bytes."""

from zeroskip.fpga.eie.linked import LinkedArray as LinkedArray
from zeroskip.fpga.mma.linked import LinkedTile as LinkedTile
from zeroskip.fpga.tops.serial import SerialTop as SerialTop

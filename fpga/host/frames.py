"""Frames as the host makes and reads them (zeroskip.rtl.link.protocol)."""

from __future__ import annotations

import zlib

from cobs import cobs

from zeroskip.rtl.link.protocol import CRC_BYTES


def frame(content: bytes) -> bytes:
    """The frame of `content`, with its delimiter."""
    checksum = zlib.crc32(content).to_bytes(CRC_BYTES, "little")
    return cobs.encode(content + checksum) + b"\0"


def content_of(stuffed: bytes) -> bytes | None:
    """The content of a frame without its delimiter; None if the frame is damaged."""
    try:
        sealed = cobs.decode(stuffed)
    except cobs.DecodeError:
        return None
    content, checksum = sealed[:-CRC_BYTES], sealed[-CRC_BYTES:]
    return content if content and zlib.crc32(content).to_bytes(CRC_BYTES, "little") == checksum else None

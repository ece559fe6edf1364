"""The contents of the boot memory: who the board is, and the requests that it obeys after a reset."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from zeroskip.rtl.link.protocol import RECORD_HEAD


def boot_text(facts: Mapping[str, Any]) -> bytes:
    """The text that answers IDENTIFY: JSON."""
    return json.dumps(facts, separators=(",", ":")).encode("ascii")


def boot_records(requests: Iterable[bytes]) -> bytes:
    """Requests (command, number, fields) as records, and their end."""
    records = [len(request).to_bytes(RECORD_HEAD, "little") + request for request in requests]
    return b"".join([*records, bytes(RECORD_HEAD)])

"""The contents of the boot memory: who the board is, and the requests that it obeys after a reset."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from zeroskip.rtl.link.protocol import MOST_OF_RECORD, RECORD_HEAD


def boot_text(facts: Mapping[str, Any]) -> bytes:
    """The text that answers IDENTIFY: JSON."""
    return json.dumps(facts, separators=(",", ":")).encode("ascii")


def boot_records(requests: Iterable[bytes]) -> bytes:
    """Requests (command, number, fields) as records, and their end. Raises ValueError for a request whose length no
    record can tell."""
    requests = list(requests)
    if (longest := max(map(len, requests), default=0)) > MOST_OF_RECORD:
        raise ValueError(f"a request of the boot memory must have at most {MOST_OF_RECORD} bytes, not {longest}")
    records = [len(request).to_bytes(RECORD_HEAD, "little") + request for request in requests]
    return b"".join([*records, bytes(RECORD_HEAD)])

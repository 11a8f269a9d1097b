"""A request and its answer, whoever judges it: the OFD, the register on the counter, the registers in the cloud."""

from __future__ import annotations

import json
from typing import Any, NamedTuple


class Request(NamedTuple):
    """A request, read whole; `body` is None when it was too large to keep."""

    method: str
    key: str | None
    epoch: int | None
    authorization: str | None
    body: bytes | None
    payload: dict[str, Any] | None
    dialect: str = ""  # whose it is: the OFD's own, of the `register`, of the `cloud`, of `orange`
    path: tuple[str, ...] = ()  # of the last two: what is behind their address


class Answer(NamedTuple):
    """An HTTP answer; `outcome` is its word in the history."""

    status: int
    body: bytes
    outcome: str
    content_type: str = "application/json; charset=utf-8"
    retry_after: float | None = None


def to_json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")

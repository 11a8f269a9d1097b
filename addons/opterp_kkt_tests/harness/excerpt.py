# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What to look at when a proof has failed: the last of what its OFDs got, the errors of its servers, and where all of it is."""

import json
import os
from datetime import datetime
from pathlib import Path

from harness.processes import LOGS, ROOT

REQUESTS, ERRORS = 15, 3


def what_to_look_at(began: float) -> str:
    """Of all files of this process that something was written to since then (s since 1970)."""
    files = [path for path in LOGS.glob(f"*-{os.getpid()}-*") if path.stat().st_mtime >= began and path.stat().st_size]
    return "\n".join(line for path in sorted(files, key=lambda path: path.stat().st_mtime) for line in _tell(path))


def _tell(path: Path) -> list[str]:
    lines = path.read_text(errors="replace").splitlines()
    said = _requests(lines) if path.suffix == ".jsonl" else _errors(lines)
    return [str(path.relative_to(ROOT)), *(f"    {line[:200]}" for line in said)]


def _errors(lines: list[str]) -> list[str]:
    return [line for line in lines if " ERROR " in line or " CRITICAL " in line][-ERRORS:]


def _requests(lines: list[str]) -> list[str]:
    """The last requests of an OFD's history, each on one line; a fact that came later is merged into its request."""
    requests: dict[int, dict] = {}
    for line in lines:
        fact = json.loads(line)
        if "seq" in fact:
            requests.setdefault(fact["seq"], {}).update(fact)
    return [_line(request) for request in list(requests.values())[-REQUESTS:]]


def _line(request: dict) -> str:
    at = datetime.fromtimestamp(request["arrived"] / 1000)
    return (
        f"{at:%H:%M:%S.%f}  {request['method']:4} register {request.get('register')} FD {request.get('fd_number')}"
        f" epoch {request.get('epoch')}: {request.get('outcome', 'under way')} {request.get('status') or ''}"
        f" {(request.get('key') or '')[-12:]}"
    )

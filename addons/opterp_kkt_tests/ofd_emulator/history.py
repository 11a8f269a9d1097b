"""What the emulator received, as an append-only JSONL file and the same in memory."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any


class HistoryBusy(Exception):
    """Another emulator writes this file."""


@dataclass
class Record:
    """One request under /v1. Times are milliseconds since 1970, UTC; total_sum is kopecks.

    `accepted`: this very request made the OFD take the document, whatever became of the answer.
    `answered`: just before the answer left; `closed`: when the connection ended without a whole answer.
    """

    seq: int
    arrived: float
    method: str
    key: str | None = None
    register: str | None = None
    fd_number: int | None = None
    document_type: str | None = None
    operation_type: int | None = None
    total_sum: int | None = None
    epoch: int | None = None
    hlc: dict[str, Any] | None = None
    sha256: str | None = None
    accepted: bool = False
    ofd_id: str | None = None
    server_time: int | None = None
    answered: float | None = None
    closed: float | None = None
    status: int | None = None
    outcome: str = "in_flight"
    results: list[dict[str, Any]] | None = None  # of a register: what became of the tasks of this request


class History:
    """Every fact is one line, handed to the kernel before it is believed; a replay gives the same state.

    A line with `arrived` opens a record, later lines with its `seq` update it (one when it ends; one more
    when the acceptance and the end are two moments), a line with `reset` forgets everything before it.
    Not thread-safe: the OFD holds its lock around every call.
    """

    def __init__(self, path: str | None = None):
        self._file = None
        self._seq = 0
        self._forget()
        if path:
            self._resume(path)

    def open(self, **fields: Any) -> Record:
        """Start the record of a request that arrived."""
        seq = self._seq + 1
        self._append({"seq": seq, **fields})
        return self.records[seq]

    def update(self, record: Record, **fields: Any) -> None:
        if self.knows(record):
            self._append({"seq": record.seq, **fields})

    def knows(self, record: Record) -> bool:
        """False for a request that was in flight when everything was forgotten."""
        return record.seq in self.records

    def reset(self) -> None:
        self._append({"reset": time.time() * 1000})

    def _forget(self) -> None:
        self.records: dict[int, Record] = {}
        self.documents: dict[str, Record] = {}
        self.tasks: dict[str, Record] = {}  # that a register has, by uuid
        self.outcomes: Counter[str] = Counter()

    def _append(self, line: dict[str, Any]) -> None:
        if self._file:
            data = json.dumps(line, separators=(",", ":")).encode() + b"\n"
            if self._file.write(data) != len(data):
                raise OSError("the history could not be written whole")
        self._apply(line)

    def _apply(self, line: dict[str, Any]) -> None:
        if "reset" in line:
            self._forget()
        elif "arrived" in line:
            self._seq = line["seq"]
            self.records[self._seq] = Record(**line)
        elif line["seq"] in self.records:
            self._merge(self.records[line["seq"]], line)

    def _merge(self, record: Record, line: dict[str, Any]) -> None:
        vars(record).update(line)
        if line.get("accepted"):
            self.documents[record.key] = record
        if line.get("results"):
            self.tasks[record.key] = record
        if "outcome" in line:
            self.outcomes[record.outcome] += 1

    def _resume(self, path: str) -> None:
        file = open(path, "a+b", buffering=0)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HistoryBusy(f"{path} is in use by another emulator") from None
        self._replay(path)
        if file.tell() and os.pread(file.fileno(), 1, file.tell() - 1) != b"\n":
            file.write(b"\n")  # a line torn by a crash stays alone on its line
        self._file = file
        self._end_interrupted()

    def _replay(self, path: str) -> None:
        with open(path, "rb") as lines:
            for text in lines:
                try:
                    line = json.loads(text)
                except ValueError:
                    continue  # torn by a crash: its request was not answered
                self._apply(line)

    def _end_interrupted(self) -> None:
        """The emulator's own end closed these connections, at the latest now, before it listens again."""
        for record in [r for r in self.records.values() if r.outcome == "in_flight"]:
            self.update(record, outcome="dropped", closed=time.time() * 1000)

# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What a run tells: the table, and of each violation the part of the history that shows it."""

import json
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from harness import audit, judge
from harness.judge import History, Receipt
from harness.processes import new_file
from harness.traffic import Traffic
from poc.nemesis.faults import KILLS, Faults, Strike
from poc.nemesis.people import OTHER_OFD

LINES = 14  # of an excerpt
SHOWN = 5  # violations


@dataclass
class Result:
    """What happened and what was wrong with it; times in s since 1970, `recovery` in s after the heal."""

    seed: int
    violations: list[str]
    history: History
    notes: audit.Notes
    receipts: list[Receipt]
    traffic: Traffic
    faults: Faults
    began: float
    recovery: float

    # -- the table -----------------------------------------------------------------------------------------------

    def figures(self) -> dict[str, str]:
        outcomes = Counter(request["outcome"] for request in self.history)
        refunds = sum(1 for sale in self.traffic.sales if sale.refunds)
        complaints = ", ".join(f"{name} {count}" for name, count in self.traffic.complaints.most_common(4))
        return {
            "orders": f"{len(self.traffic.sales)}, of which {refunds} refunds",
            "calls of tills that failed": f"{sum(self.traffic.complaints.values())} ({complaints})",
            "faults": str(len(self.faults.strikes)),
            **{f"  {kind}": str(count) for kind, count in sorted(Counter(s.kind for s in self.faults.strikes).items())},
            "buttons that said why not": str(sum(self.faults.people.said.values())),
            "handled": str(sum(receipt.handled for receipt in self.receipts)),
            "  nothing there to hit": str(len(self.faults.missed)),
            "servers that ended by themselves": str(self.faults.revived),
            "accepted, by the other OFD": str(
                sum(judge.is_acceptance(request) for request in self.history if request["ofd"] == OTHER_OFD)
            ),
            "accepted": str(sum(map(judge.is_acceptance, self.history))),
            "refused": str(outcomes["refused"]),
            "sent again": str(self._sent_again()),
            "deduplicated": f"{outcomes['lookup_hit']} by look-up, {outcomes['duplicate']} by the OFD",
            "breaker opened": str(self._opened()),
            "longest delay": f"{max(self._delays(), default=0):.1f} s",
            "longest take-over": f"{max(self._take_overs(), default=0):.1f} s",
            "all delivered": f"{self.recovery:.1f} s after the heal",
            "violations": str(len(self.violations)),
        }

    def table(self) -> str:
        return "\n".join(f"  {name:34} {value}" for name, value in self.figures().items())

    def _sent_again(self) -> int:
        posted = [request["key"] for request in self.history if request["method"] == "POST"]
        return len(posted) - len(set(posted))

    def _opened(self) -> int:
        moves = [(note["before"]["state"], note["row"]["state"]) for note in audit.of(self.notes, audit.BREAKER)]
        return sum(1 for before, after in moves if before != after == "open")

    def _delays(self) -> list[float]:
        """From a till's first call to the OFD; PostgreSQL's clock may have been wrong."""
        since_1970 = time.time() - time.monotonic()
        sold = {sale.uuid: sale.sent + since_1970 for sale in self.traffic.sales}
        paid = {receipt.key: sold[receipt.uuid] for receipt in self.receipts if receipt.uuid in sold}
        accepted = filter(judge.is_acceptance, self.history)
        return [request["arrived"] / 1000 - paid[request["key"]] for request in accepted if request["key"] in paid]

    def _take_overs(self) -> list[float]:
        """From the death of a deliverer to the next holder, where the way to the OFD was free meanwhile."""
        return [
            taken - strike.began
            for claimed, taken in audit.take_overs(self.notes)
            for strike in self.faults.strikes
            if strike.kind in KILLS and claimed <= strike.began <= taken and self._is_free(strike.began, taken)
        ]

    def _is_free(self, began: float, ended: float) -> bool:
        blocked = [s for s in self.faults.strikes if s.thing in ("way", "postgres") and _overlap(s, began, ended)]
        before = [note for note in audit.of(self.notes, audit.BREAKER) if note["at"] <= ended]
        return not blocked and (not before or before[-1]["row"]["state"] == "closed")

    # -- violations ----------------------------------------------------------------------------------------------

    def story(self) -> str:
        """Of the first violations: what the OFD got, and what was broken then."""
        parts = [f"VIOLATION  {violation}\n{self.excerpt(violation)}" for violation in self.violations[:SHOWN]]
        if len(self.violations) > SHOWN:
            parts.append(f"and {len(self.violations) - SHOWN} more")
        return "\n\n".join(parts)

    def excerpt(self, violation: str) -> str:
        """The last requests and notes about the documents that a violation names, and the faults of that time."""
        keys = {receipt.key for receipt in self.receipts if receipt.key in violation}
        lines = [(request["arrived"] / 1000, _request(request)) for request in self.history if request["key"] in keys]
        lines += [
            (note["at"], _change(note)) for note in audit.of(self.notes, audit.RECEIPT) if note["row"]["idempotency_key"] in keys
        ]
        lines = sorted(lines)[-LINES:]
        if lines:
            lines += [(s.began, f"fault    {s}") for s in self.faults.strikes if _overlap(s, lines[0][0] - 2, lines[-1][0])]
        return "\n".join(f"  {at - self.began:8.3f} s  {text}" for at, text in sorted(lines))

    def keep(self) -> Path:
        """Write down everything that was judged; return where."""
        path = new_file(f"nemesis-{self.seed}", ".json")
        strikes = [vars(strike) for strike in self.faults.strikes]
        kept = {"violations": self.violations, "history": self.history, "notes": self.notes, "faults": strikes}
        path.write_text(json.dumps(kept, indent=1, default=str))
        return path


def _overlap(strike: Strike, began: float, ended: float) -> bool:
    return strike.began <= ended and (strike.ended or ended) >= began


def _request(request: dict) -> str:
    took = f"{request['answered'] - request['arrived']:.0f} ms" if request["answered"] else "no answer"
    epoch = "" if request["epoch"] is None else f" epoch {request['epoch']}"
    return f"OFD      {request['method']} {request['key'][-8:]} FD {request['fd_number']}{epoch}: {request['outcome']} ({took})"


def _change(note: dict) -> str:
    row = note["row"]
    return f"database {row['idempotency_key'][-8:]} FD {row['fd_number']} epoch {row['delivery_epoch']}: {row['state']}"

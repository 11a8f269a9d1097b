# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What must be true of the OFD's history and the shop's receipts, whatever happened in between.

Pure functions: each takes plain data and returns its violations as readable lines, none when all is well. The
history is the emulator's list of requests in order of arrival (`seq`, `arrived` and `answered` in ms, `key`,
`register`, `fd_number`, `epoch`, `sha256`, `outcome` …); receipts are what the shop's database says.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import pairwise

History = list[dict]


@dataclass(frozen=True)
class Receipt:
    """One fiscal document as the shop's database has it.

    `kind` is its document type, `shift` the id of its shift, `document` what it states (None where nobody has to know);
    `register` is the fiscal drive number; `hlc` is (local time in ms, logical counter); `order` the
    pos.order's id (None for shift documents) and `uuid` its till's name for it; `refunds` the key of the sale that
    this document takes back; `created` when its transaction began, in s since 1970; `till_hlc` the till's own stamp,
    None when it was not to be believed; `queue` the register's id and the place in its
    queue; `handled` whether a person closed it.
    """

    key: str
    register: str
    fd_number: int | None
    state: str = "delivered"
    hlc: tuple[int, int] = (0, 0)
    order: int | None = None
    operation_type: str = "1"
    refunds: str | None = None
    uuid: str | None = None
    created: float = 0.0
    till_hlc: tuple[int, int] | None = None
    queue: tuple[int, int | None] = (0, None)
    handled: bool = False
    kind: str = "receipt"
    shift: int | None = None
    document: dict | None = field(default=None, compare=False, repr=False)

    def __str__(self):
        return f"FD {self.fd_number} of register {self.register} (key {self.key}, {self.state})"


def is_acceptance(request: dict) -> bool:
    """Whether this very request made the OFD take the document, also when its answer was then dropped."""
    return request.get("accepted", request["outcome"] == "accepted")


def first_acceptances(history: History) -> dict[str, History]:
    """Return, by register, the requests that the OFD accepted as new, in the order of their arrival."""
    accepted = defaultdict(list)
    for request in sorted(filter(is_acceptance, history), key=lambda request: request["seq"]):
        accepted[request["register"]].append(request)
    return accepted


def refused_keys(history: History) -> set[str]:
    """Keys that the OFD refused for good at least once: such a document leaves the order of its register."""
    return {request["key"] for request in history if request["outcome"] == "refused"}


def paid_orders_have_receipts(order_ids: Iterable[int], receipts: Iterable[Receipt]) -> list[str]:
    """I1: every paid order has a receipt, and not two of one operation type."""
    found = Counter((receipt.order, receipt.operation_type) for receipt in receipts if receipt.order)
    orders = {order for order, _operation in found}
    return [f"order {order} is paid and has no receipt" for order in sorted(set(order_ids) - orders)] + [
        f"order {order} has {count} receipts of operation type {operation}"
        for (order, operation), count in sorted(found.items())
        if count > 1
    ]


def accepted_exactly_once(history: History, receipts: Iterable[Receipt]) -> list[str]:
    """I2: every receipt was accepted once, unless rejected, and nothing else was; the database agrees."""
    receipts = {receipt.key: receipt for receipt in receipts}
    times = Counter(request["key"] for request in history if is_acceptance(request))
    violations = [
        f"lost: {receipt} was never accepted"
        for key, receipt in receipts.items()
        if not times[key] and receipt.state != "rejected"
    ]
    violations += [
        f"not recorded: {receipt} was accepted"
        for key, receipt in receipts.items()
        if times[key] and receipt.state != "delivered"
    ]
    violations += [f"accepted {count} times: key {key}" for key, count in times.items() if count > 1]
    violations += [f"accepted, but the shop knows nothing of it: key {key}" for key in times if key not in receipts]
    return violations


def bytes_never_change(history: History) -> list[str]:
    """I2: a key is always sent with the same bytes, so the OFD never sees a conflict. A key is what the receiver knows it by."""
    sent = defaultdict(set)
    for request in history:
        if request["method"] == "POST" and request.get("sha256"):
            sent[request.get("sent_as") or request["key"]].add(request["sha256"])
    return [
        f"key {key} was sent with {len(contents)} different contents" for key, contents in sent.items() if len(contents) > 1
    ] + [f"conflict: key {request['key']} at request {request['seq']}" for request in history if request["outcome"] == "conflict"]


def in_order(history: History, rejected: Iterable[str] = ()) -> list[str]:
    """I3: a register's documents are first accepted in FD order, each number once, without a gap.

    Documents that the OFD refused, or that the shop says are `rejected` (keys), leave this order: they may be
    missing or come later. A key accepted twice is the matter of `accepted_exactly_once`.
    """
    aside = refused_keys(history) | set(rejected)
    skipped = {(request["register"], request["fd_number"]) for request in history if request["key"] in aside}
    violations = []
    for register, accepted in first_acceptances(history).items():
        for before, after in pairwise(request for request in accepted if request["key"] not in aside):
            missing = [
                number for number in range(before["fd_number"] + 1, after["fd_number"]) if (register, number) not in skipped
            ]
            if missing or after["fd_number"] <= before["fd_number"] and after["key"] != before["key"]:
                violations.append(
                    f"register {register}: {_words(after)} was accepted after {_words(before)}"
                    + (f", without {missing}" if missing else "")
                )
    return violations


def one_in_flight(history: History, guards_were_lost: bool = False) -> list[str]:
    """I3, I4: a register never has two documents under way at once.

    A request lasts from its arrival to its answer or the end of its connection. One that was never answered
    ends where its key is next asked about: its sender had given up. When PostgreSQL ended sessions, and guards with
    them, a holder may still have one under way that does not know yet that it is over: then this holds per epoch.
    """
    violations = []
    for register, requests in _by_register(history).items():
        under_way: list[tuple[float, dict]] = []
        for position, request in enumerate(requests):
            under_way = [(end, other) for end, other in under_way if end > request["arrived"]]
            violations += [
                f"register {register}: {_words(request)} arrived while {_words(other)} was under way"
                for _end, other in under_way
                if other["key"] != request["key"] and not (guards_were_lost and _may_be_anothers(request, other))
            ]
            under_way.append((_end(request, requests[position + 1 :]), request))
    return violations


def _may_be_anothers(request: dict, other: dict) -> bool:
    """Whether another holder may have sent it; most receivers are not told who sends."""
    return request["epoch"] is None or request["epoch"] != other["epoch"]


def _by_register(history: History) -> dict[str, History]:
    """Group requests about documents by register, in order of arrival; a lookup belongs to the register that
    sent its key.
    """
    groups = defaultdict(list)
    for request in sorted(_with_register(history), key=lambda request: (request["arrived"], request["seq"])):
        groups[request["register"]].append(request)
    return groups


def _with_register(history: History) -> History:
    """The requests about documents; a lookup gets the register that sent its key."""
    owner = {request["key"]: request["register"] for request in history if request.get("key") and request.get("register")}
    return [request | {"register": owner[request["key"]]} for request in history if request.get("key") in owner]


def _end(request: dict, later: History) -> float:
    ends = [request[name] for name in ("answered", "closed") if request.get(name) is not None]
    ends = ends or [other["arrived"] for other in later if other["key"] == request["key"]]
    return min(ends, default=float("inf"))


def _words(request: dict) -> str:
    return f"{request['method']} of FD {request.get('fd_number')} (request {request['seq']}, key {request['key']})"


def epochs_never_fall(history: History) -> list[str]:
    """I4: over a register's first acceptances the epoch of the holder only grows."""
    return [
        f"register {register}: FD {after['fd_number']} accepted from epoch {after['epoch']} after epoch {before['epoch']}"
        for register, accepted in first_acceptances(history).items()
        for before, after in pairwise(request for request in accepted if request["epoch"] is not None)
        if after["epoch"] < before["epoch"]
    ]


def recorded_as_fiscalised(history: History, receipts: Iterable[Receipt]) -> list[str]:
    """I2: what was delivered has the numbers here that its drive gave it."""
    given = {request["key"]: (request["register"], request["fd_number"]) for request in history if is_acceptance(request)}
    return [
        f"{receipt} was fiscalised as FD {given[receipt.key][1]} of {given[receipt.key][0]}"
        for receipt in receipts
        if receipt.state == "delivered" and given.get(receipt.key) not in (None, (receipt.register, receipt.fd_number))
    ]


def rejected_only_when_refused(history: History, receipts: Iterable[Receipt]) -> list[str]:
    """I9: a rejected document is one that the OFD refused, or that a person closed; a sale that made no document is a fault."""
    refused = refused_keys(history)
    return [
        f"rejected, but the OFD never refused it: {receipt} of order {receipt.order}"
        for receipt in receipts
        if receipt.state == "rejected" and receipt.key not in refused and not receipt.handled
    ]


def clocks_grow(receipts: Iterable[Receipt]) -> list[str]:
    """I8: in FD order a register's (local time, counter) strictly grows."""
    registers = defaultdict(list)
    for receipt in receipts:
        if receipt.fd_number is not None:
            registers[receipt.register].append(receipt)
    return [
        f"register {register}: FD {after.fd_number} has HLC {after.hlc}, not later than {before.hlc} of FD {before.fd_number}"
        for register, found in registers.items()
        for before, after in pairwise(sorted(found, key=lambda receipt: receipt.fd_number))
        if after.hlc <= before.hlc
    ]


def refunds_follow_sales(receipts: Iterable[Receipt]) -> list[str]:
    """I8: a refund's clock is later than that of the sale it takes back, on whichever register that was."""
    numbered = {receipt.key: receipt for receipt in receipts if receipt.fd_number is not None}
    return [
        f"{refund} has HLC {refund.hlc}, not later than {numbered[refund.refunds].hlc} of its sale {numbered[refund.refunds]}"
        for refund in numbered.values()
        if refund.refunds in numbered and refund.hlc <= numbered[refund.refunds].hlc
    ]


def later_than_the_tills_stamp(receipts: Iterable[Receipt]) -> list[str]:
    """I8: a receipt's clock is later than the stamp that its till gave the sale, if that was believed."""
    return [
        f"{receipt} has HLC {receipt.hlc}, not later than its till's {receipt.till_hlc}"
        for receipt in receipts
        if receipt.till_hlc and receipt.fd_number is not None and receipt.hlc <= receipt.till_hlc
    ]


def effects_follow_causes(pairs: Iterable[tuple[str, str]], receipts: Iterable[Receipt]) -> list[str]:
    """I8: of orders (uuids) of which the first was answered before the second was sent, the second's clock is later."""
    stamps = defaultdict(list)
    for receipt in receipts:
        if receipt.fd_number is not None:
            stamps[receipt.uuid].append(receipt.hlc)
    return [
        f"order {effect} has HLC {min(stamps[effect])}, not later than {max(stamps[cause])} of order {cause}, which came before"
        for cause, effect in pairs
        if stamps[cause] and stamps[effect] and min(stamps[effect]) <= max(stamps[cause])
    ]


def answered_orders_exist(answers: Iterable[tuple[str, dict | None]], receipts: Iterable[Receipt]) -> list[str]:
    """I1: every order (uuid) that a till sent was answered in the end, and has its receipt."""
    known = {receipt.uuid for receipt in receipts}
    answers = list(answers)
    return [f"order {uuid} never got an answer" for uuid, row in answers if not row] + [
        f"order {uuid} was answered and has no receipt" for uuid, row in answers if row and uuid not in known
    ]


def violations(
    history: History, receipts: Iterable[Receipt], order_ids: Iterable[int] = (), guards_were_lost: bool = False
) -> list[str]:
    """Return everything that is wrong with a shop that has come to rest: nothing left to deliver, good documents only."""
    receipts = list(receipts)
    rejected = [receipt.key for receipt in receipts if receipt.state == "rejected"]
    return [
        *paid_orders_have_receipts(order_ids, receipts),
        *accepted_exactly_once(history, receipts),
        *rejected_only_when_refused(history, receipts),
        *bytes_never_change(history),
        *in_order(history, rejected),
        *one_in_flight(history, guards_were_lost),
        *epochs_never_fall(history),
        *clocks_grow(receipts),
        *refunds_follow_sales(receipts),
        *later_than_the_tills_stamp(receipts),
        *shifts_are_right(receipts),
    ]


# --- shifts: what a closing states is computed here once more, from the documents alone --------------------------


OPERATIONS = {1: "sellOper", 2: "sellReturnOper", 3: "buyOper", 4: "buyReturnOper"}
SUMS = {
    "totalSum": "totalSum",
    "cashSum": "cashTotalSum",
    "ecashSum": "ecashTotalSum",
    "prepaidSum": "prepaidSum",
    "creditSum": "creditSum",
    "provisionSum": "provisionSum",
}


def shifts_are_right(receipts: Iterable[Receipt]) -> list[str]:
    """Of documents that state what they are: numbers without a gap, receipts between the reports on their shift, counters."""
    receipts = [receipt for receipt in receipts if receipt.document]
    return [*numbers_have_no_gap(receipts), *receipts_lie_in_their_shift(receipts), *counters_add_up(receipts)]


def numbers_have_no_gap(receipts: Iterable[Receipt]) -> list[str]:
    """FD numbers of a drive follow one another, whatever the document."""
    drives = defaultdict(list)
    for receipt in receipts:
        drives[_drive(receipt)].append(_number(receipt))
    return [
        f"drive {drive}: FD {after} follows FD {before}"
        for drive, numbers in drives.items()
        for before, after in pairwise(sorted(numbers))
        if after != before + 1
    ]


def _drive(receipt: Receipt) -> str:
    return receipt.document["fiscalDriveNumber"]


def _number(receipt: Receipt) -> int:
    return receipt.document["fiscalDocumentNumber"]


def receipts_lie_in_their_shift(receipts: Iterable[Receipt]) -> list[str]:
    """A shift begins with the report on its opening, ends with the one on its closing, and has its receipts between them."""
    return [violation for documents in _by_shift(receipts).values() for violation in _misplaced(documents)]


def _by_shift(receipts: Iterable[Receipt]) -> dict[int | None, list[Receipt]]:
    """The documents of each shift, by FD number; shifts in the order of their opening."""
    shifts = defaultdict(list)
    for receipt in sorted(receipts, key=lambda receipt: (_drive(receipt), _number(receipt))):
        shifts[receipt.shift].append(receipt)
    return shifts


def _misplaced(documents: list[Receipt]) -> list[str]:
    kinds = [document.kind for document in documents]
    wanted = ["shift_open", *("receipt" for _kind in kinds[1:])]
    if "shift_close" in kinds:
        wanted[-1] = "shift_close"
    numbers = {document.document["shiftNumber"] for document in documents}
    counted = [d.document["requestNumber"] for d in documents if d.kind in ("receipt", "correction")]
    return [
        f"shift {documents[0].shift} of drive {_drive(documents[0])}: {what}"
        for what, wrong in (
            (f"its documents are {kinds}", [kind.replace("correction", "receipt") for kind in kinds] != wanted),
            (f"its documents state {numbers} as its number", len(numbers) != 1),
            (f"its receipts are numbered {counted}", counted != list(range(1, len(counted) + 1))),
        )
        if wrong
    ]


def counters_add_up(receipts: Iterable[Receipt]) -> list[str]:
    """1194 of a closing is the sum of its shift's documents, 1157 the sum of all 1194 of its drive."""
    violations, drives = [], defaultdict(dict)
    for documents in _by_shift(receipts).values():
        *others, closing = documents
        if closing.kind != "shift_close":
            continue
        counted = _count(document.document for document in others if document.kind != "shift_open")
        drives[_drive(closing)] = _plus(drives[_drive(closing)], counted)
        for name, sums in (("shiftSumReports", counted), ("fiscalDriveSumReports", drives[_drive(closing)])):
            if (stated := _flat(closing.document[name])) != sums:
                violations.append(f"{closing}: {name} states {_differing(stated, sums)} instead of {_differing(sums, stated)}")
    return violations


def _count(documents: Iterable[dict]) -> dict[str, int]:
    """Counts and sums by their path; corrections once among all and once by themselves."""
    counted = Counter()
    for document in documents:
        operation = OPERATIONS[document["operationType"]]
        places = [operation]
        counted["totalReceiptBsoCount"] += 1
        if document["code"] == 31:
            counted["receiptCorrection.receiptCorrectionCount"] += 1
            places.append(f"receiptCorrection.{operation.replace('Oper', 'Correction')}")
        for place in places:
            counted[f"{place}.receiptBsoCount"] += 1
            for name, sum_of in SUMS.items():
                counted[f"{place}.{name}"] += document[sum_of]
    return {path: number for path, number in counted.items() if number}


def _flat(counters: dict, before: str = "") -> dict[str, int]:
    """Stated counters by their path, but for those of VAT."""
    flat = {}
    for name, value in counters.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{before}{name}.")
        elif value and not name.startswith("tax"):
            flat[f"{before}{name}"] = value
    return flat


def _plus(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    return dict(Counter(one) + Counter(other))


def _differing(one: dict[str, int], other: dict[str, int]) -> dict[str, int | None]:
    return {path: one.get(path) for path in {**one, **other} if one.get(path) != other.get(path)}


# --- several OFDs: one history of all, `ofd` says whose ----------------------------------------------------------


def merged(histories: dict[str, History]) -> History:
    """One history of several OFDs, in order of arrival by the clock that they share, numbered anew."""
    requests = [request | {"ofd": ofd} for ofd, history in histories.items() for request in history]
    requests.sort(key=lambda request: (request["arrived"], request["ofd"], request["seq"]))
    return [request | {"seq": seq} for seq, request in enumerate(requests, 1)]


def accepted_by_one_ofd(history: History) -> list[str]:
    """I13: a document goes to no OFD while another one may have it."""
    takers = defaultdict(set)
    for request in filter(is_acceptance, history):
        takers[request["key"]].add(request["ofd"])
    return [f"key {key} was accepted by {' and '.join(sorted(ofds))}" for key, ofds in takers.items() if len(ofds) > 1]


def left_behind(history: History, changed: float) -> list[str]:
    """I13: once a change of address (at `changed`, ms) is committed, the old server only gets what was in flight: of each
    register one document.
    """
    late = defaultdict(set)
    for request in _with_register(history):
        if request["arrived"] > changed:
            late[request["register"]].add(request["key"])
    return [
        f"register {register}: {len(keys)} documents went to the old address after it was changed"
        for register, keys in late.items()
        if len(keys) > 1
    ]


def by_queue(history: History, receipts: Iterable[Receipt]) -> tuple[History, list[Receipt]]:
    """The same with a register's id and places in its queue instead of drives and FD numbers, for a shop in which drives move."""
    queues = {receipt.key: (str(receipt.queue[0]), receipt.queue[1]) for receipt in receipts}
    moved = [
        request
        | (
            {"register": queues[request["key"]][0], "fd_number": queues[request["key"]][1]}
            if request["register"] or request["method"] == "POST"
            else {}
        )
        if request["key"] in queues
        else request
        for request in history
    ]
    return moved, [replace(r, register=queues[r.key][0], fd_number=queues[r.key][1] or None) for r in receipts]


# --- people: what they met, moment for moment -------------------------------------------------------------------


def sales_never_refused(complaints: Iterable[str], lost_answers: tuple[str, ...]) -> list[str]:
    """I13: a call of a till fails because an answer is lost (names that begin so), never because the shop says no."""
    found = Counter(name for name in complaints if not name.startswith(lost_answers))
    return [f"tills were refused {count} times: {name}" for name, count in found.items()]


def buttons_work(answers: Iterable[tuple[str, str]]) -> list[str]:
    """I9: a button that a page or an alarm offers works, or says in words why not now; (button, error) of those that did not."""
    return [
        f"{button} ended with {error}"
        for button, error in answers
        if "cannot be completed" in error or not error.startswith("odoo.exceptions.")
    ]


def heads_have_a_way_out(samples: Iterable[dict], untouched: float, untold: float) -> list[str]:
    """I9: a queue's head that is not held is tried within `untouched` s; of one that is, an alarm tells within `untold` s.

    A sample is a head at a moment (`at`, s): its `register`, `key`, whether it is `held` and `told` of, and `tried`, whatever
    changes when it is tried.
    """
    violations, since = [], {}
    for sample in samples:
        fact = (sample["key"], sample["held"], sample["told"], None if sample["held"] else sample["tried"])
        if since.get(sample["register"], (None, 0, False))[0] != fact:
            since[sample["register"]] = fact, sample["at"], False
        _fact, began, said = since[sample["register"]]
        waited, limit = sample["at"] - began, untold if sample["held"] else untouched
        if waited > limit and not said and not (sample["held"] and sample["told"]):
            since[sample["register"]] = fact, began, True
            what = "held, and nobody is told" if sample["held"] else "not held, and nothing tries it"
            violations.append(
                f"register {sample['register']}: the head of its queue (key {sample['key']}) is {what}, for {waited:.0f} s"
            )
    return violations


def settled_or_handled(receipts: Iterable[Receipt]) -> list[str]:
    """I9: at the end every document is delivered, or closed by a person."""
    return [
        f"neither delivered nor handled: {receipt}"
        for receipt in receipts
        if receipt.state != "delivered" and not receipt.handled
    ]


# --- registers that have a backlog together ---------------------------------------------------------------------


def all_advance(history: History) -> list[str]:
    """I3: of registers that have a backlog together, none is done before each has got something through."""
    accepted = first_acceptances(history)
    done = min(requests[-1]["seq"] for requests in accepted.values())
    return [
        f"register {register} got nothing through until another was done"
        for register, requests in accepted.items()
        if requests[0]["seq"] > done
    ]


# --- the breaker: `events` are its transitions, oldest first, `at` in ms ---------------------------------------


LEGAL = {("closed", "open"), ("open", "half_open"), ("half_open", "open"), ("half_open", "closed")}


def legal_transitions(events: list[dict]) -> list[str]:
    """I7: from closed on, each transition is one of the machine's and begins where the one before ended."""
    states = ["closed", *(event["to_state"] for event in events)]
    return [
        f"{event['from_state']} → {event['to_state']} after {state}"
        for state, event in zip(states, events, strict=False)
        if event["from_state"] != state or (event["from_state"], event["to_state"]) not in LEGAL
    ]


def quiet_while_open(history: History, events: list[dict]) -> list[str]:
    """I7: nothing starts while the breaker is open; of each register one attempt (a look-up and the sending that
    follows it) may have been under way.
    """
    violations = []
    for began, ended in _windows(events, "open"):
        for register, requests in _by_register(history).items():
            late = Counter(request["method"] for request in requests if began < request["arrived"] < ended)
            if max(late.values(), default=0) > 1:
                violations.append(f"register {register}: {dict(late)} arrived while the breaker was open")
    return violations


def one_probe_at_a_time(history: History, events: list[dict]) -> list[str]:
    """I7: while the breaker is half-open, no two requests are under way at once."""
    violations = []
    for began, ended in _windows(events, "half_open"):
        probes = sorted((r for r in history if began < r["arrived"] < ended), key=lambda request: request["arrived"])
        violations += [
            f"{_words(after)} arrived while {_words(before)} was under way, both as probes"
            for before, after in pairwise(probes)
            if after["arrived"] < _end(before, probes[probes.index(before) + 1 :])
        ]
    return violations


def _windows(events: list[dict], state: str) -> list[tuple[float, float]]:
    """From when to when the breaker was in that state."""
    return [(begin["at"], end["at"]) for begin, end in pairwise(events) if begin["to_state"] == state]

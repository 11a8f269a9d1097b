"""What goes wrong, on demand: the orders given to POST /_control/mode."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

# mode -> its settings with their defaults; every mode but "ok" also takes `count`.
MODES: dict[str, dict[str, Any]] = {
    "ok": {},
    "fail": {"status": 500, "retry_after": None},
    "throttle": {"status": 429, "retry_after": 2},
    "page": {"status": 400, "body": "<html><h1>400 Bad Request</h1></html>", "content_type": "text/html"},
    "fail_lookups": {"status": 500},
    "garbage": {},
    "other_key": {},
    "slow": {"seconds": 1},
    "wait": {},
    "drip": {"seconds": 30},
    "hang": {},
    "drop": {},
    "reset": {},
}
LIMITS = {"status": (300, 599), "retry_after": (0, 86_400), "seconds": (0, 3_600), "count": (1, 1_000_000)}
WHOLE = ("status", "count")
TEXTS = ("body", "content_type")


@dataclass(frozen=True)
class Fault:
    """What happens to a POST that arrives now: to `count` of them (None: until changed).

    fail, throttle     answered with `status`, not accepted
    page               a proxy in front answers `status` and `body`; the OFD gets nothing, lookups neither
    fail_lookups       lookups are answered with `status`, and are what counts; POSTs are as ever
    garbage            200 with a page of HTML (a captive portal), not accepted
    other_key          200 that acknowledges some other key, not accepted
    slow               decided and answered `seconds` later; not accepted when the client has left by then
    wait               decided and answered when the next order for a mode comes, or a reset
    drip               decided at once, then the answer byte by byte over `seconds`
    drop               decided (so accepted, when good), then closed without an answer
    hang, reset        the network is cut: never answered / closed at once by RST, not accepted, lookups too
    """

    mode: str = "ok"
    count: int | None = None
    status: int | None = None
    retry_after: float | None = None
    seconds: float | None = None
    body: str | None = None
    content_type: str | None = None
    order: int = field(default=0, compare=False)  # of how many

    def meets(self, method: str) -> bool:
        """Whether a request of that method meets it: lookups only what stands between the OFD and us."""
        return self._counts(method) or self.mode in ("hang", "reset", "page")

    def after(self, method: str) -> Fault:
        """The fault in force once a request of that method has met this one."""
        if self.count is None or not self._counts(method):
            return self
        return replace(self, count=self.count - 1) if self.count > 1 else Fault()

    def _counts(self, method: str) -> bool:
        return method == ("GET" if self.mode == "fail_lookups" else "POST")

    def as_dict(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value is not None and name != "order"}


def parse_fault(order: dict[str, Any]) -> Fault:
    """The fault that an order asks for; ValueError says what is wrong with it."""
    mode = order.get("mode")
    if not isinstance(mode, str) or mode not in MODES:
        raise ValueError(f"mode must be one of: {', '.join(MODES)}")
    known = {*MODES[mode], "count"} if mode != "ok" else set()
    given = {name: value for name, value in order.items() if name != "mode"}
    for name, value in given.items():
        if name not in known:
            raise ValueError(f"mode {mode} has no setting {name}")
        check_setting(name, value)
    return Fault(mode, **{**MODES[mode], **given})


def check_setting(name: str, value: Any) -> None:
    """ValueError unless the value is a text, or a number within LIMITS."""
    if name in TEXTS:
        return check_text(name, value)
    low, high = LIMITS[name]
    kinds = int if name in WHOLE else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
        raise ValueError(f"{name} must be a {'whole ' if kinds is int else ''}number from {low} to {high}")


def check_text(name: str, value: Any) -> None:
    if not isinstance(value, str) or (name == "content_type" and not (value.isascii() and value.isprintable())):
        raise ValueError(f"{name} must be a string{', as a header has it' if name == 'content_type' else ''}")

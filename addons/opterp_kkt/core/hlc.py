"""Hybrid logical clock: time stamps that respect cause and effect although the wall clocks disagree.

Source: Kulkarni, Demirbas, Madappa, Avva, Leone, "Logical Physical Clocks", OPODIS 2014, figure 5.
"""

import reprlib
from collections.abc import Mapping
from typing import NamedTuple

MAX_LOCAL_TIME = 2**48 - 1  # ms: the year 10889; exact in a JavaScript number and in a PostgreSQL bigint
MAX_LOGICAL_COUNTER = 2**16 - 1
MAX_NODE_LENGTH = 64


class Timestamp(NamedTuple):
    """One stamp of the clock. Stamps order as (local_time, logical_counter, node).

    A node keeps the last stamp it gave out. Each event asks ``tick`` for the next one, handing in every stamp
    that the event depends on; the answer is later than all of them. If event a happened before event b then
    (local_time, logical_counter) of a is less than that of b; the node only tells concurrent events apart.
    """

    local_time: int  # ms since 1970 UTC: the latest physical time heard of
    logical_counter: int  # 0…65535: order within one local_time
    node: str = ""  # who gave the stamp; at most 64 printable characters


def tick(last: Timestamp, now: int, *seen: Timestamp) -> Timestamp:
    """The stamp after ``last`` on its node: a local or send event, or a receive event when ``seen`` is given.

    ``now`` is the node's wall clock in ms since 1970 UTC. It may stand still or run backwards.
    Several ``seen`` stamps are merged at once, in any order. A counter past 65535 carries into local_time.
    Raises ValueError for anything that is not a stamp or a time, and when 48 bits of ms are used up.
    """
    stamps = [_checked(stamp) for stamp in (last, *seen)]
    now = _bounded("now", now, MAX_LOCAL_TIME)
    local_time = max(now, *(stamp.local_time for stamp in stamps))
    counters = (stamp.logical_counter for stamp in stamps if stamp.local_time == local_time)
    counter = max(counters, default=-1) + 1
    if counter > MAX_LOGICAL_COUNTER:
        local_time, counter = local_time + 1, 0
    return _checked(Timestamp(local_time, counter, last.node))


def within_drift(stamp: Timestamp, now: int, bound: int = 60_000) -> bool:
    """Whether ``stamp`` is at most ``bound`` ms ahead of ``now`` (ms), so that it may be merged.

    A merged stamp drags the clock of its node along for good, hence no untrusted one may be far ahead.
    There is no lower bound: an offline till's stamp may be hours old, and merging it changes nothing.
    """
    return stamp.local_time - now <= bound


def parse(raw: object) -> Timestamp:
    """The stamp in ``{"local_time": int, "logical_counter": int, "node": str}`` from an untrusted sender.

    Further keys are ignored. Raises ValueError, with a text fit for a log, for everything else.
    """
    if not isinstance(raw, Mapping):
        raise ValueError(f"an HLC stamp must be an object, not {reprlib.repr(raw)}")
    missing = [field for field in Timestamp._fields if field not in raw]
    if missing:
        raise ValueError(f"an HLC stamp needs {', '.join(missing)}")
    return _checked(Timestamp(*(raw[field] for field in Timestamp._fields)))


def _checked(stamp: Timestamp) -> Timestamp:
    if not isinstance(stamp, Timestamp):
        raise ValueError(f"not an HLC stamp: {reprlib.repr(stamp)}")
    _bounded("local_time", stamp.local_time, MAX_LOCAL_TIME)
    _bounded("logical_counter", stamp.logical_counter, MAX_LOGICAL_COUNTER)
    # Printable also keeps out NUL and lone surrogates, which PostgreSQL can't store.
    if type(stamp.node) is not str or len(stamp.node) > MAX_NODE_LENGTH or not stamp.node.isprintable():
        raise ValueError(f"node must be at most {MAX_NODE_LENGTH} printable characters, not {reprlib.repr(stamp.node)}")
    return stamp


def _bounded(name: str, value: object, limit: int) -> int:
    # type(), not isinstance(): True is an int, too.
    if type(value) is not int or not 0 <= value <= limit:
        raise ValueError(f"{name} must be an integer from 0 to {limit}, not {reprlib.repr(value)}")
    return value

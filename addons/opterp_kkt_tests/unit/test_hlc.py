"""The hybrid logical clock: published vectors, laws, and nodes with jumping clocks that exchange messages."""

import json

import pytest
from core.hlc import MAX_LOCAL_TIME, MAX_LOGICAL_COUNTER, Timestamp, parse, tick, within_drift
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, rule

HOUR = 3_600_000
TEN = 1_790_000_000_000 - 1_790_000_000_000 % (24 * HOUR) + 10 * HOUR  # 10:00:00 UTC of a day in 2026
SMALL = settings(max_examples=200, database=None)

# (now, stamp received or None for a send event) -> (local_time, logical_counter)
KULKARNI = [
    (5, None, (5, 0)),
    (6, None, (6, 0)),
    (10, (10, 5), (10, 6)),
    (7, None, (10, 7)),
    (8, (10, 4), (10, 8)),
    (10, (10, 99), (10, 100)),
    (11, (10, 31), (11, 0)),
    (11, None, (11, 1)),
    (5, (20, 3), (20, 4)),
    (6, (15, 9), (20, 5)),
    (21, None, (21, 0)),
]
# CockroachDB, TestHLCClock: there, receiving is preceded by one more tick.
COCKROACH = [
    (5, None, (5, 0)),
    (6, None, (6, 0)),
    (10, (10, 5), (10, 6)),
    (7, None, (10, 7)),
    (8, (10, 4), (10, 9)),
    (10, (10, 99), (10, 100)),
    (11, (10, 31), (11, 1)),
    (11, None, (11, 2)),
]
# Actual Budget, timestamp.test.ts, run as one history.
ACTUAL = [
    (10, None, (10, 0)),
    (11, None, (11, 0)),
    (12, None, (12, 0)),
    (20, None, (20, 0)),
    (20, None, (20, 1)),
    (20, None, (20, 2)),
    (21, None, (21, 0)),
    (30, None, (30, 0)),
    (29, None, (30, 1)),
    (29, None, (30, 2)),
    (31, None, (31, 0)),
    (52, (51, 0), (52, 0)),
    (54, (53, 0), (54, 0)),
    (61, (62, 0), (62, 1)),
    (62, (62, 1), (62, 2)),
    (62, (62, 2), (62, 3)),
    (63, (62, 4), (63, 0)),
    (73, (71, 0), (73, 0)),
    (73, (72, 0), (73, 1)),
    (74, (73, 0), (74, 0)),
    (81, (83, 0), (83, 1)),
    (82, (83, 1), (83, 2)),
    (83, (83, 2), (83, 3)),
    (84, (83, 3), (84, 0)),
    (93, (91, 0), (93, 0)),
    (92, (92, 0), (93, 1)),
    (91, (93, 0), (93, 2)),
    (101, (103, 0), (103, 1)),
    (102, (102, 0), (103, 2)),
    (103, (101, 0), (103, 3)),
]

# Few distinct times, so that equal ones meet; both ends of the counter, so that it overflows.
times = st.integers(0, 6)
counters = st.one_of(st.integers(0, 3), st.integers(MAX_LOGICAL_COUNTER - 2, MAX_LOGICAL_COUNTER))
stamps = st.builds(Timestamp, times, counters, st.sampled_from("abc"))


def replayed(vectors, extra_tick=False):
    last, history = Timestamp(0, 0, "n"), []
    for now, message, _expected in vectors:
        if message and extra_tick:
            last = tick(last, now)
        last = tick(last, now, *([Timestamp(*message, "m")] if message else []))
        history.append(last[:2])
    return history


def packed(stamp):
    return stamp.local_time << 16 | stamp.logical_counter


@pytest.mark.parametrize("vectors", [KULKARNI, ACTUAL], ids=["kulkarni", "actual"])
def test_published_vectors(vectors):
    assert replayed(vectors) == [expected for _now, _message, expected in vectors]


def test_cockroach_vectors():
    assert replayed(COCKROACH, extra_tick=True) == [expected for _now, _message, expected in COCKROACH]


def test_refund_on_a_till_whose_clock_is_behind_is_later_than_its_sale():
    """POS-1 sells A at 10:00:00; POS-2, whose clock is 5 s behind, refunds A."""
    sale = tick(Timestamp(0, 0, "POS-1"), TEN)
    refund = tick(Timestamp(TEN - 9000, 0, "POS-2"), TEN - 5000, sale)
    assert refund > sale
    assert refund == (TEN, 1, "POS-2")
    assert tick(refund, TEN - 4000) > refund


def test_an_hour_back_while_running():
    before = tick(Timestamp(0, 0, "n"), TEN)
    stamps = [before]
    for minute in range(60):
        stamps.append(tick(stamps[-1], TEN - HOUR + minute * 60_000))
    assert stamps == [(TEN, counter, "n") for counter in range(61)]
    assert tick(stamps[-1], TEN + 1) == (TEN + 1, 0, "n")


def test_restart_goes_on_from_the_stored_stamp():
    stored = json.loads(json.dumps(tick(Timestamp(TEN, 7, "n"), TEN)._asdict()))
    assert tick(Timestamp(**stored), TEN - HOUR) == (TEN, 9, "n")
    assert tick(parse(stored), TEN - HOUR) == (TEN, 9, "n")


@pytest.mark.parametrize(
    ("last", "now", "seen"),
    [
        ((TEN, 65535, "n"), 0, ()),
        ((TEN, 65535, "n"), TEN, ()),
        ((0, 0, "n"), TEN, [(TEN, 65535, "m")]),
        ((TEN, 3, "n"), TEN, [(TEN, 65535, "m"), (TEN, 9, "k")]),
    ],
)
def test_full_counter_carries_into_local_time(last, now, seen):
    assert tick(Timestamp(*last), now, *(Timestamp(*stamp) for stamp in seen)) == (TEN + 1, 0, "n")


def test_counter_is_used_up_to_its_last_value():
    assert tick(Timestamp(TEN, 65534, "n"), TEN) == (TEN, 65535, "n")
    assert tick(Timestamp(TEN, 65535, "n"), TEN + 1) == (TEN + 1, 0, "n")


def test_70000_stamps_within_one_millisecond():
    last, given_out = Timestamp(0, 0, "n"), []
    for _ in range(70_000):
        last = tick(last, TEN)
        given_out.append(last)
    assert all(a < b for a, b in zip(given_out, given_out[1:], strict=False))
    assert last == (TEN + 1, 70_000 - 65_536 - 1, "n")


def test_end_of_time_is_an_error():
    with pytest.raises(ValueError, match="local_time"):
        tick(Timestamp(MAX_LOCAL_TIME, MAX_LOGICAL_COUNTER), 0)


@SMALL
@given(stamps, times, st.lists(stamps, max_size=4))
def test_equals_the_packed_clock(last, now, seen):
    """An independent form of the same clock: one integer, local_time in front of a 16-bit counter."""
    stamp = tick(last, now, *seen)
    assert packed(stamp) == max(now << 16, *(packed(s) + 1 for s in (last, *seen)))
    assert stamp.node == last.node


@SMALL
@given(stamps, times, st.lists(stamps, max_size=4), st.randoms())
def test_order_and_repetition_of_seen_do_not_matter(last, now, seen, random):
    stamp = tick(last, now, *seen)
    shuffled = random.sample(seen, len(seen))
    assert tick(last, now, *shuffled) == stamp
    assert tick(last, now, *seen, *shuffled) == stamp


@SMALL
@given(stamps, times, stamps, stamps)
def test_merging_one_by_one_ends_no_earlier_than_at_once(last, now, one, two):
    assert tick(tick(last, now, one), now, two) >= tick(last, now, one, two)


def test_order_is_local_time_then_counter_then_node():
    ordered = [Timestamp(1, 9, "a"), Timestamp(1, 9, "b"), Timestamp(1, 10, ""), Timestamp(2, 0, "a")]
    assert sorted(reversed(ordered)) == ordered


@pytest.mark.parametrize(("ahead", "within"), [(-HOUR, True), (0, True), (60_000, True), (60_001, False), (HOUR, False)])
def test_drift_is_bounded_ahead_only(ahead, within):
    assert within_drift(Timestamp(TEN + ahead, 0), TEN) is within


def test_drift_bound_can_be_set():
    assert within_drift(Timestamp(TEN + 500, 0), TEN, bound=500)
    assert not within_drift(Timestamp(TEN + 501, 0), TEN, bound=500)


NONSENSE_NUMBERS = [None, True, False, 1.0, float("nan"), "1", -1, [], 2**48]


@pytest.mark.parametrize("now", NONSENSE_NUMBERS)
def test_tick_refuses_a_nonsense_time(now):
    with pytest.raises(ValueError, match="now"):
        tick(Timestamp(1, 0), now)


@pytest.mark.parametrize(
    "stamp",
    [None, (1, 0, "n"), {"local_time": 1}, *(Timestamp(n, 0) for n in NONSENSE_NUMBERS), Timestamp(1, 65536)],
)
def test_tick_refuses_nonsense_stamps(stamp):
    with pytest.raises(ValueError):
        tick(stamp, 1)
    with pytest.raises(ValueError):
        tick(Timestamp(1, 0), 1, Timestamp(1, 0), stamp)


GOOD = {"local_time": TEN, "logical_counter": 3, "node": "till 7/касса"}


def test_parse_reads_what_a_browser_sends():
    assert parse(json.loads(json.dumps(GOOD))) == (TEN, 3, "till 7/касса")
    assert parse({**GOOD, "later_version": 1}) == (TEN, 3, "till 7/касса")
    edges = {"local_time": 2**48 - 1, "logical_counter": 65535, "node": "n" * 64}
    assert parse(edges) == tuple(edges.values())
    assert parse({"local_time": 0, "logical_counter": 0, "node": ""}) == (0, 0, "")


@pytest.mark.parametrize("raw", [None, 1, "", "x", [], [1, 0, "n"], True, Timestamp(1, 0, "n")])
def test_parse_refuses_what_is_not_an_object(raw):
    with pytest.raises(ValueError, match="must be an object"):
        parse(raw)


@pytest.mark.parametrize("field", GOOD)
def test_parse_names_the_missing_field(field):
    with pytest.raises(ValueError, match=f"needs {field}"):
        parse({name: value for name, value in GOOD.items() if name != field})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("local_time", value) for value in NONSENSE_NUMBERS),
        *(("logical_counter", value) for value in [*NONSENSE_NUMBERS, 65536]),
        *(("node", value) for value in [None, 1, True, [], b"n", "n" * 65, "a\x00b", "a\nb", "\ud800"]),
    ],
)
def test_parse_names_the_wrong_field(field, value):
    with pytest.raises(ValueError, match=field):
        parse({**GOOD, field: value})


def test_parse_error_is_short_whatever_was_sent():
    with pytest.raises(ValueError) as error:
        parse({**GOOD, "node": "n" * 100_000})
    assert len(str(error.value)) < 200


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=70),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list(GOOD)), inner),
    max_leaves=6,
)


@SMALL
@given(json_values | st.fixed_dictionaries({name: json_values for name in GOOD}))
def test_parse_gives_a_stamp_that_ticks_or_a_value_error(raw):
    try:
        stamp = parse(raw)
    except ValueError as error:
        assert str(error)
    else:
        assert tick(Timestamp(0, 0, "n"), 0, stamp) > stamp._replace(node="")
        stamp.node.encode()


class SkewedNodes(RuleBasedStateMachine):
    """Nodes with clocks of their own exchange stamps; vector clocks say what truly happened before what."""

    nodes = ("POS-1", "POS-2", "server")
    messages = Bundle("messages")
    node = st.sampled_from(nodes)

    @initialize(
        skews=st.lists(st.integers(-6000, 6000), min_size=3, max_size=3),
        counters=st.lists(counters, min_size=3, max_size=3),
    )
    def start(self, skews, counters):
        self.clocks = dict(zip(self.nodes, (TEN + skew for skew in skews), strict=True))
        self.last = {n: Timestamp(TEN, c, n) for n, c in zip(self.nodes, counters, strict=True)}
        self.vectors = {node: dict.fromkeys(self.nodes, 0) for node in self.nodes}
        self.events = []
        self.latest_clock, self.carries = TEN, 0

    @rule(step=st.integers(0, 3))
    def time_passes(self, step):
        self.clocks = {node: now + step for node, now in self.clocks.items()}

    @rule(node=node, jump=st.integers(-5, 5) | st.sampled_from([-HOUR, HOUR]))
    def clock_jumps(self, node, jump):
        self.clocks[node] += jump

    @rule(node=node)
    def restart(self, node):
        self.last[node] = parse(json.loads(json.dumps(self.last[node]._asdict())))

    @rule(target=messages, node=node, seen=st.lists(messages, max_size=3))
    def event(self, node, seen):
        """A send event; a receive event of all that was ``seen``."""
        self.count(node, [vector for _stamp, vector in seen])
        stamp = tick(self.last[node], self.clocks[node], *(stamp for stamp, _vector in seen))
        self.check_bounds(node, stamp, seen)
        self.check_causality(stamp, self.vectors[node])
        self.last[node] = stamp
        self.events.append((stamp, self.vectors[node]))
        return stamp, self.vectors[node]

    def count(self, node, others):
        own = self.vectors[node]
        merged = {n: max(own[n], *(other[n] for other in others)) if others else own[n] for n in self.nodes}
        self.vectors[node] = {**merged, node: merged[node] + 1}

    def check_bounds(self, node, stamp, seen):
        inputs = [self.clocks[node], self.last[node].local_time, *(s.local_time for s, _vector in seen)]
        self.latest_clock = max(self.latest_clock, self.clocks[node])
        self.carries += stamp.local_time > max(inputs)
        assert stamp.local_time >= max(inputs)
        assert stamp.local_time - self.latest_clock <= self.carries
        assert 0 <= stamp.logical_counter <= MAX_LOGICAL_COUNTER

    def check_causality(self, stamp, vector):
        for earlier, before in self.events:
            assert stamp != earlier
            if all(before[node] <= vector[node] for node in self.nodes):
                assert earlier[:2] < stamp[:2]


TestSkewedNodes = SkewedNodes.TestCase
TestSkewedNodes.settings = settings(max_examples=60, stateful_step_count=40, database=None)

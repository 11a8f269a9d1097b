"""The circuit breaker: each transition by example, then histories of concurrent attempts against a model."""

import json
from dataclasses import asdict, replace

import pytest
from core.breaker import (
    Breaker,
    alive,
    denial,
    failed,
    permit,
    released,
    reset,
    retry_after,
    succeeded,
    transition,
)
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

NOW = 1_790_000_000.0
PERMIT = 15  # s that a probe's permit lasts
HOUR = 3600
LEGAL = {
    ("closed", "open"): "failures",
    ("open", "half_open"): "recovery_timeout",
    ("half_open", "open"): "probe_failed",
    ("half_open", "closed"): "probes_succeeded",
}
SETTINGS = ("mode", "failure_threshold", "recovery_timeout", "success_threshold")


def opened():
    return Breaker(state="open", failure_count=5, opened_at=NOW, retry_at=NOW + 60, version=5)


def half_opened(owner="probe", until=NOW + 60 + PERMIT):
    probe = {"probe_owner": owner, "probe_until": until}
    return Breaker(state="half_open", failure_count=5, opened_at=NOW, **probe, version=6)


def test_defaults_are_those_of_the_design():
    b = Breaker()
    assert (b.failure_threshold, b.recovery_timeout, b.success_threshold) == (5, 60, 2)
    assert (b.mode, b.state, b.version) == ("automatic", "closed", 0)


def test_five_failures_in_a_row_open_it():
    b = Breaker()
    for count in range(1, 5):
        b = failed(b, NOW, "any")
        assert (b.state, b.failure_count, b.version) == ("closed", count, count)
    assert failed(b, NOW, "any") == opened()


def test_the_recovery_timeout_is_a_setting():
    assert failed(Breaker(failure_threshold=1, recovery_timeout=7), NOW, "any").retry_at == NOW + 7


def test_a_success_in_between_starts_the_count_again():
    b = Breaker()
    for _ in range(4):
        b = failed(b, NOW, "any")
    b = succeeded(b, NOW, "any")
    assert (b.failure_count, b.version) == (0, 5)
    for _ in range(4):
        b = failed(b, NOW, "any")
    assert b.state == "closed"


def test_success_of_a_healthy_breaker_needs_no_write():
    b = Breaker(version=7)
    assert succeeded(b, NOW, "any") is b
    assert released(b, NOW, "any") is b
    assert permit(b, NOW, "any", 15) is b
    assert reset(b) is b


def test_open_denies_until_the_recovery_timeout_is_over():
    assert permit(opened(), NOW, "early", 15) is None
    assert permit(opened(), NOW + 59.999, "early", 15) is None
    assert permit(opened(), NOW + 60, "probe", 15) == half_opened("probe", NOW + 75)


def test_one_probe_at_a_time():
    b = half_opened("first")
    assert permit(b, NOW + 60, "second", 15) is None
    assert permit(b, NOW + 60, "first", 15) is None
    assert permit(b, NOW + 74.999, "second", 15) is None


def test_an_expired_permit_goes_to_another_and_its_late_result_changes_nothing():
    b = permit(half_opened("dead"), NOW + 75, "second", 15)
    assert (b.probe_owner, b.probe_until, b.state) == ("second", NOW + 90, "half_open")
    for late in (succeeded, failed, released):
        assert late(b, NOW + 80, "dead") is b


def test_a_result_of_an_expired_permit_that_nobody_took_counts():
    assert failed(half_opened("slow"), NOW + 80, "slow").state == "open"
    assert succeeded(half_opened("slow"), NOW + 80, "slow").success_count == 1


def test_two_successful_probes_close_it():
    b = succeeded(half_opened("one"), NOW + 61, "one")
    assert (b.state, b.success_count, b.failure_count) == ("half_open", 1, 0)
    assert (b.probe_owner, b.probe_until) == (None, None)
    b = succeeded(permit(b, NOW + 61, "two", 15), NOW + 62, "two")
    assert b == Breaker(version=b.version)


def test_one_failed_probe_opens_it_again_for_the_whole_timeout():
    b = succeeded(half_opened("one"), NOW + 61, "one")
    b = failed(permit(b, NOW + 61, "two", 15), NOW + 70, "two")
    assert (b.state, b.opened_at, b.retry_at) == ("open", NOW + 70, NOW + 130)
    assert (b.success_count, b.probe_owner, b.probe_until) == (0, None, None)
    assert permit(b, NOW + 129, "three", 15) is None


def test_successes_of_an_earlier_half_open_do_not_count():
    b = succeeded(half_opened("one"), NOW + 61, "one")
    b = failed(permit(b, NOW + 61, "two", 15), NOW + 70, "two")
    b = succeeded(permit(b, NOW + 130, "three", 15), NOW + 131, "three")
    assert (b.state, b.success_count) == ("half_open", 1)


def test_a_released_probe_gives_its_permit_back_and_keeps_the_state():
    b = released(half_opened("throttled"), NOW + 61, "throttled")
    assert b == replace(half_opened(None, None), version=7)
    assert permit(b, NOW + 61, "next", 15).probe_owner == "next"


@pytest.mark.parametrize("report", [succeeded, failed, released])
@pytest.mark.parametrize("b", [opened(), half_opened("probe"), half_opened(None, None)])
@pytest.mark.parametrize("stranger", ["begun while closed", "", None])
def test_late_results_of_strangers_change_nothing(report, b, stranger):
    assert report(b, NOW + 62, stranger) is b


@pytest.mark.parametrize("report", [succeeded, failed, released])
def test_open_is_deaf_even_to_a_former_probe(report):
    b = failed(half_opened("probe"), NOW + 61, "probe")
    assert report(b, NOW + 62, "probe") is b


def test_forced_open_permits_nobody_and_disabled_everybody():
    for b in (Breaker(), opened(), half_opened()):
        assert permit(replace(b, mode="forced_open"), NOW + 1000, "any", 15) is None
        disabled = replace(b, mode="disabled")
        assert permit(disabled, NOW, "any", 15) is disabled


@pytest.mark.parametrize("mode", ["forced_open", "disabled"])
@pytest.mark.parametrize("report", [succeeded, failed, released])
def test_modes_set_by_hand_freeze_the_state(mode, report):
    for b in (Breaker(failure_count=4, mode=mode), replace(half_opened("probe"), mode=mode)):
        assert report(b, NOW, "probe") is b


def test_who_answers_without_taking_a_document_is_alive():
    """It closes a half-open breaker as a success does, and says nothing about the failures before."""
    b = Breaker(failure_count=4)
    assert alive(b, NOW, "any") is b
    assert alive(half_opened("probe"), NOW, "probe") == succeeded(half_opened("probe"), NOW, "probe")
    assert alive(half_opened("probe"), NOW, "another") == half_opened("probe")


def test_reset_closes_and_keeps_mode_and_numbers():
    numbers = {"failure_threshold": 2, "recovery_timeout": 7, "success_threshold": 3, "mode": "forced_open"}
    b = replace(half_opened(), **numbers)
    assert reset(b) == Breaker(**numbers, version=b.version + 1)
    assert reset(Breaker(failure_count=1)) == Breaker(version=1)
    assert reset(opened()) == Breaker(version=6)


@pytest.mark.parametrize(
    ("b", "now", "reason", "wait"),
    [
        (Breaker(), NOW, None, 0.0),
        (opened(), NOW + 20, "open", 40.0),
        (opened(), NOW + 60, None, 0.0),
        (half_opened(), NOW + 70, "probe_out", 5.0),
        (half_opened(), NOW + 75, None, 0.0),
        (half_opened(None, None), NOW + 61, None, 0.0),
        (opened(), NOW, "open", 60.0),
        (opened(), NOW - HOUR, None, 0.0),  # the database's clock was set back: no wait is longer than itself
        (half_opened(), NOW + 60, "probe_out", 15.0),
        (half_opened(), NOW - HOUR, None, 0.0),
        (replace(opened(), mode="forced_open"), NOW + 20, "forced_open", None),
        (replace(opened(), mode="disabled"), NOW + 20, None, 0.0),
    ],
)
def test_denial_says_why_and_until_when(b, now, reason, wait):
    assert (denial(b, now, PERMIT), retry_after(b, now, PERMIT)) == (reason, wait)


def test_transitions_are_named():
    closed, open_, probing = Breaker(failure_count=4), opened(), half_opened("probe")
    assert transition(closed, failed(closed, NOW, "any")) == ("closed", "open", "failures")
    assert transition(open_, probing) == ("open", "half_open", "recovery_timeout")
    assert transition(probing, failed(probing, NOW, "probe")) == ("half_open", "open", "probe_failed")
    almost = replace(probing, success_count=1)
    assert transition(almost, succeeded(almost, NOW, "probe")) == ("half_open", "closed", "probes_succeeded")
    assert transition(open_, reset(open_), "reset") == ("open", "closed", "reset")
    assert transition(probing, succeeded(probing, NOW, "probe")) is None
    assert transition(closed, closed, "reset") is None


def test_a_transition_nobody_can_explain_is_an_error():
    with pytest.raises(KeyError):
        transition(opened(), Breaker())


class AnyHistory(RuleBasedStateMachine):
    """Attempts begin, and end in any order and however late, while time passes and an administrator meddles.

    The model beside the breaker is what an observer would say: failures and successes in a row, and which
    probe was let through last. It shares no code with the breaker.
    """

    @initialize(
        failures=st.integers(1, 3),
        successes=st.integers(1, 3),
        timeout=st.sampled_from([1, 10, 60]),
        seconds=st.sampled_from([5, 15, 100]),
    )
    def start(self, failures, successes, timeout, seconds):
        self.seconds = seconds
        self.b = Breaker(failure_threshold=failures, success_threshold=successes, recovery_timeout=timeout)
        self.now = NOW
        self.begun = []  # attempts under way, probes or not
        self.attempts = 0
        self.model_state, self.failures, self.successes, self.opened_at = "closed", 0, 0, None
        self.probe = None  # (owner, until) of the one probe that counts

    def apply(self, new, reason=None):
        old, self.b = self.b, new
        assert new.version == old.version + (new is not old)
        assert (new is old) or replace(new, version=0) != replace(old, version=0)
        assert [getattr(new, name) for name in SETTINGS] == [getattr(old, name) for name in SETTINGS]
        event = transition(old, new, reason)
        if event and not reason:
            assert LEGAL[event.from_state, event.to_state] == event.reason
        assert (event is None) == (old.state == new.state)

    @rule(seconds=st.sampled_from([0.5, 1, 9.5, 10, 30, 60]))
    def time_passes(self, seconds):
        self.now += seconds

    @rule(seconds=st.sampled_from([1, HOUR]))
    def the_clock_is_set_back(self, seconds):
        self.now -= seconds

    @rule()
    def begin(self):
        self.attempts += 1
        owner, seconds = f"attempt {self.attempts}", self.seconds
        new = permit(self.b, self.now, owner, seconds)
        assert (new is not None) == self.model_permits() == (retry_after(self.b, self.now, seconds) == 0.0)
        assert (new is None) == bool(denial(self.b, self.now, seconds))
        if new is None:
            return
        self.begun.append(owner)
        if self.b.mode == "automatic" and self.model_state != "closed":
            self.model_state, self.probe = "half_open", (owner, self.now + seconds)
        self.apply(new)

    def model_permits(self):
        if self.b.mode != "automatic":
            return self.b.mode == "disabled"
        if self.model_state == "open":
            return not 0 < self.opened_at + self.b.recovery_timeout - self.now <= self.b.recovery_timeout
        return self.model_state == "closed" or self.probe is None or not 0 < self.probe[1] - self.now <= self.seconds

    @precondition(lambda self: self.begun)
    @rule(data=st.data(), report=st.sampled_from([succeeded, failed, failed, released]))
    def end(self, data, report):
        owner = self.begun.pop(data.draw(st.integers(0, len(self.begun) - 1)))
        is_probe = self.model_state == "half_open" and self.probe and self.probe[0] == owner
        if self.b.mode == "automatic" and is_probe:
            self.model_probe_ended(report)
        elif self.b.mode == "automatic" and self.model_state == "closed":
            self.model_call_ended(report)
        self.apply(report(self.b, self.now, owner))

    def model_call_ended(self, report):
        if report is succeeded:
            self.failures = 0
        if report is failed:
            self.failures += 1
        if self.failures == self.b.failure_threshold:
            self.model_state, self.opened_at, self.successes = "open", self.now, 0

    def model_probe_ended(self, report):
        self.probe = None
        if report is succeeded:
            self.successes += 1
        if self.successes == self.b.success_threshold:
            self.model_state, self.failures, self.successes = "closed", 0, 0
        if report is failed:
            self.model_state, self.opened_at, self.successes = "open", self.now, 0

    @precondition(lambda self: self.b.mode != "automatic" or self.attempts % 5 == 3)
    @rule(mode=st.sampled_from(["automatic", "automatic", "forced_open", "disabled"]))
    def administrator_sets_the_mode(self, mode):
        self.b = replace(self.b, mode=mode, version=self.b.version + 1)

    @precondition(lambda self: self.attempts % 10 == 9)
    @rule()
    def administrator_resets(self):
        self.model_state, self.failures, self.successes, self.probe = "closed", 0, 0, None
        self.apply(reset(self.b), "reset")

    @invariant()
    def agrees_with_the_model(self):
        assert self.b.state == self.model_state
        assert self.b.success_count == self.successes
        if self.b.state == "closed":
            assert self.b.failure_count == self.failures

    @invariant()
    def has_at_most_the_one_probe(self):
        known = (self.b.probe_owner, self.b.probe_until)
        assert known == (self.probe if self.probe else (None, None))

    @invariant()
    def closed_permits_everybody(self):
        if self.b.state == "closed" and self.b.mode == "automatic":
            assert permit(self.b, self.now, "somebody", 15) is self.b

    @invariant()
    def has_a_time_where_its_state_needs_one(self):
        assert (self.b.opened_at is None) == (self.b.state == "closed")
        assert (self.b.retry_at is not None) == (self.b.state == "open")
        assert self.b.probe_owner is None or self.b.state == "half_open"

    @invariant()
    def enough_successes_close_it(self):
        b, now = replace(self.b, mode="automatic"), self.now + 1000
        for n in range(b.success_threshold):
            b = succeeded(permit(b, now, f"probe {n}", 15), now, f"probe {n}")
        assert b.state == "closed" and b.failure_count == 0

    @invariant()
    def survives_storage_in_plain_columns(self):
        self.b = Breaker(**json.loads(json.dumps(asdict(self.b))))


TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = settings(max_examples=100, stateful_step_count=80, database=None)

"""The table of outcomes, row by row: what each does to the document, its register, its OFD and the breaker."""

from dataclasses import replace

import pytest
from opterp_kkt.core import breaker
from opterp_kkt.delivery.outcomes import EFFECTS, Attempt, Claim, consequences, fails_alone, may_send, must_ask
from opterp_kkt.delivery.settings import Settings
from opterp_kkt.transports import Answer, Outcome

ACCEPTED, PROCESSING, REFUSED, ABSENT, MISCONFIGURED, THROTTLED, UNAVAILABLE, UNABLE, UNKNOWN = Outcome
SETTINGS = Settings(dsn={}, redis_url="", lease_prefix="")
TRIES = SETTINGS.poison_tries
FIRST = Claim(
    id=1,
    queue_number=1,
    idempotency_key="k",
    protocol="http",
    payload="{}",
    attempts=0,
    in_doubt=False,
    failures=0,
    lone_failures=0,
    failed_lookups=0,
    last_error=None,
    tried_at=None,
    elsewhere=False,
)
DOUBTFUL = replace(FIRST, attempts=1, in_doubt=True, failures=1, last_error="HTTP 500", tried_at=1)


def after(claim, outcome, asked=None, sent=True, on_refusal="go_on", **answer):
    answer = Answer(outcome, **{"message": "words"} | answer)
    return consequences(claim, Attempt(answer, asked, sent), on_refusal, SETTINGS)


def test_every_outcome_has_its_row():
    assert set(EFFECTS) == set(Outcome)


@pytest.mark.parametrize(
    "outcome, state, counted, in_doubt, verdict",
    [
        (ACCEPTED, "delivered", 1, False, breaker.succeeded),
        (PROCESSING, "pending", 0, True, breaker.alive),
        (REFUSED, "rejected", 1, False, breaker.alive),
        (MISCONFIGURED, "pending", 0, False, breaker.released),
        (THROTTLED, "pending", 0, False, breaker.released),
        (UNAVAILABLE, "pending", 1, False, breaker.failed),
        (UNABLE, "pending", 1, False, breaker.failed),
        (UNKNOWN, "pending", 1, True, breaker.failed),
    ],
)
def test_a_first_try(outcome, state, counted, in_doubt, verdict):
    result = after(FIRST, outcome, retry_after=7.0)
    assert (result.state, result.counted, result.in_doubt) == (state, counted, in_doubt)
    assert EFFECTS[outcome].verdict is verdict
    assert (result.hold_cause, result.absent, result.outcome) == (None, False, outcome.value)


def test_what_it_was_unable_to_do_is_sent_anew_later():
    """It has told how its try ended: the next one is sent, not asked for."""
    result = after(DOUBTFUL, UNABLE, asked=UNABLE, sent=False)
    assert (result.state, result.in_doubt, result.anew, result.failed_lookups) == ("pending", False, True, 0)
    assert result.wait is not None
    assert not must_ask(replace(DOUBTFUL, in_doubt=result.in_doubt, failures=0), TRIES)


@pytest.mark.parametrize("outcome", [MISCONFIGURED, THROTTLED, UNAVAILABLE])
def test_doubt_is_over_only_when_the_ofd_was_asked(outcome):
    """It says that it does not have the document; what was sent then certainly did not arrive either."""
    assert after(DOUBTFUL, outcome, retry_after=1.0).in_doubt, "sent unasked: the earlier try may still have arrived"
    told = after(DOUBTFUL, outcome, asked=ABSENT, retry_after=1.0)
    assert (told.in_doubt, told.absent) == (False, True)


def test_what_is_sent_after_it_was_absent_is_in_doubt_again():
    result = after(DOUBTFUL, UNKNOWN, asked=ABSENT)
    assert (result.in_doubt, result.absent) == (True, False)


def test_a_question_that_is_not_answered_brings_no_doubt():
    """The document was never sent, or certainly did not arrive."""
    refused_by_a_proxy = replace(FIRST, failures=1, tried_at=1)
    assert not after(refused_by_a_proxy, UNKNOWN, asked=UNKNOWN, sent=False).in_doubt
    assert after(DOUBTFUL, UNKNOWN, asked=UNKNOWN, sent=False).in_doubt
    assert after(FIRST, PROCESSING, asked=PROCESSING, sent=False).in_doubt


def test_an_acceptance_says_that_it_is_there():
    assert not after(DOUBTFUL, ACCEPTED, asked=ABSENT).absent
    assert not after(DOUBTFUL, ACCEPTED, asked=ACCEPTED, sent=False).absent


def test_waits_and_pauses():
    assert 0 <= after(FIRST, UNKNOWN).wait <= 1
    assert after(replace(FIRST, attempts=40), UNAVAILABLE).wait <= SETTINGS.backoff_max
    assert after(FIRST, PROCESSING).wait == 5 and after(FIRST, PROCESSING, retry_after=120.0).wait == 120
    assert after(FIRST, THROTTLED, retry_after=7.0).pause == 7
    assert after(FIRST, THROTTLED, retry_after=1e9).pause == 900
    assert after(FIRST, MISCONFIGURED).pause == SETTINGS.misconfigured_pause
    assert after(FIRST, ACCEPTED).wait is after(FIRST, REFUSED).wait is None


def test_a_refusal_holds_where_the_setting_says_so_and_a_conflict_always():
    assert after(FIRST, REFUSED).hold_cause is None
    assert after(FIRST, REFUSED, on_refusal="hold").hold_cause == "refused"
    assert after(FIRST, REFUSED, conflict=True).hold_cause == "conflict"


@pytest.mark.parametrize("outcome", [ABSENT, UNKNOWN, MISCONFIGURED])
def test_what_failed_alone_too_often_is_held_for(outcome):
    alone = replace(DOUBTFUL, lone_failures=TRIES)
    result = after(alone, outcome, asked=outcome, sent=False)
    assert (result.hold_cause, result.pause) == ("failing", None), "nobody else is paused for it"
    assert result.absent == (outcome is ABSENT)
    assert result.hold_reason


@pytest.mark.parametrize("outcome", [ACCEPTED, PROCESSING, THROTTLED, UNAVAILABLE])
def test_other_answers_hold_nothing(outcome):
    alone = replace(DOUBTFUL, lone_failures=TRIES)
    assert after(alone, outcome, asked=outcome, sent=False, retry_after=1.0).hold_cause is None


def test_a_hold_always_has_words():
    alone = replace(DOUBTFUL, lone_failures=TRIES)
    assert after(alone, ABSENT, ABSENT, False).hold_reason == "HTTP 500"
    assert after(replace(alone, last_error=None), ABSENT, ABSENT, False, message="").hold_reason == "absent"


def test_who_asks_does_not_hold():
    assert after(replace(DOUBTFUL, lone_failures=TRIES, only_ask=True), UNKNOWN, UNKNOWN, False).hold_cause is None


def test_what_fails_alone_says_nothing_about_the_ofd():
    assert fails_alone(replace(DOUBTFUL, lone_failures=1), Answer(UNKNOWN))
    assert not fails_alone(DOUBTFUL, Answer(UNKNOWN))
    assert not fails_alone(replace(DOUBTFUL, lone_failures=1), Answer(UNAVAILABLE))


def test_who_is_asked_for_and_what_is_sent():
    assert not must_ask(FIRST, TRIES) and may_send(FIRST, TRIES)
    assert must_ask(DOUBTFUL, TRIES) and may_send(DOUBTFUL, TRIES)
    elsewhere = replace(DOUBTFUL, elsewhere=True)
    assert must_ask(elsewhere, TRIES) and not may_send(elsewhere, TRIES), "it is only settled there"
    alone = replace(DOUBTFUL, lone_failures=TRIES)
    assert must_ask(alone, TRIES) and not may_send(alone, TRIES)
    curious = replace(FIRST, only_ask=True)
    assert must_ask(curious, TRIES) and not may_send(curious, TRIES)


def test_where_questions_always_fail_the_same_bytes_are_sent_under_the_same_key():
    claim = DOUBTFUL
    for count in range(1, int(TRIES) + 1):
        assert must_ask(claim, TRIES)
        result = after(claim, UNKNOWN, asked=UNKNOWN, sent=False)
        assert (result.failed_lookups, result.failed) == (count, 1)
        claim = replace(claim, failed_lookups=result.failed_lookups)
    assert not must_ask(claim, TRIES)
    assert after(claim, UNKNOWN).failed_lookups == 0, "then it is asked for again"


@pytest.mark.parametrize("told", [ABSENT, PROCESSING, ACCEPTED])
def test_a_question_that_is_answered_ends_the_count(told):
    assert after(replace(DOUBTFUL, failed_lookups=3), told, asked=told, sent=False).failed_lookups == 0


def test_what_is_nowhere_is_forgotten_where_it_was_sent():
    elsewhere = replace(DOUBTFUL, elsewhere=True)
    assert after(elsewhere, ABSENT, asked=ABSENT, sent=False).forget
    assert not after(elsewhere, UNKNOWN, asked=UNKNOWN, sent=False).forget
    assert not after(DOUBTFUL, ABSENT, asked=ABSENT, sent=False).forget


def test_only_answers_to_this_document_may_be_its_own_failure():
    assert after(FIRST, MISCONFIGURED).may_be_own, "a firewall's verdict on its words"
    assert not after(FIRST, UNKNOWN).may_be_own, "the first try: the network, mostly"
    assert after(DOUBTFUL, UNKNOWN).may_be_own
    assert not after(DOUBTFUL, UNAVAILABLE).may_be_own


def test_the_last_error_outlives_a_question():
    assert after(DOUBTFUL, ABSENT, asked=ABSENT, sent=False).error == "HTTP 500"
    assert after(DOUBTFUL, UNKNOWN).error == "words"
    assert after(DOUBTFUL, ACCEPTED).error is None

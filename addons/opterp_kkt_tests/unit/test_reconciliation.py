# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A session's payments beside what the documents of a shift state: nothing is hidden."""

from hypothesis import given
from hypothesis import strategies as st
from opterp_kkt.core.reconciliation import Order, reconcile, stated
from opterp_kkt.core.rules import PAYMENT_FORMS

CASH, CARD, VISA, ACCOUNT = 1, 2, 3, 4
FORMS = {CASH: "cash", CARD: "ecash", ACCOUNT: "credit"}


def document(operation, **paid):
    return {"operationType": operation, **{PAYMENT_FORMS[form]: kopecks for form, kopecks in paid.items()}}


def order(paid, *documents, in_session=True):
    return Order(paid, in_session, stated(documents) if documents else {})


def rows(orders, forms=FORMS):
    return {place: (row.session, row.shift, row.differences) for place, row in reconcile(orders, forms).items()}


def test_money_comes_in_and_goes_out():
    documents = [document(1, cash=500), document(2, cash=200, ecash=7), document(3, cash=30), document(4, cash=4)]
    assert stated(documents) == {"cash": 500 - 200 - 30 + 4, "ecash": -7, "prepaid": 0, "credit": 0, "provision": 0}


def test_a_day_without_differences():
    day = {
        "A": order({CASH: 500}, document(1, cash=500)),
        "B": order({CASH: 100, CARD: 200}, document(1, cash=100, ecash=200)),
        "C": order({CASH: -50}, document(2, cash=50)),
    }
    assert rows(day) == {CASH: (550, 550, {}), CARD: (200, 200, {}), ACCOUNT: (0, 0, {})}


def test_two_methods_of_one_form_are_told_apart():
    forms = {CASH: "cash", CARD: "ecash", VISA: "ecash"}
    day = {"A": order({CARD: 100, VISA: 30}, document(1, ecash=130)), "B": order({VISA: 7}, document(1, ecash=7))}
    assert rows(day, forms) == {CASH: (0, 0, {}), CARD: (100, 100, {}), VISA: (37, 37, {})}


def test_what_has_no_document_is_a_difference():
    assert rows({"A": order({CASH: 500})})[CASH] == (500, 0, {"A": -500})


def test_what_belongs_to_another_session_is_a_difference():
    assert rows({"A": order({CARD: 500}, document(1, ecash=500), in_session=False)})[CARD] == (0, 500, {"A": 500})


def test_differences_that_make_up_for_one_another_are_listed():
    day = {"A": order({CASH: 500}), "B": order({CASH: 500}, document(1, cash=500), in_session=False)}
    assert rows(day)[CASH] == (500, 500, {"A": -500, "B": 500})


def test_an_exchange_nets_and_a_half_of_it_does_not():
    both = [document(1, cash=700), document(2, cash=200)]
    assert rows({"A": order({CASH: 500}, *both)})[CASH] == (500, 500, {})
    assert rows({"A": order({CASH: 500}, both[0])})[CASH] == (500, 700, {"A": 200})


def test_an_advance_that_was_set_off_has_no_method():
    day = {"A": order({CASH: 300}, document(1, cash=300, prepaid=200))}
    assert rows(day)["prepaid"] == (0, 200, {"A": 200})
    assert rows(day)[CASH] == (300, 300, {})


def test_a_correction_without_an_order():
    day = {"FD 7": order({}, document(1, cash=300, ecash=50))}
    assert rows(day)[CASH] == (0, 300, {"FD 7": 300})
    assert rows(day, {**FORMS, VISA: "ecash"})["ecash"] == (0, 50, {"FD 7": 50}), "of two methods nobody knows which"


def test_a_method_without_a_form_is_not_stated():
    assert rows({"A": order({VISA: 500})}, {**FORMS, VISA: False})[VISA] == (500, 0, {"A": -500})


AMOUNTS = st.integers(-(10**6), 10**6)
PAID = st.dictionaries(st.sampled_from([CASH, CARD, VISA, ACCOUNT]), AMOUNTS, max_size=4)
STATED = st.just({}) | st.fixed_dictionaries({form: AMOUNTS for form in PAYMENT_FORMS})
ORDERS = st.dictionaries(st.text("ABC", min_size=1, max_size=3), st.builds(Order, PAID, st.booleans(), STATED), max_size=6)


@given(ORDERS)
def test_every_kopeck_stands_somewhere(orders):
    forms = {**FORMS, VISA: "ecash"}
    found = reconcile(orders, forms)
    assert sum(row.session for row in found.values()) == sum(sum(o.paid.values()) for o in orders.values() if o.in_session)
    for form in PAYMENT_FORMS:
        places = [form, *(method for method, its in forms.items() if its == form)]
        counted = sum(found[place].shift for place in places if place in found)
        assert counted == sum(o.stated.get(form, 0) for o in orders.values())
    for row in found.values():
        assert sum(row.differences.values()) == row.difference

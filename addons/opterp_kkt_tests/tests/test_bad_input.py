import json
import os
import traceback
from contextlib import closing, contextmanager
from copy import deepcopy
from unittest.mock import patch
from uuid import uuid4

from hypothesis import HealthCheck, Phase, event, example, given, settings
from hypothesis import strategies as st

from odoo.exceptions import UserError
from odoo.tests import HttpCase, tagged
from odoo.tools import mute_logger

from odoo.addons.opterp_kkt.models.pos_order import PosOrder
from odoo.addons.opterp_kkt.transports import MESSAGE_LENGTH, Answer, Outcome

from .common import KktSaleCommon
from .delivering import DeliveryCommon, Receiver

EXAMPLES = 500 if os.environ.get('SLOW') else 10 if os.environ.get('SHORT') else 30
FUZZ = settings(  # without shrinking: a case takes a tenth of a second, and is small
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=set(Phase) - {Phase.shrink, Phase.explain},
)
OUR_CODE = f'{os.sep}opterp_kkt{os.sep}'
VERDICTS = {Outcome.ACCEPTED: 'delivered', Outcome.REFUSED: 'rejected'}
PAID = ('paid', 'done', 'invoiced')
LOGGERS = (
    'odoo.sql_db',
    'odoo.http',
    'odoo.addons.opterp_kkt.models.kkt_receipt',
    'odoo.addons.point_of_sale.models.pos_order',
    'odoo.tools.translate',
    'odoo.models',
    'odoo.fields',
    'odoo.addons.rpc.controllers.xmlrpc',
    'werkzeug',
)

# -- what may stand where something else is expected ---------------------------------------------------------------------------

ABSENT = object()
deep = []
for _depth in range(60):
    deep = [deep]
numbers = (
    st.sampled_from(
        [
            0,
            1,
            -1,
            2,
            1.5,
            0.001,
            0.0001,
            0.005,
            -0.0,
            849.9,
            -849.9,
            2**31,
            2**53 + 1,
            2**63,
            10**30,
            -(10**30),
            5e-324,
            1e12,
            1e14,
            9.3e16,
            1e19,
            1e300,
            1.7e308,
            float('nan'),
            float('inf'),
            float('-inf'),
        ]
    )
    | st.integers(-100, 100)
    | st.floats()
)
nasty = numbers | st.text() | st.booleans() | st.sampled_from([
    ABSENT, None, '', 'x', 'paid', 'draft', 'cancel', 'done', '1', '-1', 'NaN', '1e999', "nul \x00",
    "half a pair \ud800", "\u202e\u2028", "%s %(x)s {0}",
    "<script>alert(1)</script>", "'; DROP TABLE pos_order; --", '2026-13-99 25:61:61', '0001-01-01',
    'x' * 100_000, "я" * 300,
    [], [[]], [1], [None], [[6, 0, [1]]], [[0, 0, {}]], [[0, 0, None]], [[2, 1]], [[4, 999_999_999]], [[5]], [[99, 0, 0]], deep,
    {}, {'a': 1}, {1: 2}, {'': None}, {"nul \x00": "nul \x00"},
])  # fmt: skip
ORDER = [
    'amount_paid', 'amount_return', 'amount_tax', 'amount_total', 'date_order', 'fiscal_position_id', 'pricelist_id',
    'name', 'lines', 'last_order_preparation_change', 'partner_id', 'session_id', 'payment_ids', 'uuid', 'user_id',
    'to_invoice', 'state', 'access_token', 'company_id', 'config_id', 'currency_id', 'source', 'pos_reference',
    'sequence_number', 'tracking_number', 'is_refund', 'id', 'relations_uuid_mapping', 'general_customer_note',
    'internal_note', 'shipping_date', 'nb_print', 'unheard_of', 'create_date', 'amount_difference', 'email', 'mobile',
    'has_deleted_line', 'is_tipped', 'tip_amount', 'to_invoice', 'refunded_order_id', 'kkt_hlc', 'kkt_state', 'kkt_qr',
    'kkt_documents', 'kkt_receipt_ids',
]  # fmt: skip
LINE = [
    'id', 'price_unit', 'product_id', 'price_subtotal', 'price_subtotal_incl', 'qty', 'tax_ids', 'discount',
    'full_product_name', 'uuid', 'refunded_orderline_id', 'combo_parent_id', 'combo_line_ids', 'order_id',
    'customer_note', 'pack_lot_ids', 'name', 'company_id', 'attribute_value_ids', 'price_extra', 'skip_change',
    'unheard_of', 'tax_ids_after_fiscal_position',
]  # fmt: skip
PAYMENT = [
    'amount', 'name', 'payment_method_id', 'payment_date', 'is_change', 'uuid', 'id', 'transaction_id', 'session_id',
    'unheard_of',
]  # fmt: skip
STAMP = ['local_time', 'logical_counter', 'node', 'more']
STAMPED = {'local_time': 1_700_000_000_000, 'logical_counter': 0, 'node': 'till-1'}
places = st.one_of(
    st.tuples(st.just('order'), st.sampled_from(ORDER)),
    st.tuples(st.just('line'), st.sampled_from(LINE)),
    st.tuples(st.just('payment'), st.sampled_from(PAYMENT)),
    st.tuples(st.just('stamp'), st.sampled_from(STAMP)),
    st.tuples(st.sampled_from(['lines', 'payment_ids']), st.integers(0, 2)),  # a part of the command
)
changes = st.lists(st.tuples(places, nasty), min_size=1, max_size=3)
# Absurd by value, but what is paid is what is owed: Odoo alone stores it.
baskets = st.lists(st.tuples(st.sampled_from(['frame', 'solution']), numbers, numbers), min_size=1, max_size=3)

printable = st.text(st.characters(exclude_categories=['Cc', 'Cf', 'Cs', 'Co', 'Cn', 'Zl', 'Zp', 'Zs']), max_size=200)
answers = st.builds(
    Answer,
    outcome=st.sampled_from([outcome for outcome in Outcome if outcome is not Outcome.ABSENT]),
    http_status=st.none() | st.integers(100, 999),
    message=printable | st.just('я' * MESSAGE_LENGTH),
    server_time=st.none() | st.integers(1, 2**48 - 1),
    ofd_id=printable,
    retry_after=st.floats(1, 900),
    conflict=st.booleans(),
    duration=st.floats(0, 1e6),
)


@contextmanager
def core_alone():
    """Odoo without this addon's part in a sale."""
    own = {name: vars(PosOrder)[name] for name in ('sync_from_ui', '_process_order', 'action_pos_order_paid', 'write')}
    for name in own:
        delattr(PosOrder, name)
    try:
        yield
    finally:
        for name, method in own.items():
            setattr(PosOrder, name, method)


def without_ours(ui_order):
    if not isinstance(ui_order, dict):
        return ui_order
    return {name: value for name, value in ui_order.items() if not str(name).startswith('kkt_')}


def change(ui_order, place, value):
    """Put something nasty into an order, or take something away from it."""
    owner, key = place
    if owner == 'order':
        target = ui_order
    elif owner == 'stamp':
        target = ui_order.get('kkt_hlc')
    elif owner in ('lines', 'payment_ids'):
        commands = ui_order.get(owner)
        target = commands[0] if type(commands) is list and commands else None
    else:
        commands = ui_order.get({'line': 'lines', 'payment': 'payment_ids'}[owner])
        command = commands[0] if type(commands) is list and commands else None
        target = command[2] if type(command) is list and len(command) > 2 else None
    if type(target) is dict and value is ABSENT:
        target.pop(key, None)
    elif type(target) is dict or type(target) is list and key in range(len(target)) and value is not ABSENT:
        target[key] = deepcopy(value)


class BadInputCommon(KktSaleCommon):
    """Sends orders as a cashier's till does, and knows what a register owes afterwards."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cashier = cls._create_user('cashier', 'base.group_user,point_of_sale.group_pos_user', password='cashier-at-the-till')

    def setUp(self):
        super().setUp()
        self.good = json.loads(json.dumps(self._get_ui_order([(self.frame, 1), (self.solution, 2)]), default=str))

    def _get_good(self, **values):
        return {**deepcopy(self.good), 'uuid': str(uuid4()), 'access_token': str(uuid4()), 'name': "Order", **deepcopy(values)}

    def _assert_receipts(self, order):
        """A paid order has its receipts: ready to be sent, or rejected with the reason."""
        register = self.env['kkt.register'].search([('pos_config_id', '=', order.config_id.id)])
        if order.state not in PAID or not register:
            self.assertFalse(order.kkt_receipt_ids)
            return
        self.assertTrue(order.kkt_receipt_ids, "a paid order has its receipt")
        for receipt in order.kkt_receipt_ids:
            if receipt.state == 'rejected':
                self.assertTrue(receipt.last_error)
                self.assertLess(len(receipt.last_error), 1000)
                self.assertFalse(receipt.fd_number or receipt.payload)
            else:
                self._assert_deliverable(receipt)

    def _assert_deliverable(self, receipt):
        self.assertEqual(receipt.state, 'pending')
        payload = json.loads(receipt.payload.encode(), parse_constant=self.fail)
        document = payload['document']
        sums = [document[name] for name in document if name.endswith('Sum')]
        sums += [item[name] for item in document['items'] for name in ('price', 'sum')]
        self.assertEqual({type(kopecks) for kopecks in sums}, {int})
        self.assertTrue(all(0 <= kopecks < 2**48 for kopecks in sums), sums)
        self.assertEqual(sum(item['sum'] for item in document['items']), document['totalSum'])


@tagged('post_install', '-at_install')
class TestBadInput(BadInputCommon, DeliveryCommon):
    """Whatever a till or a script sends: it is refused as Odoo alone refuses it, or stored with its receipt.

    After each case the next sale through the same register gets its receipt and the next FD number, and all are delivered.
    `SLOW=1` (`make proofs`) tries 500 instead of 30 of each kind, `SHORT=1` (`make test`) 10.
    """

    def _check(self, ui_order, user=None):
        with closing(self.env.cr.savepoint()), mute_logger(*LOGGERS):  # each case is undone
            self.receiver = Receiver()
            error = self._send(ui_order, user)
            if error:
                self._assert_refused_by_core(ui_order, user, error)
            orders = self.env['pos.order'].search([('company_id', '=', self.company.id)])  # a draft may be paid now
            for order in orders:
                self._assert_receipts(order)
            states = ", ".join(sorted(set(orders.kkt_receipt_ids.mapped('state'))))
            self._assert_register_goes_on()
            return f"refused: {type(error).__name__}" if error else f"stored, receipts: {states}"

    def _send(self, ui_order, user=None):
        return self._send_all([deepcopy(ui_order)], user)

    def _send_all(self, orders, user=None):
        """What the till gets to see: nothing, or an error."""
        try:
            with self.env.cr.savepoint():
                self.env['pos.order'].with_user(user or self.cashier).sync_from_ui(orders)
        except Exception as error:
            return error

    def _assert_refused_by_core(self, ui_order, user, error):
        """Odoo alone refuses the order, too; and unless the error is meant for people, it is not our code's."""
        with core_alone(), closing(self.env.cr.savepoint()):
            alone = self._send(without_ours(ui_order), user)
        trace = traceback.extract_tb(error.__traceback__)
        self.assertTrue(alone, f"Odoo alone stores this: {''.join(traceback.format_exception(error))}")
        self.assertTrue(isinstance(error, UserError) or OUR_CODE not in trace[-1].filename, trace[-1])

    def _send_good(self):
        ui_order = self._get_good()
        self.assertIsNone(self._send(ui_order))
        return self.env['pos.order'].search([('uuid', '=', ui_order['uuid'])]).kkt_receipt_ids

    def _assert_register_goes_on(self):
        receipt = self._send_good()
        receipts = self.env['kkt.receipt'].search([('register_id', '=', self.register.id), ('fd_number', '>', 0)])
        self.assertEqual(sorted(receipts.mapped('fd_number')), list(range(1, len(receipts) + 1)))
        self.assertRecordValues(receipt, [{'state': 'pending', 'fd_number': len(receipts)}])
        self._deliver(count=len(receipts))
        self.assertEqual(set(receipts.mapped('state')), {'delivered'})
        sent = [key for key, _payload in self.receiver.sent]
        opening, *others = receipts.sorted('fd_number').mapped('idempotency_key')  # delivered before
        self.assertEqual(sent, others)
        self.assertNotIn(opening, sent)

    def test_what_is_no_order(self):
        for ui_order in (None, 7, 'x', [], {}, {'session_id': 10**4000}, {'session_id': True}, {'session_id': None}):
            with self.subTest(ui_order=repr(ui_order)[:50]):
                self._check(ui_order)

    def test_document_that_fails_in_an_unforeseen_way(self):
        """Nothing that a till sends was found to do this, so another addon's mistake about payments stands in for it."""
        methods = self.env.registry['pos.payment.method']
        with mute_logger(*LOGGERS), patch.object(methods, '_kkt_get_form', side_effect=KeyError('bonus')):
            receipt = self._send_good()
        self.assertRecordValues(receipt, [{'state': 'rejected', 'payload': False}])
        self.assertIn("KeyError", receipt.last_error)
        self._assert_register_goes_on()

    def test_what_is_no_list_of_orders(self):
        for orders in (None, 7, 'x', {'session_id': 1}):
            with self.subTest(orders=orders):
                error = self._send_all(orders)
                self.assertNotIn(OUR_CODE, traceback.extract_tb(error.__traceback__)[-1].filename)

    def test_ten_megabytes(self):
        for place in (
            ('order', 'kkt_hlc'),
            ('stamp', 'node'),
            ('line', 'full_product_name'),
            ('line', 'customer_note'),
            ('order', 'general_customer_note'),
            ('payment', 'transaction_id'),
            ('order', 'unheard_of'),
        ):
            with self.subTest(place=place):
                ui_order = self._get_good(kkt_hlc=STAMPED)
                change(ui_order, place, "я" * 5_000_000)
                self._check(ui_order)

    def test_links_to_what_belongs_to_others(self):
        fiscal = self._sell([(self.frame, 1)])
        second, _register = self._create_second_shop()
        other_company = self._create_company(name="Other")
        for links in (
            {'company_id': other_company.id},
            {'config_id': second.id},
            {'config_id': False},
            {'session_id': False, 'config_id': second.id, 'company_id': self.company.id, 'pos_reference': "X"},
            {'session_id': False, 'company_id': self.company.id, 'pos_reference': "X", 'sequence_number': 7},
            {'lines': [[4, fiscal.lines.id]]},
            {'lines': [[6, 0, fiscal.lines.ids]]},
            {'payment_ids': [[4, fiscal.payment_ids.id]]},
            {'uuid': fiscal.uuid},
            {'kkt_receipt_ids': [[6, 0, fiscal.kkt_receipt_ids.ids]]},
        ):
            with self.subTest(links=links):
                self._check(self._get_good(**links), user=self.env.user)

    @given(changed=changes, draft=st.booleans())
    @example([(('line', 'price_subtotal_incl'), 1e300)], True)  # Odoo alone doesn't look at it
    @example([(('order', 'kkt_hlc'), "half a pair \ud800")], False)
    @example([(('stamp', 'node'), "nul \x00")], True)
    @example([(('payment_ids', 2), [[4, 999999999]]), (('payment', 'name'), "a list has no names")], False)
    @FUZZ
    def test_wrong_types_and_missing_keys(self, changed, draft):
        ui_order = self._get_good(kkt_hlc=STAMPED)
        with closing(self.env.cr.savepoint()):
            if draft:
                self.assertIsNone(self._send({**ui_order, 'state': 'draft', 'payment_ids': [], 'amount_paid': 0}))
                ui_order['lines'] = []
            for place, value in changed:
                change(ui_order, place, value)
            event(self._check(ui_order))

    @given(basket=baskets, share=st.none() | numbers)
    @example([('frame', 1, 9.3e16)], None)  # its kopecks fit into no bigint
    @example([('frame', 1e18, 1e-5)], None)
    @example([('frame', 1, 1e19), ('solution', -1, 1e19)], None)
    @FUZZ
    def test_absurd_amounts_that_add_up(self, basket, share):
        event(self._check(self._get_absurd(basket, share)))

    def _get_absurd(self, basket, share):
        lines, total = [], 0.0
        for name, quantity, price in basket:
            product, subtotal = getattr(self, name), float(quantity) * float(price)
            total += subtotal
            lines.append(
                [
                    0,
                    0,
                    {
                        'product_id': product.id,
                        'qty': quantity,
                        'price_unit': price,
                        'price_subtotal': subtotal,
                        'price_subtotal_incl': subtotal,
                        'tax_ids': [[6, 0, product.taxes_id.ids]],
                        'discount': 0,
                        'pack_lot_ids': [],
                    },
                ]
            )
        amounts = [(self.cash_pm1, total)] if share is None else [(self.cash_pm1, total - share), (self.bank_pm1, share)]
        payments = [[0, 0, {'amount': amount, 'payment_method_id': method.id}] for method, amount in amounts]
        return self._get_good(
            lines=lines, payment_ids=payments, amount_total=total, amount_paid=total, amount_tax=0, amount_return=0
        )

    @given(answer=answers)
    @FUZZ
    def test_any_answer_of_an_ofd_is_recorded(self, answer):
        with closing(self.env.cr.savepoint()), mute_logger(*LOGGERS):
            self.receiver = Receiver()
            receipt = self._send_good()
            self.receiver.verdicts[receipt.idempotency_key] = answer
            self._deliver()
            self.assertEqual(receipt.state, VERDICTS.get(answer.outcome, 'pending'))
            self.assertEqual(receipt.last_error or "", answer.message if receipt.state != 'delivered' else "")
            self.receiver.verdicts.clear()
            self.register.ofd_id.sudo().write({'paused_until': False})
            self.register.delivery_ids.sudo()._release()
            following = self._send_good()
            self._deliver(count=2)
            self.assertRecordValues(following, [{'state': 'delivered', 'fd_number': receipt.fd_number + 1}])
            event(answer.outcome)


@tagged('post_install', '-at_install')
class TestBadInputOverRpc(BadInputCommon, HttpCase):
    """The same over the wire, where JSON and XML are read: numbers without end, halves of characters, what is no JSON."""

    VALUES = [  # as they stand in the request
        'NaN', '-Infinity', '1e999', '1e300', '-0', '9' * 4000, '9' * 5000, 'null', 'true', '{}', '[[]]', '{"a": 1, "a": 2}',
        '"nul \\u0000"', '"half a pair \\ud800"', '"\\udfff\\ud800"', '"\\u202e\\u2028"', '[' * 900 + ']' * 900, '\'', '"',
        '"' + 'x' * 1_000_000 + '"', "\xff\x00",
    ]  # fmt: skip
    KEYS = ['amount_paid', 'uuid', 'session_id', 'name', 'kkt_documents', 'state', 'lines']

    def setUp(self):
        super().setUp()
        self.authenticate('cashier', 'cashier-at-the-till')

    def _send(self, ui_order, raw=None):
        """The answer to a request; `raw` takes the place of the mark in its JSON text."""
        params = {'model': 'pos.order', 'method': 'sync_from_ui', 'args': [[ui_order]], 'kwargs': {}}
        text = json.dumps({'jsonrpc': '2.0', 'method': 'call', 'params': params})
        self.env.flush_all()
        answer = self.url_open(
            '/web/dataset/call_kw/pos.order/sync_from_ui',
            data=text.replace('"MARK"', raw or "").encode(),
            headers={'Content-Type': 'application/json'},
            timeout=600,
        )
        self.env.invalidate_all()
        return answer

    def _assert_register_goes_on(self):
        answer = self._send(self._get_good()).json()
        [row] = answer['result']['pos.order']
        receipts = self.env['kkt.receipt'].search([('register_id', '=', self.register.id), ('fd_number', '>', 0)])
        self.assertEqual(row['kkt_state'], 'pending')
        self.assertEqual(row['kkt_documents'][0]['fd_number'], len(receipts))
        self.assertEqual(sorted(receipts.mapped('fd_number')), list(range(1, len(receipts) + 1)))

    @mute_logger(*LOGGERS)
    def test_json(self):
        for number, raw in enumerate(self.VALUES):
            for key in ('kkt_hlc', self.KEYS[number % len(self.KEYS)]):
                with self.subTest(key=key, raw=raw[:50]):
                    self._check(self._get_good(**{key: 'MARK'}), raw)

    def _check(self, ui_order, raw):
        newest = self.env['pos.order'].search([], order='id DESC', limit=1).id or 0
        answer = self._send(ui_order, raw)
        if answer.status_code == 200 and (error := answer.json().get('error')):
            self.assertNotIn(OUR_CODE, [line for line in error['data']['debug'].splitlines() if line.startswith('  File')][-1])
        elif answer.status_code not in (200, 400):  # an answer that Odoo itself can't encode
            with core_alone():
                self.assertEqual(self._send(without_ours(ui_order), raw).status_code, answer.status_code)
        for order in self.env['pos.order'].search([('id', '>', newest)]):
            self._assert_receipts(order)
        self._assert_register_goes_on()

    @mute_logger(*LOGGERS)
    def test_xml(self):
        """XML-RPC knows no integers above 2³¹; scripts that sell and read orders by it see ours, too."""
        stamped = self._sync(self._get_good(kkt_hlc=STAMPED))
        arguments = self.env.cr.dbname, self.cashier.id, 'cashier-at-the-till', 'pos.order'
        self.env.flush_all()
        [row] = self.xmlrpc_object.execute(*arguments, 'read', stamped.ids)
        self.assertEqual(row['kkt_hlc'], STAMPED)
        self.assertEqual(row['kkt_documents'][0]['hlc']['local_time'], stamped.kkt_receipt_ids.hlc_local_time)
        [sold] = self.xmlrpc_object.execute(*arguments, 'sync_from_ui', [self._get_good()])['pos.order']
        self.assertEqual(sold['kkt_documents'][0]['fd_number'], 3)

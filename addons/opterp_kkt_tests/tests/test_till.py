import json
from unittest.mock import patch

from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged
from odoo.tools import mute_logger

from .common import KktSaleCommon
from .delivering import FAILED, REFUSED, DeliveryCommon


class TillCommon(KktSaleCommon):
    def setUp(self):
        super().setUp()
        self._deliver_reports()
        self.cashier = self._create_user('cashier', 'base.group_user,point_of_sale.group_pos_user')

    def _ask(self, shown=(), user=None):
        self.env.invalidate_all()
        return self.register.with_user(user or self.cashier).get_till_report(shown)

    def _take_messages(self):
        """What was put on the bus since the last look: name and payload, of this point of sale's channel."""
        self.env.cr.precommit.run()
        token = self.register.pos_config_id.access_token
        messages = self.env['bus.bus'].sudo().search([('channel', 'like', token)])
        found = [json.loads(message) for message in messages.mapped('message')]
        messages.unlink()
        return [(each['type'].removeprefix(f'{token}-'), each['payload']) for each in found if 'KKT' in each['type']]


@tagged('post_install', '-at_install')
class TestTillReport(TillCommon, DeliveryCommon):
    """What a till asks for when it heard that something changed."""

    def test_only_what_changed_is_answered(self):
        order = self._sell([(self.frame, 1)])
        numbers = [order.kkt_receipt_ids.fd_number]
        shown = [[order.id, 'pending', numbers]]
        self.assertEqual(self._ask(shown)['orders'], [])
        self._deliver()
        [row] = self._ask(shown)['orders']
        self.assertEqual((row['id'], row['kkt_state']), (order.id, 'delivered'))
        self.assertEqual(row['kkt_documents'][0]['fd_number'], numbers[0])
        self.assertEqual(self._ask([[order.id, 'delivered', numbers]])['orders'], [])

    def test_a_number_that_came_later_is_answered(self):
        order = self._sell([(self.frame, 1)])
        self.assertEqual(len(self._ask([[order.id, 'pending', []]])['orders']), 1)

    def test_nothing_of_another_point_of_sale(self):
        config, _register = self._create_second_shop()
        order = self._sell([(self.frame, 1)])
        self.env.cr.execute("UPDATE pos_order SET config_id = %s WHERE id = %s", [config.id, order.id])
        self.assertEqual(self._ask([[order.id, 'delivered', []]])['orders'], [])

    def test_what_a_browser_sends_is_untrusted(self):
        order = self._sell([(self.frame, 1)])
        for nonsense in (None, 7, {}, 'x', [7], [[]], [['x', 1, 2]], [[True, 1, 2]], [[2**40, 1, 2]], [[-1, 1, 2]], [[1, 2]]):
            self.assertEqual(self._ask(nonsense)['orders'], [], nonsense)
        self.assertEqual(len(self._ask([[order.id, {'a': []}, None]])['orders']), 1)

    def test_the_rates_of_today(self):
        self.assertEqual(
            self._ask()['rates'], self.env['account.tax']._kkt_get_usable_rates(self.register._get_day()), "what taxes may state"
        )
        self.assertIn('6', self._ask()['rates'])

    def test_only_who_may_read_the_register_asks(self):
        with self.assertRaises(AccessError):
            self._ask(user=self._create_user('portaluser', 'base.group_portal'))

    def test_who_may_deliver(self):
        self.assertFalse(self._ask()['may_deliver'])
        manager = self._create_user('manager', 'base.group_user,point_of_sale.group_pos_manager')
        self.assertTrue(self._ask(user=manager)['may_deliver'])

    def test_a_till_opens_with_it(self):
        config = self.register.pos_config_id.with_user(self.cashier)
        [row] = config._load_pos_data_read(config, config)
        self.assertEqual(row['_kkt_report']['waiting'], 0)

    def test_a_till_without_a_register_opens_without_it(self):
        config = self.env['pos.config'].create({'name': "Without"}).with_user(self.cashier)
        self.assertNotIn('_kkt_report', config._load_pos_data_read(config, config)[0])

    def test_handled_is_no_longer_rejected(self):
        self.receiver.verdicts[self._sell_receipt().idempotency_key] = REFUSED
        self._deliver()
        receipt = self.env['kkt.receipt'].search([('register_id', '=', self.register.id)], limit=1)
        self.assertEqual(receipt.pos_order_id.kkt_state, 'rejected')
        receipt._handle("put right by hand")
        self.assertEqual(receipt.pos_order_id.kkt_state, 'handled')


@tagged('post_install', '-at_install')
class TestTillMessages(TillCommon, DeliveryCommon):
    """When open tills are told to look; the message itself says nothing."""

    def setUp(self):
        super().setUp()
        self._take_messages()
        self.message = [('KKT_CHANGED', {'register_id': self.register.id})]

    def test_the_sale_itself_tells_nobody(self):
        self._sell([(self.frame, 1)])
        self.assertEqual(self._take_messages(), [])

    def test_one_message_for_many_registers_each(self):
        _config, other = self._create_second_shop()
        (self.register + other)._tell_tills()
        self.assertEqual(self._take_messages(), self.message)

    def test_open_dashboards_hear_of_it_once(self):
        _config, other = self._create_second_shop()
        messages = self.env['bus.bus'].sudo().search([('channel', 'like', 'kkt_dashboard')])
        (self.register + other)._tell_tills()
        self.env.cr.precommit.run()
        new = self.env['bus.bus'].sudo().search([('channel', 'like', 'kkt_dashboard')]) - messages
        self.assertEqual([json.loads(message) for message in new.mapped('message')], [{'type': 'KKT_CHANGED', 'payload': {}}])

    def test_delivery_tells_of_each_register_that_changed(self):
        self._sell_receipt()
        self._deliver()
        self.assertEqual(self.worker.changes, [[self.register.id]])

    def test_delivery_tells_all_registers_of_a_breaker(self):
        _config, other = self._create_second_shop()
        other.ofd_id = self.register.ofd_id
        self.register.ofd_id.sudo().breaker_id.failure_threshold = 1
        self.receiver.verdicts[self._sell_receipt().idempotency_key] = FAILED
        self._deliver()
        self.assertEqual(self.worker.changes, [sorted([self.register.id, other.id])])

    def test_people_who_change_something_tell(self):
        receipt = self._sell_receipt()
        self.receiver.verdicts[receipt.idempotency_key] = REFUSED
        self._deliver()
        breaker = self.register.ofd_id.sudo().breaker_id
        self._take_messages()
        for name, press in {
            'retry': receipt.action_retry,
            'hold': self.register.action_hold,
            'release': self.register.action_release_hold,
            'mode': lambda: breaker.write({'mode': 'disabled'}),
            'reset': breaker.action_reset,
        }.items():
            with self.subTest(name):
                press()
                self.assertEqual(set(map(str, self._take_messages())), set(map(str, self.message)))

    def test_who_marks_as_handled_tells(self):
        receipt = self._sell_unbuildable()[1]
        self._take_messages()
        receipt._handle("put right by hand")
        self.assertTrue(self._take_messages())


@tagged('post_install', '-at_install')
class TestRefundObstacle(TillCommon, DeliveryCommon):
    """What can't be taken back is said before the money is handed out."""

    def _reject(self):
        receipt = self._sell_receipt()
        self.receiver.verdicts[receipt.idempotency_key] = REFUSED
        self._deliver()
        return receipt

    def _ask_for(self, order):
        return order.with_user(self.cashier).kkt_get_refund_obstacle()

    def _get_draft_refund(self, order):
        draft = self._get_ui_order([self._refund_line(order.lines, 1)])
        return {**draft, 'state': 'draft', 'payment_ids': [], 'amount_paid': 0}

    def test_a_rejected_sale(self):
        order = self._reject().pos_order_id
        self.assertIn("was rejected", self._ask_for(order))
        with self.assertRaisesRegex(UserError, "was rejected"):
            order.refund()
        with self.assertRaisesRegex(UserError, "was rejected"):
            self._sync(self._get_draft_refund(order))

    def test_a_rejected_sale_that_was_handled(self):
        receipt = self._reject()
        receipt._handle("put right by hand")
        self.assertFalse(self._ask_for(receipt.pos_order_id))

    def test_a_sale_that_waits(self):
        order = self._sell([(self.frame, 1)])
        self.assertFalse(self._ask_for(order), "its receipt has its number")
        self._sync(self._get_draft_refund(order))

    def test_a_sale_without_a_number_yet(self):
        order = self._sell([(self.frame, 1)])
        self._set_in_sql(order.kkt_receipt_ids, numbers_follow=True, fd_number=None, fiscal_sign=None, qr=None)
        self.assertIn("not issued the fiscal receipt", self._ask_for(order))

    def test_what_arrives_paid_is_stored(self):
        order = self._reject().pos_order_id
        refund = self._sell([self._refund_line(order.lines, 1)])
        self.assertEqual(refund.state, 'paid')
        self.assertTrue(refund.kkt_receipt_ids)

    def test_nonsense_lines_are_odoos_to_refuse(self):
        for lines in (
            None,
            [],
            [7],
            [[0, 0, 7]],
            [[0, 0, {'refunded_orderline_id': 'x'}]],
            [[0, 0, {'refunded_orderline_id': True}]],
        ):
            self.assertFalse(self.env['pos.order']._kkt_get_refunded_by({'lines': lines}))


@tagged('post_install', '-at_install')
class TestInvoiceOfArrived(KktSaleCommon):
    """What a till has sold arrives, whatever is wrong with its invoice."""

    STAMP = {'local_time': 1, 'logical_counter': 0, 'node': 'till'}

    def _sell_with_invoice(self, **values):
        failing = patch.object(type(self.env['pos.order']), '_create_invoice', side_effect=UserError("no program for it"))
        with failing, mute_logger('odoo.addons.opterp_kkt.models.pos_order_invoice'):
            return self._sell([(self.frame, 1)], customer=self.customer, to_invoice=True, **values)

    def test_it_is_stored_with_its_receipt(self):
        order = self._sell_with_invoice(kkt_hlc=self.STAMP)
        self.assertRecordValues(order, [{'state': 'paid', 'account_move': False, 'to_invoice': True}])
        self.assertEqual(order.kkt_receipt_ids.state, 'pending')
        order.action_pos_order_invoice()
        self.assertTrue(order.account_move)

    def test_without_a_stamp_odoo_decides(self):
        with self.assertRaisesRegex(UserError, "no program"):
            self._sell_with_invoice()

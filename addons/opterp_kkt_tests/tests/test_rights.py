import json
from types import SimpleNamespace
from unittest.mock import patch

from odoo.exceptions import AccessError, UserError
from odoo.tests import HttpCase, JsonRpcException, tagged
from odoo.tools import mute_logger

from .common import KktSaleCommon

TOKEN = "s3cr3t-of-the-ofd"
ACCESS_ERROR = 'odoo.exceptions.AccessError'
VALUES = {  # something that each model would take
    'kkt.register': {'name': "forged"},
    'kkt.receipt': {'state': 'delivered'},
    'kkt.receipt.attempt': {'outcome': 'accepted'},
    'kkt.delivery': {'epoch': 99},
    'kkt.ofd': {'url': 'http://127.0.0.1:1'},
    'kkt.circuit.breaker': {'mode': 'disabled'},
    'kkt.circuit.breaker.event': {'reason': 'reset'},
}


class RightsCommon(KktSaleCommon):
    """One record of every model, all of one company, and people of every kind."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cashier = cls._create_user('cashier', 'base.group_user,point_of_sale.group_pos_user')
        cls.manager = cls._create_user('manager', 'base.group_user,point_of_sale.group_pos_manager')
        cls.fiscal_admin = cls._create_user('fiscaladmin', 'base.group_user,opterp_kkt.group_fiscal_admin')
        cls.portal = cls._create_user('portaluser', 'base.group_portal')
        cls.register.ofd_id.write({'token': TOKEN, 'company_id': cls.company.id})

    def setUp(self):
        super().setUp()
        self.receipt = self._sell([(self.frame, 1)]).kkt_receipt_ids
        ofd = self.register.ofd_id
        self.records = {
            record._name: record
            for record in (
                self.register,
                self.receipt,
                self.register.delivery_ids,
                ofd,
                ofd.breaker_id,
                self.env['kkt.receipt.attempt']
                .sudo()
                .create({'receipt_id': self.receipt.id, 'happened_at': '2026-11-23 10:00:00', 'outcome': 'unavailable'}),
                self.env['kkt.circuit.breaker.event'].sudo().create({'breaker_id': ofd.breaker_id.id, 'reason': "failures"}),
            )
        }
        self.env.flush_all()


@tagged('post_install', '-at_install')
class TestRights(RightsCommon):
    """Cashiers read, managers deliver and retry, the fiscal administrator configures, nobody deletes."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        foreign = cls.env['res.company'].create({'name': "Another Shop"})
        cls.foreigner = cls._create_user('foreigner', 'base.group_user,opterp_kkt.group_fiscal_admin', company_id=foreign.id)
        cls.models = [  # all that keep records
            name
            for name, model in cls.registry.items()
            if name.startswith('kkt.') and not model._abstract and not model._transient
        ]

    def _allowed(self, user, operation):
        """The models that a user may do something with."""
        return {name for name in self.models if self.env[name].with_user(user).has_access(operation)}

    def test_users_of_the_point_of_sale_read(self):
        self.assertLessEqual(set(self.records), set(self.models))
        for user in (self.cashier, self.manager, self.fiscal_admin):
            self.assertEqual(self._allowed(user, 'read'), set(self.models))
            for record in self.records.values():
                with self.subTest(user=user.login, model=record._name):
                    self.assertTrue(record.with_user(user).read())

    def test_users_of_the_point_of_sale_change_nothing(self):
        for user in (self.cashier, self.manager):
            for operation in ('write', 'create', 'unlink'):
                self.assertFalse(self._allowed(user, operation), (user.login, operation))

    def test_fiscal_administrator_configures(self):
        self.assertEqual(self._allowed(self.fiscal_admin, 'write'), {'kkt.register', 'kkt.ofd', 'kkt.circuit.breaker'})
        self.assertEqual(self._allowed(self.fiscal_admin, 'create'), {'kkt.register', 'kkt.ofd'})

    def test_nobody_deletes(self):
        self.assertFalse(self._allowed(self.fiscal_admin, 'unlink'))

    def test_portal_and_public_see_nothing(self):
        for user in (self.portal, self.env.ref('base.public_user').sudo()):
            self.assertFalse(self._allowed(user, 'read'), user.login)
            for name in self.models:
                with self.subTest(user=user.login, model=name), self.assertRaises(AccessError):
                    self.env[name].with_user(user).search([])

    # -- another company ---------------------------------------------------------------------------------------------------

    def test_another_company_sees_nothing(self):
        for name in ('kkt.register', 'kkt.receipt', 'kkt.receipt.attempt', 'kkt.delivery', 'kkt.ofd'):
            with self.subTest(model=name):
                record = self.records[name].with_user(self.foreigner)
                self.assertFalse(record.search([('id', '=', record.id)]))
                with self.assertRaises(AccessError):
                    record.read(['display_name'])

    def test_another_company_does_not_deliver_for_us(self):
        for record, action in (
            (self.register, 'action_deliver'),
            (self.register, 'action_release_hold'),
            (self.receipt, 'action_retry'),
            (self.register.ofd_id, 'action_resume'),
            (self.register.ofd_id, 'action_test_connection'),
        ):
            with self.subTest(action=action), self.assertRaises(AccessError):
                getattr(record.with_user(self.foreigner), action)()

    def test_ofd_without_company_is_shared(self):
        self.register.ofd_id.company_id = False
        self.assertTrue(self.register.ofd_id.with_user(self.foreigner).read(['name']))

    # -- buttons -----------------------------------------------------------------------------------------------------------

    def test_cashier_presses_no_button(self):
        for record, action in (
            (self.register, 'action_deliver'),
            (self.register, 'action_deliver_now'),
            (self.register, 'action_release_hold'),
            (self.receipt, 'action_retry'),
            (self.register.ofd_id, 'action_resume'),
            (self.register.ofd_id, 'action_test_connection'),
            (self.register.ofd_id.breaker_id, 'action_reset'),
        ):
            with self.subTest(action=action), self.assertRaises(AccessError):
                getattr(record.with_user(self.cashier), action)()

    def test_manager_leaves_the_ofd_and_the_breaker_alone(self):
        ofd = self.register.ofd_id.with_user(self.manager)
        for action in (ofd.action_resume, ofd.action_test_connection, ofd.breaker_id.action_reset):
            with self.assertRaises(AccessError):
                action()

    def test_manager_delivers(self):
        result = {'delivered': 1, 'rejected': 0, 'waiting': 0, 'busy': []}
        with patch.object(self.registry['kkt.delivery'], '_deliver_now', return_value=result) as deliver:
            self.assertEqual(self.register.with_user(self.manager).action_deliver(), result)
            self.register.with_user(self.manager).action_deliver_now()
        self.assertEqual(deliver.call_count, 2)

    def test_manager_retries(self):
        order, rejected = self._sell_unbuildable()
        order.lines.tax_ids.kkt_vat_rate = '11'
        rejected.with_user(self.manager).action_retry()
        self.assertEqual(rejected.state, 'pending')

    def test_manager_releases_a_hold(self):
        self.register.delivery_ids.sudo().write({'hold_cause': 'refused', 'hold_reason': "refused"})
        self.register.invalidate_recordset()
        self.register.with_user(self.manager).action_release_hold()
        self.assertFalse(self.register.hold_reason)

    # -- the till ----------------------------------------------------------------------------------------------------------

    def test_cashier_sells(self):
        order = self._sync(self._get_ui_order([(self.frame, 1)]), self.cashier)
        self.assertRecordValues(order.kkt_receipt_ids, [{'state': 'pending', 'fd_number': 3}])
        self.assertEqual(self._get_document(order.kkt_receipt_ids)['operator'], self.env.user.name)

    def test_forged_fields_of_an_order_change_nothing(self):
        before = self.receipt.read()
        forged = {
            'kkt_state': 'delivered',
            'kkt_qr': "forged",
            'kkt_documents': [{'qr': "forged"}],
            'kkt_receipt_ids': [
                (0, 0, {'register_id': self.register.id, 'state': 'delivered', 'operation_type': '1', 'fd_number': 77}),
                (1, self.receipt.id, {'state': 'delivered'}),
                (3, self.receipt.id),
                (4, self.receipt.id),
                (5,),
            ],
        }
        ui_order = {**self._get_ui_order([(self.frame, 1)]), **forged}
        draft = self._sync({**ui_order, 'state': 'draft', 'payment_ids': [], 'amount_paid': 0}, self.cashier)
        self.assertFalse(draft.kkt_receipt_ids)
        paid = self._sync({**ui_order, 'access_token': draft.access_token, 'lines': []}, self.cashier)
        self.assertRecordValues(paid.kkt_receipt_ids, [{'state': 'pending', 'fd_number': 3, 'operation_type': '1'}])
        self.assertRecordValues(paid, [{'kkt_state': 'pending', 'kkt_qr': paid.kkt_receipt_ids.qr}])
        self.assertNotIn("forged", str(paid.kkt_documents))
        self.assertEqual(self.receipt.read(), before)

    def test_receipts_are_not_written_through_the_order(self):
        order = self.receipt.pos_order_id.with_user(self.cashier)
        for command in (
            (0, 0, {'register_id': self.register.id, 'operation_type': '2'}),
            (1, self.receipt.id, {'last_error': "forged"}),
            (2, self.receipt.id),
            (3, self.receipt.id),
            (5,),
        ):
            with self.subTest(command=command), self.assertRaises(UserError):
                order.write({'kkt_receipt_ids': [command]})

    def test_no_credential_reaches_the_browser(self):
        session = self.pos_session.with_user(self.cashier)
        loaded = session.load_data([])
        self.assertIn(self.basic_config.name, str(loaded))
        self.assertEqual([model for model in loaded if model.startswith('kkt.')], [])
        for text in (str(loaded), str(session.load_data_params())):
            self.assertNotIn(TOKEN, text)
            self.assertNotIn('credentials', text)

    def test_no_credential_in_the_answer_to_a_sale(self):
        answer = self.env['pos.order'].with_user(self.cashier).sync_from_ui([self._get_ui_order([(self.frame, 1)])])
        [row] = answer['pos.order']
        self.assertEqual(row['kkt_state'], 'pending')
        self.assertNotIn(TOKEN, str(answer))
        self.assertNotIn(self.register.ofd_id.url, str(answer))


@tagged('post_install', '-at_install')
class TestRightsRpc(RightsCommon, HttpCase):
    """The same, as a browser would try it."""

    def _call(self, record, method, *args, **kwargs):
        ids = [record.ids] if record else []  # none: a method of the model
        return self.make_jsonrpc_request(
            '/web/dataset/call_kw', {'model': record._name, 'method': method, 'args': [*ids, *args], 'kwargs': kwargs}
        )

    def _assert_denied(self, record, method, *args):
        with (
            self.subTest(model=record._name, method=method, args=args),
            mute_logger('odoo.http'),
            self.assertRaises(JsonRpcException) as refusal,
        ):
            self._call(record, method, *args)
        self.assertEqual(str(refusal.exception), ACCESS_ERROR)

    def _login(self, user):
        self.authenticate(user.login, user.login + 'x' * (8 - len(user.login)))

    def test_cashier_reads_only(self):
        self._login(self.cashier)
        for name, record in self.records.items():
            self.assertTrue(self._call(record, 'read'))
            self._assert_denied(record, 'write', VALUES[name])
            self._assert_denied(record.browse(), 'create', VALUES[name])
            self._assert_denied(record, 'unlink')

    def test_cashier_calls_nothing(self):
        self._login(self.cashier)
        ofd = self.register.ofd_id
        for record, methods in (
            (self.register, ('action_deliver', 'action_release_hold', '_take_place', '_take_numbers', '_take_sale_lock')),
            (self.receipt, ('action_retry', '_issue', '_get_new_key')),
            (self.receipt.pos_order_id, ('_kkt_fiscalize', '_kkt_get_references', '_kkt_get_body')),
            (self.register.delivery_ids, ('_wake', '_cron_deliver', '_deliver_now', '_claim')),
            (ofd, ('action_resume', 'action_test_connection', '_get_endpoint')),
            (ofd.breaker_id, ('action_reset', '_reset', '_report')),
        ):
            for method in methods:
                self._assert_denied(record, method)

    def test_fiscal_administrator_writes_no_counter_and_no_state(self):
        self._login(self.fiscal_admin)
        self._assert_denied(self.register, 'write', {'last_fd_number': 99})
        self._assert_denied(self.register, 'write', {'hlc_local_time': 99})
        self._assert_denied(self.register.ofd_id.breaker_id, 'write', {'state': 'open'})
        self._assert_denied(self.register.ofd_id, 'read', ['credentials'])
        self._assert_denied(self.register.ofd_id, 'write', {'credentials': {'token': "mine"}})
        self._assert_denied(self.receipt, 'write', {'state': 'delivered'})
        for record in self.records.values():
            self._assert_denied(record, 'unlink')

    def test_fiscal_administrator_never_reads_the_token(self):
        self._login(self.fiscal_admin)
        ofd = self.register.ofd_id
        self.assertEqual(
            self._call(ofd, 'read', ['token', 'credentials_set']), [{'id': ofd.id, 'token': False, 'credentials_set': "Token"}]
        )
        [saved] = self._call(ofd, 'web_save', {'token': "another"}, specification={'token': {}})
        self.assertEqual(saved, {'id': ofd.id, 'token': False})

    def test_shared_ofd_is_written_by_system_administrators(self):
        ofd = self.register.ofd_id
        ofd.company_id = False
        values = {'url': 'http://127.0.0.1:1'}
        self._login(self.fiscal_admin)
        self.assertTrue(self._call(ofd, 'read', ['name']))
        self._assert_denied(ofd, 'write', values)
        self._assert_denied(ofd, 'write', {'company_id': self.company.id})
        self._assert_denied(ofd.browse(), 'create', {'name': "Mine", 'company_id': False, **values})
        self.assertTrue(ofd.credentials_set)
        self._login(self._create_user('sysadmin', 'base.group_system,opterp_kkt.group_fiscal_admin'))
        self._call(ofd, 'write', values)
        self._call(ofd.browse(), 'create', {'name': "Mine", 'company_id': False, **values})

    def test_ofd_of_a_company_is_written_by_its_fiscal_administrators(self):
        foreign = self.env['res.company'].create({'name': "Another Shop"})
        self._create_user('stranger', 'base.group_user,opterp_kkt.group_fiscal_admin', company_id=foreign.id)
        self._create_user('sysonly', 'base.group_system')
        ofd = self.register.ofd_id
        values = {'url': 'http://127.0.0.1:1'}
        for login in ('stranger', 'sysonly', 'manager', 'cashier'):
            self._login(SimpleNamespace(login=login))
            self._assert_denied(ofd, 'write', values)
            self._assert_denied(ofd.browse(), 'create', {'name': "Mine", 'company_id': self.company.id, **values})
        self._login(self.fiscal_admin)
        self._call(ofd, 'write', values)
        created = self._call(ofd.browse(), 'create', {'name': "Mine", **values})
        self.assertEqual(ofd.browse(created).company_id, self.company)

    def test_shared_ofd_is_resumed_by_fiscal_administrators(self):
        """They are told of the pause, and the button changes no setting."""
        ofd = self.register.ofd_id
        ofd.sudo().write({'company_id': False, 'paused_until': '2099-01-01 00:00:00'})
        self._login(self.manager)
        self._assert_denied(ofd, 'action_resume')
        self._login(self.fiscal_admin)
        self._call(ofd, 'action_resume')
        self.assertFalse(ofd.paused_until)

    def test_what_is_kept_about_an_ofd_is_written_by_nobody(self):
        """It decides where documents in doubt are asked for, also those of other companies."""
        ofd = self.register.ofd_id
        self._login(self.fiscal_admin)
        for values in (
            {'former_of_id': ofd.id, 'former_version': 0},
            {'breaker_id': ofd.breaker_id.id},
            {'address_version': 7},
            {'settings_version': 7},
            {'paused_until': '2099-01-01 00:00:00'},
            {'credentials': {'token': "mine"}},
        ):
            with self.subTest(values=values):
                self._assert_denied(ofd, 'write', values)
                self._assert_denied(ofd.browse(), 'create', {'name': "Mine", 'url': 'http://127.0.0.1:1', **values})

    def test_what_a_receipt_stated_is_written_by_nobody(self):
        self._login(self.manager)
        line = self.receipt.pos_order_id.lines[:1]
        before = line.read(['kkt_vat_rate', 'kkt_settlement_method'])
        self._call(line, 'write', {'kkt_vat_rate': 7, 'kkt_settlement_method': 3, 'customer_note': "written"})
        line.invalidate_recordset()
        self.assertEqual(line.read(['kkt_vat_rate', 'kkt_settlement_method']), before)
        self.assertEqual(line.customer_note, "written")

    def test_breaker_of_a_shared_ofd_is_reset_by_fiscal_administrators(self):
        """Its mode and numbers decide for every company that shares it: those are the system administrator's."""
        ofd = self.register.ofd_id
        ofd.company_id = False
        breaker = ofd.breaker_id
        breaker.sudo().write({'state': 'open', 'opened_at': '2026-01-01 00:00:00', 'retry_at': '2099-01-01 00:00:00'})
        self._login(self.fiscal_admin)
        self._assert_denied(breaker, 'write', {'mode': 'forced_open'})
        self._call(breaker, 'action_reset')
        self.assertEqual(breaker.state, 'closed')
        self._login(self._create_user('sysadmin', 'base.group_system,opterp_kkt.group_fiscal_admin'))
        self._call(breaker, 'write', {'mode': 'forced_open'})

    def test_portal_reads_nothing(self):
        self._login(self.portal)
        for record in self.records.values():
            self._assert_denied(record, 'read', ['id'])
            self._assert_denied(record.browse(), 'search_read', [])

    def test_without_login_nothing_is_answered(self):
        for record in self.records.values():
            with mute_logger('odoo.http'), self.assertRaisesRegex(JsonRpcException, 'SessionExpired'):
                self._call(record, 'read', ['id'])

    def test_credentials_do_not_reach_the_browser(self):
        self._login(self.cashier)
        loaded = json.dumps(self._call(self.pos_session, 'load_data', []))
        self.assertIn(self.basic_config.name, loaded)
        self.assertNotIn(TOKEN, loaded)

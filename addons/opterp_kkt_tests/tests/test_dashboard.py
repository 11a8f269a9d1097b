from datetime import timedelta

from odoo.exceptions import AccessError
from odoo.tests import HttpCase, tagged

from .test_health import HealthCommon
from .test_tours import PatientBrowser

STATEMENTS = 40  # of one look, whatever there is


class DashboardCommon(HealthCommon):
    def _wait(self, **since):
        # EXTENDS: by the clock that the figures ask here, that of the test's transaction, which may have begun minutes ago
        receipt = super()._wait(**since)
        self._set_in_sql(receipt, create_date=self.env.cr.now() - timedelta(**since))
        return receipt


@tagged('post_install', '-at_install')
class TestDashboard(DashboardCommon):
    """The figures of the dashboard, who sees them, and what they cost."""

    def _get_figures(self, user=None):
        return self.env['kkt.dashboard'].with_user(user or self.env.user).get_figures()

    def _get_row(self):
        [row] = [row for row in self._get_figures()['registers'] if row['id'] == self.register.id]
        return row

    def _get_ofd(self):
        [ofd] = [ofd for ofd in self._get_figures()['ofds'] if ofd['id'] == self.register.ofd_id.id]
        return ofd

    def _set_delivered(self, receipt, ago, delay):
        """As if it had been delivered so many seconds ago, so many after its sale."""
        self.env.flush_all()
        self.env.cr.execute(
            """UPDATE kkt_receipt SET state = 'delivered', sent_to_id = %s, delivered_at = now() AT TIME ZONE 'UTC' - %s,
                      create_date = now() AT TIME ZONE 'UTC' - %s WHERE id = %s""",
            [self.register.ofd_id.id, timedelta(seconds=ago), timedelta(seconds=ago + delay), receipt.id],
        )
        self.env.invalidate_all()

    def test_all_is_well(self):
        row = self._get_row()
        self.assertEqual((row['attention'], row['condition'], row['waiting'], row['rejected']), ('success', False, 0, 0))
        self.assertIsNone(row['oldest'])
        self.assertIsNone(row['days_left'])
        self.assertEqual(row['fd_number'], self.register.last_fd_number)
        self.assertEqual(row['shift'], self.register.shift_id.number)
        self.assertAlmostEqual(row['hours_left'], 24, delta=1)
        [span] = self._get_ofd()['band']
        self.assertEqual(span, {'state': 'closed', 'begin': 0.0, 'end': 1.0})

    def test_what_waits_and_since_when(self):
        self._wait(days=3)
        row, ofd = self._get_row(), self._get_ofd()
        self.assertEqual((row['attention'], row['waiting'], round(row['days_left'])), ('danger', 1, 27))
        self.assertAlmostEqual(row['oldest'], 3 * 86400, delta=60)
        self.assertEqual((ofd['waiting'], ofd['registers'] >= 1), (1, True))
        self.assertAlmostEqual(ofd['oldest'], 3 * 86400, delta=60)

    def test_what_wants_attention_comes_first(self):
        _config, other = self._create_second_shop()
        self._wait(minutes=2)
        names = [row['name'] for row in self._get_figures()['registers']]
        self.assertLess(names.index(self.register.name), names.index(other.name))

    def test_a_rejected_receipt_until_it_is_handled(self):
        _order, receipt = self._sell_unbuildable()
        self.assertEqual((self._get_row()['rejected'], self._get_row()['attention']), (1, 'danger'))
        receipt._handle("put right by hand")
        self.assertEqual((self._get_row()['rejected'], self._get_row()['attention']), (0, 'success'))

    def test_a_held_register(self):
        self._hold(self._wait(seconds=1))
        self.assertEqual((self._get_row()['condition'], self._get_row()['attention']), ('held', 'danger'))

    def test_deliveries_of_the_last_hour(self):
        for ago, delay in ((30, 1), (40, 3), (90, 2), (3700, 50)):
            self._set_delivered(self._sell([(self.frame, 1)]).kkt_receipt_ids, ago, delay)
        ofd = self._get_ofd()
        minutes = ofd['per_minute']
        self.assertEqual((len(minutes), minutes[-1], minutes[-2]), (60, 2, 1))
        self.assertEqual(sum(minutes), ofd['delivered'])
        self.assertEqual(ofd['p50'], 2)
        self.assertAlmostEqual(ofd['p95'], 2.9, places=3)

    def test_the_band_of_a_breaker(self):
        breaker = self.register.ofd_id.breaker_id
        self.env['kkt.circuit.breaker.event'].sudo().create(
            [
                {
                    'breaker_id': breaker.id,
                    'happened_at': self.env.cr.now() - timedelta(hours=hours),
                    'from_state': before,
                    'to_state': after,
                }
                for hours, before, after in ((3, 'closed', 'open'), (1.5, 'open', 'half_open'), (1, 'half_open', 'closed'))
            ]
        )
        band = [(span['state'], round(span['begin'], 2), round(span['end'], 2)) for span in self._get_ofd()['band']]
        self.assertEqual(band, [('closed', 0, 0.5), ('open', 0.5, 0.75), ('half_open', 0.75, 0.83), ('closed', 0.83, 1)])
        breaker.sudo().write({'mode': 'forced_open', 'mode_reason': "test"})
        self.assertEqual([span['state'] for span in self._get_ofd()['band']], ['forced_open'])

    def test_only_administrators_of_the_point_of_sale(self):
        cashier = self._create_user('dashboard_cashier', 'point_of_sale.group_pos_user')
        manager = self._create_user('dashboard_manager', 'point_of_sale.group_pos_manager')
        with self.assertRaises(AccessError):
            self._get_figures(cashier)
        self.assertIn(self.register.id, [row['id'] for row in self._get_figures(manager)['registers']])

    def test_other_companies_are_not_seen(self):
        stranger = self.env['res.company'].create({'name': "Stranger"})
        manager = self._create_user(
            'dashboard_stranger', 'point_of_sale.group_pos_manager', company_ids=stranger.ids, company_id=stranger.id
        )
        figures = self._get_figures(manager)
        self.assertNotIn(self.register.id, [row['id'] for row in figures['registers']])
        self.assertFalse([ofd for ofd in figures['ofds'] if ofd['delivered'] or ofd['waiting']])

    def _count_statements(self):
        self._get_figures()  # what is kept of groups and rules is kept
        self.env.flush_all()
        self.env.invalidate_all()
        before = self.env.cr.sql_log_count
        self._get_figures()
        return self.env.cr.sql_log_count - before

    def test_as_many_statements_whatever_there_is(self):
        few = self._count_statements()
        self.assertLess(few, STATEMENTS)
        for _number in range(3):
            self._sell([(self.frame, 1)])
        config = self.config.copy({'name': "Another till", 'payment_method_ids': False})
        self._create_register(config)
        self.env.flush_all()
        self.assertLessEqual(self._count_statements(), few)


@tagged('post_install', '-at_install')
class TestDashboardInBrowser(PatientBrowser, DashboardCommon, HttpCase):
    """The page, and what is behind its figures."""

    def test_figures_lead_to_their_records(self):
        user = self._create_user('dashboard_tour', 'opterp_kkt.group_fiscal_admin', password='dashboard_tour')
        self.assertTrue(user.has_group('point_of_sale.group_pos_manager'))
        self._wait(hours=40)  # to the nearest hour, however long the page takes
        self.start_tour('/odoo/action-opterp_kkt.kkt_dashboard_action', 'KktDashboardTour', login='dashboard_tour')

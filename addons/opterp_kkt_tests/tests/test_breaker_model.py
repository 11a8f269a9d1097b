import psycopg2

from odoo.exceptions import AccessError, UserError
from odoo.tests import TransactionCase, new_test_user, tagged

from .common import KktCommon

STATS = {
    'name',
    'mode',
    'state',
    'failure_count',
    'success_count',
    'failure_threshold',
    'recovery_timeout',
    'success_threshold',
    'opened_at',
    'retry_at',
    'opened_count',
}


@tagged('post_install', '-at_install')
class TestBreakerModel(KktCommon, TransactionCase):
    """The breaker's record: people set its mode and its numbers, and reset it; its state is decided, not written."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.fiscal_admin = new_test_user(cls.env, 'fiscal', 'base.group_user,opterp_kkt.group_fiscal_admin')
        cls.breaker = cls._create_ofd().breaker_id.with_user(cls.fiscal_admin)

    def _open(self):
        """What a deliverer's connection would have written."""
        self.env.cr.execute(
            """
            UPDATE kkt_circuit_breaker
               SET state = 'open', failure_count = 5, version = version + 1,
                   opened_at = '2026-11-23 10:00:00', retry_at = '2026-11-23 10:01:00'
             WHERE id = %s
        """,
            [self.breaker.id],
        )
        self.env['kkt.circuit.breaker.event'].sudo().create(
            {'breaker_id': self.breaker.id, 'from_state': 'closed', 'to_state': 'open', 'reason': "failures"}
        )
        self.env.invalidate_all()

    def test_defaults(self):
        self.assertRecordValues(
            self.breaker,
            [
                {
                    'mode': 'automatic',
                    'state': 'closed',
                    'failure_threshold': 5,
                    'recovery_timeout': 60,
                    'success_threshold': 2,
                    'failure_count': 0,
                    'success_count': 0,
                    'opened_at': False,
                    'retry_at': False,
                    'version': 0,
                }
            ],
        )

    def test_numbers_are_positive(self):
        for name in ('failure_threshold', 'recovery_timeout', 'success_threshold'):
            with self.subTest(field=name), self._refuses(psycopg2.errors.CheckViolation):
                self.breaker.write({name: 0})
                self.breaker.flush_recordset()

    def test_stats_of_a_closed_breaker(self):
        stats = self.breaker.get_stats()
        self.assertEqual(set(stats), STATS)
        self.assertEqual((stats['state'], stats['opened_at'], stats['opened_count']), ('closed', None, 0))

    def test_stats_of_an_open_breaker(self):
        self._open()
        stats = self.breaker.get_stats()
        self.assertEqual(set(stats), STATS)
        self.assertEqual((stats['state'], stats['failure_count'], stats['opened_count']), ('open', 5, 1))
        self.assertEqual((stats['opened_at'], stats['retry_at']), (1795428000000, 1795428060000))

    def test_reset_closes_it(self):
        self._open()
        version = self.breaker.version
        self.breaker.action_reset()
        self.assertRecordValues(
            self.breaker, [{'state': 'closed', 'failure_count': 0, 'opened_at': False, 'retry_at': False, 'version': version + 1}]
        )
        self.assertRecordValues(
            self.breaker.event_ids[0], [{'from_state': 'open', 'to_state': 'closed', 'reason': "reset", 'actor': 'fiscal'}]
        )

    def test_reset_of_a_closed_breaker_changes_nothing(self):
        self.breaker.action_reset()
        self.assertEqual(self.breaker.version, 0)
        self.assertFalse(self.breaker.event_ids)

    def test_reset_forgets_failures(self):
        self.env.cr.execute("UPDATE kkt_circuit_breaker SET failure_count = 4 WHERE id = %s", [self.breaker.id])
        self.env.invalidate_all()
        self.breaker.action_reset()
        self.assertRecordValues(self.breaker, [{'state': 'closed', 'failure_count': 0, 'version': 1}])

    def test_reset_does_not_undo_forced_open(self):
        self.breaker.mode = 'forced_open'
        with self.assertRaisesRegex(UserError, "forced open"):
            self.breaker.action_reset()

    def test_mode_changes_the_version_and_leaves_an_event(self):
        self.breaker.write({'mode': 'forced_open', 'mode_reason': "maintenance"})
        self.assertRecordValues(self.breaker, [{'mode': 'forced_open', 'version': 1, 'state': 'closed'}])
        self.assertRecordValues(
            self.breaker.event_ids, [{'reason': 'forced_open', 'actor': 'fiscal', 'from_state': 'closed', 'to_state': 'closed'}]
        )

    def test_ofds_show_a_mode_that_is_not_automatic(self):
        ofd = self.env['kkt.ofd'].create({'name': "Forced", 'url': 'http://127.0.0.1:9', 'breaker_id': self.breaker.id})
        self.assertEqual(ofd.breaker_condition, 'closed')
        for mode in ('forced_open', 'disabled'):
            self.breaker.mode = mode
            self.assertEqual(ofd.breaker_condition, mode)

    def test_same_mode_leaves_no_event(self):
        self.breaker.mode = 'automatic'
        self.assertFalse(self.breaker.event_ids)

    def test_numbers_change_the_version(self):
        self.breaker.failure_threshold = 3
        self.assertRecordValues(self.breaker, [{'failure_threshold': 3, 'version': 1}])
        self.assertFalse(self.breaker.event_ids)

    def test_name_does_not_change_the_version(self):
        self.breaker.name = "Renamed"
        self.assertEqual(self.breaker.version, 0)

    def test_state_is_not_written(self):
        for name, value in {
            'state': 'open',
            'failure_count': 1,
            'success_count': 1,
            'opened_at': '2026-11-23 10:00:00',
            'retry_at': '2026-11-23 10:00:00',
            'probe_owner': "me",
            'probe_until': '2026-11-23 10:00:00',
            'version': 7,
        }.items():
            with self.subTest(field=name), self.assertRaises(AccessError):
                self.breaker.write({name: value})

    def test_events_are_not_written(self):
        self._open()
        with self.assertRaises(AccessError):
            self.breaker.event_ids.write({'reason': 'failures'})
        with self.assertRaises(AccessError):
            self.breaker.write({'event_ids': [(5,)]})

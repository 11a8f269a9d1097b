from collections import namedtuple
from datetime import timedelta
from unittest.mock import patch

from odoo import fields
from odoo.tests import tagged

from odoo.addons.opterp_kkt.models import kkt_watch_wear
from odoo.addons.opterp_kkt.transports.base import Device

from .test_watch import WatchCommon

Usage = namedtuple('Usage', 'total used free')


@tagged('post_install', '-at_install')
class TestWatchWear(WatchCommon):
    """Disks that fill up and drives that come to their end are told once, and are forgotten with their cause."""

    watches_disks = True

    # -- disks -------------------------------------------------------------------------------------------------------------

    def _fill(self, percent):
        """Every disk of this host is used to so many per cent."""
        usage = Usage(100 * 2**30, percent * 2**30, (100 - percent) * 2**30)
        self.startPatcher(patch.object(kkt_watch_wear.shutil, 'disk_usage', return_value=usage))

    def test_steps_of_a_disk(self):
        for percent, level in ((79, 0), (80, 1), (89, 1), (90, 2), (94, 2), (95, 3), (100, 3)):
            with self.subTest(percent=percent):
                self._fill(percent)
                self._watch()
                self.assertEqual(self._alarms('disk').mapped('level'), [level] if level else [])

    def test_a_disk_is_told_once_until_it_gets_worse_and_forgotten_with_room(self):
        self._fill(81)
        for _look in range(3):
            self._assert_alarm('disk', self.ofd)
        self.assertEqual((len(self._mails()), len(self._activities())), (1, 1))
        self._fill(91)
        self._watch()
        self.assertEqual((len(self._mails()), len(self._activities())), (2, 1))
        self._fill(50)
        self._assert_none('disk')
        self.assertFalse(self._activities())

    def test_what_a_disk_holds_is_said(self):
        self._fill(92)
        alarm = self._assert_alarm('disk', self.ofd, 2)
        self.assertRegex(alarm.happened, r"92 % used, 8.0 GB free: .*stored files")
        self.assertRegex(alarm.meaning, "PostgreSQL stops, and with it every till")

    def test_disks_of_this_host_are_read(self):
        """The real ones, whatever is on them: the filestore is there, and two names of one disk are one."""
        disks = self.env['kkt.watch']._get_disks()
        names = [name for disk in disks for name in disk['holds']]
        self.assertEqual(len(names), len(set(names)))
        self.assertTrue(all(0 <= disk['percent'] <= 100 for disk in disks))

    def test_what_may_not_be_read_is_left_out(self):
        paths = {'filestore': '/nowhere', 'database': '/'}
        with patch.object(self.registry['kkt.watch'], '_get_paths', lambda self: paths):
            [disk] = self.env['kkt.watch']._get_disks()
        self.assertEqual(disk['holds'], ['database'])

    def test_two_names_of_one_disk_are_one_disk(self):
        with patch.object(self.registry['kkt.watch'], '_get_paths', lambda self: {'filestore': '/', 'database': '/.'}):
            [disk] = self.env['kkt.watch']._get_disks()
        self.assertEqual(disk['holds'], ['filestore', 'database'])

    def test_two_companies_at_one_ofd_are_told_once(self):
        self._create_second_shop()
        self.env['kkt.register'].search([]).ofd_id = self.ofd
        self._fill(85)
        self._assert_alarm('disk', self.ofd)

    # -- fiscal drives -----------------------------------------------------------------------------------------------------

    def _valid_for(self, days):
        self.register.drive_valid_until = fields.Date.context_today(self.register) + timedelta(days=days)

    def test_steps_of_a_drives_time(self):
        self._assert_none('drive')
        for days, level in ((31, 0), (30, 1), (4, 1), (3, 2), (1, 2), (0, 3), (-5, 3)):
            with self.subTest(days=days):
                self._valid_for(days)
                self._watch()
                self.assertEqual(self._alarms('drive').mapped('level'), [level] if level else [])

    def test_a_drive_that_fills_up(self):
        self._sell([(self.frame, 1)])  # after the report on the shift: document 2
        self.register.drive_capacity = 3
        self._assert_none('drive')
        self._sell([(self.frame, 1)])
        alarm = self._assert_alarm('drive', self.register, 3)
        self.assertRegex(alarm.happened, "has room for 0 documents")
        self.assertRegex(alarm.title, "has come to its end")
        self.register.drive_capacity = 300
        self._assert_none('drive')

    def test_another_drive_is_another_end(self):
        self._valid_for(2)
        self.register.drive_capacity = 3
        self._assert_alarm('drive', self.register, 3 if self.register.last_fd_number > 2 else 2)
        self._change_drive('9999000000009876')
        self.assertRecordValues(self.register, [{'drive_valid_until': False, 'drive_capacity': 0}])
        self._assert_none('drive')

    def test_a_new_drive_brings_its_own_end(self):
        self._valid_for(2)
        self.register.action_close_shift()
        until = fields.Date.context_today(self.register) + timedelta(days=400)
        self.register.write({'fiscal_drive_number': '9999000000009876', 'drive_valid_until': until})
        self.assertEqual(self.register.drive_valid_until, until)

    def test_the_register_itself_tells_its_drives_end(self):
        drive = self.register.fiscal_drive_number
        self.register._learn_of_drive(Device(fiscal_drive_number='9999000000000000', drive_valid_until='2030-01-01'))
        self.assertFalse(self.register.drive_valid_until, "another drive")
        self.register._learn_of_drive(Device(fiscal_drive_number=drive, drive_valid_until='2030-01-01'))
        self.assertEqual(str(self.register.drive_valid_until), '2030-01-01')
        self.register._learn_of_drive(Device(fiscal_drive_number=drive))
        self.assertEqual(str(self.register.drive_valid_until), '2030-01-01')

    # -- who is told -------------------------------------------------------------------------------------------------------

    def test_a_person_says_who_is_told(self):
        chosen = self._create_user('chosen', 'base.group_user,point_of_sale.group_pos_manager', email='chosen@shop.example')
        self.company.sudo().kkt_alarm_user_ids = chosen
        self._valid_for(2)
        self._watch()
        self.assertEqual(len(self._activities(chosen)), 1)
        self.assertFalse(self._activities())
        self.assertEqual(self.env['mail.mail'].sudo().search_count([('recipient_ids', 'in', chosen.partner_id.ids)]), 1)

    def test_who_has_left_is_not_told(self):
        left = self._create_user('left', 'base.group_user,point_of_sale.group_pos_manager')
        self.company.sudo().kkt_alarm_user_ids = left
        left.sudo().active = False
        self._valid_for(2)
        self._watch()
        self.assertEqual(len(self._activities()), 1, "the fiscal administrators, as if nobody were chosen")

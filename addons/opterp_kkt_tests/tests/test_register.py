import logging

import psycopg2

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import Form, tagged

from odoo.addons.opterp_kkt.core.registration_number import complete

from .common import KktSaleCommon

COUNTERS = {
    'last_fd_number': 5,
    'last_queue_number': 5,
    'last_document_time': 5,
    'hlc_node': "forged",
    'hlc_local_time': 5,
    'hlc_logical_counter': 5,
}
NEW_DRIVE = '9999000000000777'


@tagged('post_install', '-at_install')
class TestRegister(KktSaleCommon):
    """A cash register: its numbers, its fiscal drives, the one point of sale that it serves."""

    def _sell_receipt(self):
        return self._sell([(self.frame, 1)]).kkt_receipt_ids

    def _create_config(self, name="Other Shop"):
        return self.env['pos.config'].create({'name': name, 'payment_method_ids': self.bank_pm1.ids})

    # -- what is checked ---------------------------------------------------------------------------------------------------

    def test_one_register_per_point_of_sale(self):
        with self._refuses(psycopg2.errors.UniqueViolation):
            self._create_register(self.basic_config)

    def test_archived_register_makes_room(self):
        self._archive_register()
        other = self._create_register(self.basic_config)
        self.assertEqual(self._sell_receipt().register_id, other)

    def test_one_register_per_serial_number_and_drive(self):
        for name in ('serial_number', 'fiscal_drive_number'):
            values = {name: self.register[name]}
            with self.subTest(field=name), self._refuses(psycopg2.errors.UniqueViolation):
                self._create_register(self._create_config(), **values)

    def test_point_of_sale_knows_its_register(self):
        self.assertEqual(self.basic_config.kkt_register_id, self.register)
        self._archive_register()
        self.basic_config.invalidate_recordset(['kkt_register_id'])
        self.assertFalse(self.basic_config.kkt_register_id)

    def test_used_register_is_never_deleted(self):
        unused = self._create_register(self._create_config())
        unused.sudo().unlink()
        self._sell_receipt()
        with self.assertRaisesRegex(UserError, "can't be deleted"):
            self.register.sudo().unlink()

    def test_register_with_a_document_that_could_not_be_built_is_never_deleted(self):
        self._sell_unbuildable()
        with self.assertRaisesRegex(UserError, "can't be deleted"):
            self.register.sudo().unlink()

    def test_ofd_of_an_active_register_is_active(self):
        self._archive_register()
        self._deliver_reports()
        self.register.ofd_id.active = False
        with self.assertRaisesRegex(ValidationError, "is archived"):
            self.register.active = True

    # -- while the till sells ----------------------------------------------------------------------------------------------

    def test_register_of_an_open_till_is_not_taken_away(self):
        for values in ({'active': False}, {'pos_config_id': False}, {'pos_config_id': self._create_config().id}):
            with self.subTest(values=values), self.assertRaisesRegex(UserError, "Close its session first"):
                self.register.write(values)
        self.register.write({'active': True, 'pos_config_id': self.basic_config.id})  # what the form sends is no change
        self._close_session()
        self.register.pos_config_id = False

    def test_device_is_replaced_while_the_till_is_open(self):
        self._sell_receipt()
        self.register.action_close_shift()
        self.register.write(
            {
                'serial_number': 'NEW',
                'registration_number': complete('0000000001', self.company.vat, 'NEW'),
                'fiscal_drive_number': NEW_DRIVE,
            }
        )
        self.assertRecordValues(self._sell_receipt(), [{'state': 'pending', 'fiscal_drive_number': NEW_DRIVE, 'fd_number': 2}])

    def test_numbered_register_stays_with_its_company(self):
        other = self.env['res.company'].create({'name': "Another Shop", 'vat': '7700123459'})
        self._sell_receipt()
        self._close_session()
        with self.assertRaisesRegex(UserError, "stays with that company"):
            self.register.write({'company_id': other.id, 'pos_config_id': False})

    def _sell_late(self, **values):
        """An order that waited in its till's browser: the till stamped it, as it had a register then."""
        stamp = {'local_time': 1_700_000_000_000, 'logical_counter': 0, 'node': 'till-1'}
        return self._sell([(self.frame, 1)], kkt_hlc=stamp, **values)

    def test_late_order_of_an_archived_register_gets_its_receipt(self):
        self._sell_receipt()
        self._archive_register()
        order = self._sell_late()
        receipt = order.kkt_receipt_ids
        self.assertRecordValues(order, [{'state': 'paid', 'kkt_state': 'rejected'}])
        self.assertRegex(receipt.last_error, "is archived or serves another point of sale")
        receipt.action_retry()
        self.assertEqual(receipt.state, 'rejected', "there is no register yet")
        other = self._create_register(self.basic_config)
        receipt.action_retry()
        self.assertRecordValues(receipt, [{'state': 'pending', 'register_id': other.id, 'fd_number': 2, 'queue_number': 2}])
        self.assertEqual(self._get_document(receipt)['fiscalDriveNumber'], other.fiscal_drive_number)

    def test_late_order_is_not_numbered_by_a_register_that_serves_another_shop(self):
        self._sell_receipt()
        self._close_session()
        self.register.pos_config_id = self._create_config()
        self._open_session(self.basic_config)
        order = self._sell_late()
        self.assertRecordValues(order, [{'state': 'paid', 'kkt_state': 'rejected'}])
        self.assertEqual(self.register.last_queue_number, 3, "its receipt, between the reports on its shift")

    def test_till_does_not_wait_for_a_receipt_that_never_comes(self):
        """Its browser waits for orders that have its stamp and no receipt."""
        self._archive_register()
        order = self._sell_late()
        self.assertRecordValues(order, [{'state': 'paid', 'kkt_state': False, 'kkt_hlc': False}])

    def test_register_of_another_company_numbers_nothing(self):
        other = self.env['res.company'].create({'name': "Another Shop", 'vat': '7700123459'})
        self._set_in_sql(self.register, company_id=other.id)
        order = self._sell([(self.frame, 1)])
        self.assertRecordValues(order, [{'state': 'paid', 'kkt_state': 'rejected'}])
        self.assertRegex(order.kkt_receipt_ids.last_error, "is registered for Another Shop")
        self._set_in_sql(self.register, company_id=self.company.id)
        order.kkt_receipt_ids.action_retry()
        self.assertEqual(order.kkt_state, 'pending')

    # -- what is counted ---------------------------------------------------------------------------------------------------

    def test_counters_are_not_written(self):
        admin = self._create_user('fiscal', 'base.group_user,opterp_kkt.group_fiscal_admin')
        for name, value in COUNTERS.items():
            with self.subTest(field=name), self.assertRaises(AccessError):
                self.register.with_user(admin).write({name: value})

    def test_counters_of_a_new_register_start_at_zero(self):
        register = self._create_register(self._create_config(), **COUNTERS)
        self.assertRecordValues(
            register,
            [
                {
                    'last_fd_number': 0,
                    'last_queue_number': 0,
                    'last_document_time': 0,
                    'hlc_local_time': 0,
                    'hlc_logical_counter': 0,
                }
            ],
        )
        self.assertNotEqual(register.hlc_node, "forged")

    def test_copy_starts_at_zero(self):
        self._sell_receipt()
        copy = self.register.copy(
            {
                'pos_config_id': False,
                'serial_number': 'COPY',
                'fiscal_drive_number': NEW_DRIVE,
                'registration_number': complete('0000000001', self.company.vat, 'COPY'),
            }
        )
        self.assertRecordValues(copy, [{'last_fd_number': 0, 'last_queue_number': 0, 'hlc_local_time': 0}])
        self.assertNotEqual(copy.hlc_node, self.register.hlc_node)

    def test_numbers_only_grow(self):
        with self._refuses(psycopg2.errors.CheckViolation):
            self.env.cr.execute("UPDATE kkt_register SET last_fd_number = -1 WHERE id = %s", [self.register.id])

    def test_each_register_has_its_delivery(self):
        self.assertEqual(len(self.register.delivery_ids), 1)
        self.assertRecordValues(self.register, [{'delivery_epoch': 0, 'delivery_holder': False, 'hold_reason': False}])

    def test_registers_number_independently(self):
        config, other = self._create_second_shop()
        self._sell_receipt()
        self._open_session(config)
        receipt = self._sell([(self.frame, 1)], [(self.bank_pm1, 8900)]).kkt_receipt_ids
        self.assertRecordValues(receipt, [{'register_id': other.id, 'fd_number': 2, 'queue_number': 2}])

    def test_queue_is_counted(self):
        self._deliver_reports()
        first = self._sell_receipt()
        self._sell_receipt()
        self._sell_unbuildable()
        self.assertRecordValues(
            self.register, [{'pending_count': 2, 'rejected_count': 1, 'oldest_pending_at': first.create_date}]
        )

    # -- fiscal drives -----------------------------------------------------------------------------------------------------

    def test_new_drive_numbers_from_one_and_the_queue_goes_on(self):
        self._sell_receipt()
        self._sell_receipt()
        self._change_drive(NEW_DRIVE)
        self.assertEqual(self.register.last_fd_number, 0)
        receipt = self._sell_receipt()
        self.assertRecordValues(receipt, [{'fiscal_drive_number': NEW_DRIVE, 'fd_number': 2, 'queue_number': 6}])
        self.assertEqual(self._get_document(receipt)['fiscalDriveNumber'], NEW_DRIVE)

    def test_earlier_drive_goes_on_where_it_stopped(self):
        earlier = self.register.fiscal_drive_number
        self._sell_receipt()
        self._sell_receipt()
        self._change_drive(NEW_DRIVE)
        self._sell_receipt()
        self._change_drive(earlier)
        self.assertRecordValues(self._sell_receipt(), [{'fd_number': 6, 'queue_number': 9}])

    def test_same_drive_again_changes_nothing(self):
        self._sell_receipt()
        self.register.write({'fiscal_drive_number': self.register.fiscal_drive_number, 'name': "Renamed"})
        self.assertEqual(self._sell_receipt().fd_number, 3)

    def test_documents_of_the_old_drive_are_sent_first(self):
        old = [self._sell_receipt(), self._sell_receipt()]
        self._change_drive(NEW_DRIVE)
        new = self._sell_receipt()
        waiting = self.env['kkt.receipt'].search([('register_id', '=', self.register.id)], order='queue_number')
        receipts = waiting.filtered(lambda document: document.document_type == 'receipt')
        self.assertEqual(receipts.ids, [*(receipt.id for receipt in old), new.id])
        self.assertEqual(waiting.mapped('fiscal_drive_number'), [old[0].fiscal_drive_number] * 4 + [NEW_DRIVE] * 2)

    def test_drive_of_another_register_goes_on_there(self):
        """A drive that moves to another register keeps counting: its numbers are its own."""
        config, other = self._create_second_shop()
        drive = self.register.fiscal_drive_number
        self._sell_receipt()
        self._change_drive(NEW_DRIVE)
        self.register.flush_recordset()
        self._change_drive(drive, other)
        self._open_session(config)
        receipt = self._sell([(self.frame, 1)], [(self.bank_pm1, 8900)]).kkt_receipt_ids
        self.assertRecordValues(receipt, [{'fiscal_drive_number': drive, 'fd_number': 5, 'queue_number': 2}])

    def test_new_register_goes_on_with_the_drive_of_an_archived_one(self):
        drive = self.register.fiscal_drive_number
        self._sell_receipt()
        self._sell_receipt()
        self._archive_register()
        other = self._create_register(self.basic_config, fiscal_drive_number=drive)
        self.assertEqual(other.last_fd_number, 4)
        self.assertRecordValues(
            self._sell_receipt(), [{'state': 'pending', 'register_id': other.id, 'fd_number': 6, 'queue_number': 2}]
        )

    def test_unarchived_register_goes_on_after_what_its_drive_did_elsewhere(self):
        self._sell_receipt()
        self._archive_register()
        other = self._create_register(self.basic_config, fiscal_drive_number=self.register.fiscal_drive_number)
        self._sell_receipt()
        self._archive_register(other)
        self.register.active = True
        self.assertEqual(self.register.last_fd_number, 6)
        self.assertRecordValues(
            self._sell_receipt(), [{'state': 'pending', 'register_id': self.register.id, 'fd_number': 8, 'queue_number': 5}]
        )

    def test_drive_that_went_and_came_back_goes_on(self):
        config, other = self._create_second_shop()
        drive, spare = self.register.fiscal_drive_number, other.fiscal_drive_number
        self._sell_receipt()
        self._change_drive(NEW_DRIVE)
        self.register.flush_recordset()
        self._change_drive(drive, other)
        self._open_session(config)
        self._sell([(self.frame, 1)], [(self.bank_pm1, 8900)])
        self._change_drive(spare, other)
        other.flush_recordset()
        self._change_drive(drive)
        self._open_session(self.basic_config)
        self.assertRecordValues(self._sell_receipt(), [{'state': 'pending', 'fiscal_drive_number': drive, 'fd_number': 8}])

    def test_number_that_its_drive_has_given_is_never_given_again(self):
        """Whatever the register's own counter says."""
        self._sell_receipt()
        self._sell_receipt()
        self._set_in_sql(self.register, last_fd_number=0)
        self.assertRecordValues(self._sell_receipt(), [{'state': 'pending', 'fd_number': 4, 'queue_number': 4}])

    def test_sale_without_a_number_to_give_is_stored(self):
        self._set_in_sql(self.register, last_fd_number=2**31 - 2)
        order = self._sell([(self.frame, 1), (self.solution, -1)])
        receipts = order.kkt_receipt_ids
        self.assertRecordValues(order, [{'state': 'paid', 'kkt_state': 'rejected'}])
        self.assertRecordValues(receipts, [{'state': 'rejected', 'fd_number': 0, 'payload': False}] * 2)
        self.assertRegex(receipts[0].last_error, "no number left.*another fiscal drive")
        self._change_drive(NEW_DRIVE)
        receipts.action_retry()
        self.assertRecordValues(
            receipts.sorted('fd_number'),
            [{'state': 'pending', 'fd_number': number, 'fiscal_drive_number': NEW_DRIVE} for number in (2, 3)],
        )

    # -- another OFD --------------------------------------------------------------------------------------------------

    def _switch_ofd(self):
        """What the form says when the OFD is changed, and what it leaves in the chatter."""
        form = Form(self.register)
        with self.assertLogs('odoo.tests.form.onchange', 'WARNING') as warned:
            form.ofd_id = self._create_ofd(name="Another")
            logging.getLogger('odoo.tests.form.onchange').warning("end")
        form.save()
        return "".join(warned.output[:-1]), "".join(self.register.message_ids.mapped('body'))

    def test_document_in_doubt_is_told_when_the_ofd_is_changed(self):
        receipt = self._sell_receipt()
        for values in ({'in_doubt': True}, {'in_doubt': False, 'state': 'sending'}):
            with self.subTest(values=values):
                self._set_in_sql(receipt, **values)
                warning, note = self._switch_ofd()
                for text in (warning, note):
                    self.assertIn("Receipt (FD 2). It is settled with", text)

    def test_document_that_was_never_sent_is_not_told(self):
        self._sell_receipt()
        warning, note = self._switch_ofd()
        self.assertFalse(warning)
        self.assertNotIn("It is settled with", note)

    # -- earlier orders ----------------------------------------------------------------------------------------------------

    def _get_told(self, register):
        return register.message_ids.filtered(lambda message: "have no fiscal receipts" in (message.body or ''))

    def test_earlier_orders_are_told_when_a_register_is_connected(self):
        self._archive_register()
        self._sell([(self.frame, 1)])
        self._sell([(self.frame, 1)])
        other = self._create_register(self.basic_config)
        self.assertIn(": 2.", self._get_told(other).body)
        other.name = "Renamed"
        self.assertEqual(len(self._get_told(other)), 1, "once")

    def test_earlier_orders_with_receipts_are_not_told(self):
        self._sell_receipt()
        self._close_session()
        self.register.pos_config_id = False
        self.register.pos_config_id = self.basic_config
        self.assertFalse(self._get_told(self.register))

    def test_earlier_orders_are_told_when_a_register_moves(self):
        self._close_session()
        self.register.pos_config_id = False
        self.register.flush_recordset()
        self._open_session(self.basic_config)
        self._sell([(self.frame, 1)])
        self.register.pos_config_id = self.basic_config
        self.assertIn(": 1.", self._get_told(self.register).body)

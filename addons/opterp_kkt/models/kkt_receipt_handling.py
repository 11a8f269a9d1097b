from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError

from ..delivery.statements import HEAD


class KktReceipt(models.Model):
    """What people do about a document: have it tried again, leave it out, or give up where it was sent.

    *Retry* builds what could not be built, and sends the rest again: same key, same bytes. *Mark as Handled* closes what was
    rejected, or what its register stands still for, once the OFD has said that it does not have it. *Send Anew* gives up a
    former OFD that does not tell.
    """

    _inherit = 'kkt.receipt'

    def action_retry(self):
        """Try again at once: build what could not be built, send what was refused, same key and same bytes."""
        self.register_id._check_may_deliver()
        self._check_ofd_active()
        self._reopen()
        receipts = self.sudo()
        for receipt in receipts.filtered(lambda r: r.state == 'rejected' and not r.payload):
            receipt._issue_after_all()
        self.env.flush_all()
        self.env.cr.execute(
            """
            UPDATE kkt_receipt
               SET state = 'pending', next_attempt_at = NULL, last_error = NULL,
                   failures = 0, lone_failures = 0, failed_lookups = 0
             WHERE id = ANY(%s) AND payload IS NOT NULL AND state IN ('rejected', 'pending')
        """,
            [self.ids],
        )
        self.invalidate_recordset()
        receipts.register_id._tell_tills()
        self.env['kkt.delivery']._wake()

    def _check_ofd_active(self):
        for register in self.sudo().register_id.filtered(lambda register: not register.ofd_id.active):
            raise UserError(
                self.env._(
                    "The OFD of %(register)s, %(ofd)s, is archived, so nothing is sent to it. Choose another one for the"
                    " register first.",
                    register=register.name,
                    ofd=register.ofd_id.name,
                )
            )

    def _reopen(self):
        """What a fiscal administrator closed is opened by one only, and its register tells of it."""
        handled = self.filtered('handled_at')
        if handled and not self._may_handle():
            raise AccessError(
                self.env._(
                    "%(document)s was marked as handled by %(user)s: %(reason)s. Only a fiscal administrator sends it after all.",
                    document=handled[0].display_name,
                    user=handled[0].sudo().handled_by.name,
                    reason=handled[0].handled_reason,
                )
            )
        for receipt in handled.sudo():
            receipt.register_id.message_post(
                body=self.env._(
                    "%(document)s is tried again, although it was marked as handled: %(reason)s",
                    document=receipt.display_name,
                    reason=receipt.handled_reason,
                )
            )
        handled.sudo().write({'handled_reason': False, 'handled_by': False, 'handled_at': False})

    def action_handle(self):
        """Ask for the reason, then close these documents as handled."""
        self._check_may_handle()
        return {
            'type': 'ir.actions.act_window',
            'name': self.env._("Mark as Handled"),
            'res_model': 'kkt.receipt.handle',
            'view_mode': 'form',
            'target': 'new',
            'context': {'default_receipt_ids': self.ids},
        }

    def _handle(self, reason):
        """Close documents that a person has put right by other means: nobody is told of them any more.

        A register that is held for one of them goes on.
        """
        self._check_may_handle()
        if not reason.strip():
            raise UserError(self.env._("Please give a reason: whoever asks later should find it."))
        receipts = self.sudo()
        for receipt in receipts:
            receipt._check_handleable()
        for receipt in receipts.filtered(lambda r: r.state != 'rejected'):
            receipt._make_certain()
        receipts.write(
            {'state': 'rejected', 'handled_reason': reason, 'handled_by': self.env.uid, 'handled_at': fields.Datetime.now()}
        )
        for receipt in receipts:
            receipt.register_id.message_post(
                body=self.env._("%(document)s was marked as handled: %(reason)s", document=receipt.display_name, reason=reason)
            )
        receipts._get_holds()._release()
        receipts.register_id._tell_tills()
        self.env['kkt.watch']._wake()

    def _check_may_handle(self):
        self.check_access('read')
        if not self._may_handle():
            raise AccessError(self.env._("Only a fiscal administrator marks documents as handled."))

    def _may_handle(self):
        return self.env.su or self.env.user.has_group('opterp_kkt.group_fiscal_admin')

    def _check_handleable(self):
        """Only what will not reach the OFD by itself, and what is certainly not there already, is left out."""
        if self.handled_at:
            raise UserError(
                self.env._(
                    "%(document)s was marked as handled by %(user)s already.",
                    document=self.display_name,
                    user=self.handled_by.name,
                )
            )
        if self.state != 'rejected' and not self._may_be_left_out():
            raise UserError(
                self.env._(
                    "%(document)s is neither rejected nor what its register is held for: it is delivered by itself.",
                    document=self.display_name,
                )
            )

    def _may_be_left_out(self):
        """Whether it is what a register stands still for: held for it, or tried so often that a person is told."""
        tries = self.env['kkt.delivery']._get_number('poison_tries')
        return self == self._get_head(self.register_id) and bool(self._get_holds() or self.failures >= tries)

    def _make_certain(self):
        """Ask the OFD before a document is left out: what it may have must not be. Its register is held meanwhile.

        Commits, since no transaction is open while the OFD is asked.
        """
        delivery, held = self.register_id.delivery_ids, self._get_holds()
        if held and self.absent and not self.in_doubt:
            return
        if not held:
            delivery._hold(self, self.env._("Whether the OFD has %s is being asked.", self.display_name))
        delivery._ask()
        if self.state == 'pending' and self.absent and not self.in_doubt:
            return
        if not held:
            delivery._end_hold()
            self.env.cr.commit()  # the error below must not undo the release  # pylint: disable=invalid-commit
        if self.state == 'delivered':
            raise UserError(self.env._("The OFD has %s: it is delivered, and there is nothing to leave out.", self.display_name))
        raise UserError(
            self.env._(
                "The OFD has not said that it does not have %(document)s, so it can't be left out. Its answer: %(answer)s. Try"
                " again when the OFD answers.",
                document=self.display_name,
                answer=self.last_error or self.env._("none"),
            )
        )

    @api.model
    def _get_head(self, register):
        """The document that a register's queue begins with."""
        self.flush_model()
        self.env.cr.execute(f"SELECT h.id FROM kkt_register g CROSS JOIN LATERAL ({HEAD}) h WHERE g.id = %s", [register.id])
        return self.browse(receipt_id for [receipt_id] in self.env.cr.fetchall())

    def action_send_anew(self):
        """Give up a document's former OFD, or its former address, which does not answer: send it where the register's go now.

        A person answers for it: were it there after all, two would have it.
        """
        self._check_may_handle()
        for receipt in self.sudo():
            if not receipt.may_be_sent_anew:
                raise UserError(
                    self.env._(
                        "%s is not what an OFD has failed to answer about so often. It is settled where it was sent, by itself.",
                        receipt.display_name,
                    )
                )
            receipt.write({'in_doubt': False, 'sent_to_id': False, 'failures': 0, 'failed_lookups': 0, 'next_attempt_at': False})
            receipt.register_id.message_post(
                body=self.env._(
                    "%(document)s is sent to the present OFD, although a former one may have it: %(user)s decided so.",
                    document=receipt.display_name,
                    user=self.env.user.name,
                )
            )
        self.env['kkt.delivery']._wake()

    def _get_holds(self):
        """The deliveries that are held for these documents."""
        return self.register_id.delivery_ids.filtered(lambda delivery: delivery.hold_reason and delivery.hold_receipt_id in self)

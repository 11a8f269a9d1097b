from odoo import models


class KktDelivery(models.Model):
    """Why a register stands still, in the words of whoever looks."""

    _inherit = 'kkt.delivery'

    def _get_hold_reason(self):
        """What a person is told, in that person's language; stored are only the words of the OFD, or of who held it."""
        answer = self.hold_reason
        if self.hold_cause == 'failing':
            known = (
                self.env._("The OFD says that it does not have it.")
                if self.hold_receipt_id.absent
                else self.env._("Whether the OFD has it is not known: it does not tell when it is asked.")
            )
            return self.env._(
                "The OFD does not accept one document of this register: its tries failed although documents of other registers"
                " passed in between. %(known)s The last answer was: %(answer)s. Ask the OFD what is wrong with the document. Then"
                " let the register go on, which tries it again, or mark the document as handled, which sends the rest without"
                " it.",
                known=known,
                answer=answer,
            )
        if self.hold_cause == 'refusals':
            return self.env._(
                "The OFD refused %(count)s documents of this register in a row, the last one with: %(answer)s. Before more are"
                " refused, find out why. Then let the register go on, and press Retry on what was refused.",
                count=self.refusals,
                answer=answer,
            )
        if self.hold_cause == 'conflict':
            return self.env._(
                "The OFD knows the key of this document with other bytes, which must never happen. It said: %(answer)s. Ask the"
                " OFD what it has, then mark the document as handled.",
                answer=answer,
            )
        return self._get_document_hold_reason()

    def _get_document_hold_reason(self):
        """What holds a register whatever the settings of its OFD say; else the words of who held it."""
        answer = self.hold_reason
        if self.hold_cause == 'mismatch':
            return self.env._(
                "What was acknowledged for this document is not what was sent, or has no numbers: %(answer)s. Look at what the"
                " register has printed, and whether its protocol is the right one. If the document was fiscalised otherwise, put"
                " it right by a correction and mark it as handled; if not, press Retry on it. Then let the register go on.",
                answer=answer,
            )
        if self.hold_cause == 'envelope':
            return self.env._(
                "This document can't be stated in the protocol of the register's present OFD, so it was not sent: %(answer)s."
                " Choose another OFD for the register and press Retry on the document, or mark it as handled. Then let the"
                " register go on.",
                answer=answer,
            )
        return answer

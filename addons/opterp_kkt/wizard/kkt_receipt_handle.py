from odoo import fields, models


class KktReceiptHandle(models.TransientModel):
    """The dialog that asks why documents are closed as handled."""

    _name = 'kkt.receipt.handle'
    _description = "Mark Fiscal Receipts as Handled"

    receipt_ids = fields.Many2many('kkt.receipt', string="Receipts", required=True, readonly=True)
    reason = fields.Text(required=True, help="What was done about them: for the tax inspector, and for whoever asks later.")

    def action_confirm(self):
        self.receipt_ids._handle(self.reason)

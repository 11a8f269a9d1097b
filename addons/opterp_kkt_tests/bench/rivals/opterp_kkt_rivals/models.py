import requests

from odoo import api, fields, models

session = requests.Session()


class Document(models.Model):
    """What is posted in order, the way it is mostly done: by a cron that commits each, or as jobs of OCA's queue_job."""

    _name = 'opterp_kkt_rivals.document'
    _description = "Document to Post"
    _order = 'id'

    url = fields.Char(required=True)
    key = fields.Char(required=True)
    payload = fields.Text(required=True)
    state = fields.Selection([('pending', "Pending"), ('delivered', "Delivered")], default='pending', required=True, index=True)

    def post(self):
        headers = {'Idempotency-Key': self.key, 'Content-Type': 'application/json'}
        session.post(f'{self.url}/v1/documents', data=self.payload.encode(), headers=headers, timeout=10).raise_for_status()
        self.state = 'delivered'

    @api.model
    def post_later(self, documents):
        for document in self.create(documents):
            document.with_delay().post()

    @api.model
    def _cron_post(self):
        for document in self.search([('state', '=', 'pending')]):
            document.post()
            self.env.cr.commit()  # pylint: disable=invalid-commit

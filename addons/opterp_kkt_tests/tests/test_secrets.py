from odoo.tests import tagged

from odoo.addons.opterp_kkt.transports import PROTOCOLS

from .common import KktSaleCommon

DRIVE = '8710000100000001'


@tagged('post_install', '-at_install')
class TestSecrets(KktSaleCommon):
    """What lets us in somewhere is on no page, in no export, and in nothing that a till loads, whatever the protocol."""

    def _deliver_to(self, ofd):
        if self.register.shift_id:
            self.register.action_close_shift()
        elsewhere = {'driver': 'remote', 'fiscal_drive_number': DRIVE} if PROTOCOLS[ofd.protocol].is_register else {}
        self.register.write({**elsewhere, 'ofd_id': ofd.id})
        self.register.action_open_shift()

    def _read_all(self, records):
        names = list(records.fields_get())
        return records.read(), records.export_data(names)['datas'], records.copy_data(), records.display_name

    def test_they_are_nowhere(self):
        self.company.email = "shop@example.com"
        for protocol in ('http', 'ofd_tcp', 'atol_web', 'atol_online', 'orangedata'):
            transport = PROTOCOLS[protocol]
            given = {credential.name: f"s3cr3t-{credential.name}" for credential in transport.credentials}
            url = f"{transport.schemes[0]}127.0.0.1:9"
            ofd = self._create_ofd(protocol=protocol, url=url, calls_back=transport.calls_back, **given)
            self._deliver_to(ofd)
            self._sell([(self.frame, 1)])
            secrets = {given[credential.name] for credential in transport.credentials if credential.secret}
            kept = ofd.sudo().credentials or {}
            if 'callback_url' in kept:
                secrets.add(kept['callback_url'].rpartition('/')[2])
            told = repr(
                [
                    *map(self._read_all, (ofd, self.register)),
                    self.register.pos_config_id.read(),
                    self.pos_session.load_data([]),
                    self.register.get_till_report(),
                    (ofd.message_ids + self.register.message_ids).mapped('body'),
                    self.env['kkt.receipt'].search([]).read(),
                ]
            )
            with self.subTest(protocol=protocol):
                self.assertTrue(all(credential.name in kept for credential in transport.credentials))
                self.assertEqual([secret for secret in secrets if secret in told], [])

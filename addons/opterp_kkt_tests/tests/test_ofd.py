import errno
import os
import re
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from lxml import etree

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import Form, TransactionCase, new_test_user, tagged

from odoo.addons.opterp_kkt.cli.kkt import Kkt

from .common import KktCommon

EMULATOR_HOME = Path(__file__).parents[1]
TOKEN = "s3cr3t-of-the-ofd"


@contextmanager
def running_ofd(*options):
    """An OFD emulator in a process of its own; gives its URL."""
    command = [sys.executable, '-m', 'ofd_emulator', '--port', '0', *options]
    environment = {**os.environ, 'PYTHONPATH': str(EMULATOR_HOME)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield re.search(r'http://\S+', process.stdout.readline())[0]
        finally:
            process.terminate()


class InternalPage(BaseHTTPRequestHandler):
    """Something in the shop's own network that is no OFD."""

    def do_GET(self):
        body = b"<h1>Salaries</h1>"
        self.send_response(int(self.path.split('/')[1]))
        self.send_header('Content-Type', 'text/html')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@contextmanager
def running_internal_page():
    with ThreadingHTTPServer(('127.0.0.1', 0), InternalPage) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f'http://127.0.0.1:{server.server_port}'
        finally:
            server.shutdown()


@tagged('post_install', '-at_install')
class TestOfd(KktCommon, TransactionCase):
    """The OFD's record: a token that goes in and never comes out, an address, a test of both."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.ofd = cls._create_ofd(token=TOKEN)
        groups = 'base.group_allow_export,opterp_kkt.group_fiscal_admin'
        cls.fiscal_admin = new_test_user(cls.env, 'fiscal', f'base.group_user,{groups}')
        cls.system_admin = new_test_user(cls.env, 'system', f'base.group_system,{groups}')
        cls.env.flush_all()
        cls.env.invalidate_all()

    # -- the token ---------------------------------------------------------------------------------------------------------

    def test_token_goes_where_delivery_reads_it(self):
        self.assertEqual(self.ofd._get_endpoint().credentials, {'token': TOKEN})
        self.assertEqual(self.ofd.credentials_set, "Token")
        self.assertFalse(self._create_ofd().credentials_set)

    def test_token_is_never_shown(self):
        ofd = self.ofd.with_user(self.fiscal_admin)
        self.assertFalse(ofd.token)
        self.assertEqual(ofd.read(['token']), [{'id': ofd.id, 'token': False}])
        self.assertEqual(
            ofd.web_read({'token': {}, 'credentials_set': {}}), [{'id': ofd.id, 'token': False, 'credentials_set': "Token"}]
        )
        self.assertNotIn(TOKEN, str(ofd.export_data(['name', 'token', 'url'])))
        self.assertNotIn(TOKEN, str(ofd.read()))
        self.assertNotIn(TOKEN, str(ofd.copy_data()))

    def test_token_is_not_shown_to_who_has_just_saved_it(self):
        ofd = self.ofd.with_user(self.fiscal_admin)
        specification = {'token': {}, 'credentials_set': {}}
        [saved] = ofd.web_save({'token': "another"}, specification)
        self.assertEqual(saved, {'id': ofd.id, 'token': False, 'credentials_set': "Token"})
        self.assertEqual(self.ofd._get_endpoint().credentials, {'token': "another"})
        [created] = ofd.browse().web_save({'name': "New", 'url': 'http://127.0.0.1:9', 'token': "fresh"}, specification)
        self.assertEqual(created, {'id': created['id'], 'token': False, 'credentials_set': "Token"})

    def test_token_is_not_searched(self):
        model = self.env['kkt.ofd'].with_user(self.system_admin)
        for search in (
            lambda: model.search([('token', '=like', 's3%')]),
            lambda: model.search([], order='token'),
            lambda: model.formatted_read_group([], ['token']),
        ):
            with self.assertRaises(ValueError):
                search()

    def test_saving_without_a_token_keeps_it(self):
        self.ofd.with_user(self.fiscal_admin).write({'name': "Renamed", 'token': False})
        self.assertEqual(self.ofd._get_endpoint().credentials, {'token': TOKEN})

    def test_token_is_replaced(self):
        self.ofd.with_user(self.fiscal_admin).token = "another"
        self.assertEqual(self.ofd._get_endpoint().credentials, {'token': "another"})

    def test_token_that_no_request_can_carry_is_not_taken(self):
        for token in ("two\nlines", "line\n", "ключ", "with space", "\x7f"):
            with self.subTest(token=token), self.assertRaisesRegex(ValidationError, "no spaces and no line breaks"):
                self.ofd.with_user(self.fiscal_admin).token = token
            with self.assertRaises(ValidationError):
                self._create_ofd(token=token)
        self.assertEqual(self.ofd._get_endpoint().credentials, {'token': TOKEN})

    def test_another_address_forgets_the_token(self):
        self.ofd.with_user(self.fiscal_admin).url = 'http://127.0.0.1:8'
        self.assertFalse(self.ofd.credentials_set)
        self.assertEqual(self.ofd._get_endpoint().credentials, {})
        self.assertIn("these credentials were forgotten: Token", self.ofd.message_ids[0].body)

    def test_another_address_takes_its_own_token(self):
        self.ofd.with_user(self.fiscal_admin).write({'url': 'http://127.0.0.1:8', 'token': "fresh"})
        self.assertEqual(self.ofd._get_endpoint().credentials, {'token': "fresh"})
        self.assertNotIn("forgotten", str(self.ofd.message_ids.mapped('body')))

    def test_same_address_keeps_the_token(self):
        self.ofd.with_user(self.fiscal_admin).write({'url': self.ofd.url, 'protocol': 'http', 'name': "Renamed"})
        self.assertEqual(self.ofd._get_endpoint().credentials, {'token': TOKEN})

    def test_form_says_that_another_address_forgets_the_token(self):
        form = Form(self.ofd.with_user(self.fiscal_admin))
        with self.assertLogs('odoo.tests.form.onchange', 'WARNING') as warned:
            form.url = 'http://127.0.0.1:8'
        self.assertIn("belong to the earlier address", warned.output[0])

    def test_token_is_not_copied(self):
        copy = self.ofd.copy()
        self.assertFalse(copy.credentials_set)
        self.assertNotEqual(copy.breaker_id, self.ofd.breaker_id)

    def test_token_does_not_appear_in_the_chatter(self):
        self.ofd.with_user(self.fiscal_admin).write({'token': "another", 'url': 'http://127.0.0.1:8'})
        self.env.flush_all()
        tracking = self.ofd.message_ids.sudo().tracking_value_ids
        told = str(self.ofd.message_ids.mapped('body')) + str(tracking.read())
        self.assertNotIn("another", told)
        self.assertNotIn(TOKEN, told)

    def test_credentials_are_read_by_nobody(self):
        for user in (self.fiscal_admin, self.system_admin):
            for name, peep in self._get_ways_to_the_credentials(user).items():
                with self.subTest(user=user.login, way=name), self.assertRaises(AccessError):
                    peep()

    def _get_ways_to_the_credentials(self, user):
        ofd = self.ofd.with_user(user)
        registers = self.env['kkt.register'].with_user(user)
        guess = ('credentials', '=like', 's3%')
        return {
            'attribute': lambda: ofd.credentials,
            'read': lambda: ofd.read(['credentials']),
            'web_read': lambda: ofd.web_read({'credentials': {}}),
            'export': lambda: ofd.export_data(['credentials']),
            'search': lambda: ofd.search([guess]),
            'filter': lambda: ofd.filtered_domain([guess]),
            'order': lambda: ofd.search([], order='credentials'),
            'group': lambda: ofd.formatted_read_group([], ['credentials']),
            'aggregate': lambda: ofd.formatted_read_group([], [], ['credentials:array_agg']),
            'search by the register': lambda: registers.search([('ofd_id.credentials', '=like', 's3%')]),
            'any of the register': lambda: registers.search([('ofd_id', 'any', [guess])]),
            'group by the register': lambda: registers.formatted_read_group([], ['ofd_id.credentials']),
            'write': lambda: ofd.write({'credentials': {'token': "mine"}}),
            'create': lambda: ofd.create({'name': "Mine", 'url': 'http://127.0.0.1:9', 'credentials': {'token': "mine"}}),
        }

    def test_credentials_are_in_no_list_of_fields(self):
        ofd = self.ofd.with_user(self.system_admin)
        self.assertNotIn('credentials', list(ofd.fields_get()))
        self.assertNotIn('credentials', list(ofd.read()[0]))

    # -- credentials of another protocol, which declares a login and a password ----------------------------------------------

    def _create_parcel_ofd(self):
        return self._create_ofd(protocol='parcel', login="shop", password=TOKEN).with_user(self.fiscal_admin)

    def test_each_credential_has_its_field(self):
        ofd = self._create_parcel_ofd()
        self.assertEqual(ofd._get_endpoint().credentials, {'login': "shop", 'password': TOKEN})
        self.assertEqual(ofd.credentials_set, "Login, Password")
        self.assertEqual(
            ofd.read(['login', 'password', 'token']), [{'id': ofd.id, 'login': "shop", 'password': False, 'token': False}]
        )

    def test_one_credential_is_replaced_and_the_others_stay(self):
        ofd = self._create_parcel_ofd()
        ofd.password = "another"
        self.assertEqual(ofd._get_endpoint().credentials, {'login': "shop", 'password': "another"})
        ofd.write({'login': "branch", 'password': False})
        self.assertEqual(ofd._get_endpoint().credentials, {'login': "branch", 'password': "another"})
        ofd.login = False
        self.assertEqual(ofd._get_endpoint().credentials, {'password': "another"})

    def test_another_protocol_forgets_what_is_not_typed_in_anew(self):
        self.ofd.with_user(self.fiscal_admin).write({'protocol': 'parcel', 'password': "fresh"})
        self.assertEqual(self.ofd._get_endpoint().credentials, {'password': "fresh"})
        self.assertIn("forgotten: Token", self.ofd.message_ids[0].body)

    def test_form_has_a_field_for_each(self):
        arch = self.env['kkt.ofd'].with_user(self.fiscal_admin).get_view(view_type='form')['arch']
        for name, protocols, secret in (
            ('token', "['http']", "True"),
            ('login', "['atol_web', 'atol_online', 'parcel']", "False"),
            ('password', "['atol_web', 'atol_online', 'parcel']", "True"),
            ('group_code', "['atol_online', 'orangedata']", "False"),
            ('signing_key', "['orangedata']", "True"),
        ):
            with self.subTest(name=name):
                [node] = etree.fromstring(arch).xpath(f"//field[@name='{name}']")
                self.assertEqual((node.get('invisible'), node.get('password')), (f"protocol not in {protocols}", secret))

    def test_form_asks_for_what_the_protocol_needs(self):
        form = Form(self.env['kkt.ofd'].with_user(self.fiscal_admin))
        form.name, form.url, form.protocol = "New", 'http://127.0.0.1:9', 'parcel'
        form.login, form.password = "shop", TOKEN
        ofd = form.save()
        self.assertEqual(ofd._get_endpoint().credentials, {'login': "shop", 'password': TOKEN})
        self.assertNotIn(TOKEN, str(ofd.message_ids.mapped('body')) + str(ofd.read()) + str(ofd.export_data(['password'])))

    # -- the address -------------------------------------------------------------------------------------------------------

    def test_url_is_http(self):
        for url in ('ofd.example.com', 'ftp://127.0.0.1', 'file:///etc/passwd', ' http://127.0.0.1', 'javascript:alert(1)'):
            with self.subTest(url=url), self.assertRaisesRegex(ValidationError, "must begin with http"):
                self.ofd.url = url

    def test_url_is_one_of_its_protocol(self):
        with self.assertRaisesRegex(ValidationError, "must begin with tcp://"):
            self.ofd.protocol = 'ofd_tcp'
        self.ofd.write({'protocol': 'ofd_tcp', 'url': 'tcp://127.0.0.1:7777'})
        with self.assertRaisesRegex(ValidationError, "must begin with http"):
            self.ofd.protocol = 'http'

    def test_ofd_that_registers_send_to_is_not_archived(self):
        self.env.company.vat = '7700123459'
        register = self._create_register(self.env['pos.config'].create({'name': "Shop"}), ofd_id=self.ofd.id)
        with self.assertRaisesRegex(UserError, register.name):
            self.ofd.active = False
        register.active = False
        self.ofd.active = False

    def test_ofd_is_not_given_to_another_company_than_its_registers(self):
        self.env.company.vat = '7700123459'
        register = self._create_register(self.env['pos.config'].create({'name': "Shop"}), ofd_id=self.ofd.id)
        with self.assertRaisesRegex(ValidationError, register.name):
            self.ofd.company_id = self.env['res.company'].create({'name': "Another Shop"})
        self.ofd.company_id = False

    def test_every_ofd_has_its_own_breaker(self):
        other = self._create_ofd(name="Other")
        self.assertNotEqual(other.breaker_id, self.ofd.breaker_id)
        self.assertRecordValues(other.breaker_id, [{'name': "Other", 'state': 'closed', 'mode': 'automatic'}])

    def test_new_address_ends_a_pause(self):
        for values in ({'url': 'http://127.0.0.1:8'}, {'token': "another"}):
            self.ofd.write({'paused_until': '2099-01-01 00:00:00', 'pause_reason': "401"})
            self.ofd.with_user(self.fiscal_admin).write(values)
            self.assertRecordValues(self.ofd, [{'paused_until': False, 'pause_reason': False}])

    def test_other_changes_leave_a_pause(self):
        self.ofd.write({'paused_until': '2099-01-01 00:00:00'})
        self.ofd.with_user(self.fiscal_admin).write({'name': "Renamed"})
        self.assertTrue(self.ofd.paused_until)

    def test_resume_ends_a_pause(self):
        self.ofd.write({'paused_until': '2099-01-01 00:00:00', 'pause_reason': "401"})
        self.ofd.with_user(self.fiscal_admin).action_resume()
        self.assertRecordValues(self.ofd, [{'paused_until': False, 'pause_reason': False}])

    # -- "Test connection" -------------------------------------------------------------------------------------------------

    def _test_connection(self, url, token=False, **values):
        """What the button shows; it commits, so it runs on a cursor that may."""
        ofd = self._create_ofd(url=url, **(values or {'token': token}))
        return self._press_test(ofd)

    def _press_test(self, ofd):
        with self.enter_registry_test_mode(), self.registry.cursor() as cr:
            return ofd.with_env(self.env(cr=cr, user=self.fiscal_admin.id)).action_test_connection()['params']

    def test_connection_to_an_ofd_that_accepts_us(self):
        with running_ofd('--token', TOKEN) as url:
            shown = self._test_connection(url, TOKEN)
        self.assertEqual(shown['type'], 'success', shown)
        self.assertFalse(shown['sticky'])
        self.assertRegex(shown['message'], rf"^{url} answered in [0-9]+ ms\. Asked with: Token\.$")

    def test_connection_without_credentials_says_nothing_of_them(self):
        with running_ofd() as url:
            shown = self._test_connection(url)
        self.assertEqual((shown['type'], shown['title']), ('success', "The OFD answers"))
        self.assertRegex(shown['message'], r"Asked without credentials\.$")

    def test_connection_to_a_register_tells_what_it_is_and_what_differs(self):
        self.env.company.vat = '7700123459'
        values = {'protocol': 'atol_web', 'login': "kkt", 'password': TOKEN}
        with running_ofd('--token', TOKEN) as url:
            ofd = self._create_ofd(url=url, **values)
            config = self.env['pos.config'].create({'name': "Shop"})
            self._create_register(config, ofd_id=ofd.id, driver='remote', fiscal_drive_number='8710000100000002')
            shown = self._press_test(ofd)
            wrong = self._test_connection(url, **{**values, 'password': "wr0ng"})
        self.assertEqual(shown['type'], 'success', shown)
        for words in ("27Ф", "Fiscal drive 8710000100000001", "for INN 7700123459", "0, closed", "is 8710000100000002 here"):
            self.assertIn(words, shown['message'])
        self.assertEqual(wrong['type'], 'danger')
        self.assertNotIn("wr0ng", str(wrong))

    def _press(self, record, button):
        """What it shows, on a cursor that may commit."""
        with self.enter_registry_test_mode(), self.registry.cursor() as cr:
            return getattr(record.with_env(self.env(cr=cr, user=self.fiscal_admin.id)), button)()

    def test_what_a_register_says_of_itself_is_not_typed_in(self):
        self.env.company.vat = '7700123459'
        with running_ofd('--token', TOKEN) as url:
            ofd = self._create_ofd(url=url, protocol='atol_web', login="kkt", password=TOKEN)
            form = Form(self.env['kkt.register'].with_context(**self._press(ofd, 'action_new_register')['context']))
            self.assertEqual((form.fiscal_drive_number, form.registration_number), ('8710000100000001', '0000000001022407'))
            self.assertEqual((form.serial_number, form.driver, form.ofd_id), ('00106', 'remote', ofd))
            register = self._create_register(
                self.env['pos.config'].create({'name': "Shop"}),
                ofd_id=ofd.id, driver='remote', serial_number='00106', registration_number='0000000001022407',
                fiscal_drive_number='8710000100000002',
            )  # fmt: skip
            shown = self._press(register, 'action_read_device')['params']
            again = self._press(register, 'action_read_device')['params']
            register.invalidate_recordset()
            self.assertEqual(register.drive_valid_until, form.drive_valid_until)
            self.assertTrue(register.drive_valid_until, "the register itself tells when its drive ends")
            self.env.company.vat = '7707083893'
            register.fiscal_drive_number = '8710000100000003'
            warned = self._press(register, 'action_read_device')['params']
        register.invalidate_recordset()
        self.assertEqual(register.fiscal_drive_number, '8710000100000003', "nothing is taken over from somebody else's")
        self.assertIn("8710000100000001 instead of 8710000100000002", shown['message'])
        self.assertEqual((again['type'], again['message']), ('success', "Everything was right already."))
        self.assertEqual(warned['type'], 'warning')
        self.assertIn("registered for INN 7700123459, and", warned['message'])

    def test_the_command_shows_the_device(self):
        self.env.company.vat = '7700123459'
        with running_ofd('--token', TOKEN) as url:
            ofd = self._create_ofd(url=url, protocol='atol_web', login="kkt", password=TOKEN)
            values = {'ofd_id': ofd.id, 'driver': 'remote', 'fiscal_drive_number': '8710000100000001'}
            elsewhere = self._create_register(self.env['pos.config'].create({'name': "Shop"}), **values)
            emulated = self._create_register(self.env['pos.config'].create({'name': "Another"}))
            with self.enter_registry_test_mode(), self.registry.cursor() as cr:
                told = [Kkt()._describe_device(register.with_env(self.env(cr=cr, su=True))) for register in (elsewhere, emulated)]
        self.assertIn("Fiscal drive 8710000100000001", told[0])
        self.assertIsNone(told[1])

    def test_what_says_nothing_of_itself_changes_nothing(self):
        self.env.company.vat = '7700123459'
        values = {'protocol': 'atol_online', 'login': "kkt", 'password': TOKEN, 'group_code': "shop-1"}
        with running_ofd('--token', TOKEN) as url:
            ofd = self._create_ofd(url=f'{url}/possystem/v5', **values)
            with self.assertRaisesRegex(UserError, "It tells nothing of itself"):
                self._press(ofd, 'action_new_register')
        manager = new_test_user(self.env, 'pos_manager', 'point_of_sale.group_pos_manager')
        register = self._create_register(
            self.env['pos.config'].create({'name': "Shop"}),
            ofd_id=ofd.id,
            driver='remote',
            fiscal_drive_number='8710000100000002',
        )
        for record, button in ((register, 'action_read_device'), (ofd, 'action_new_register')):
            with self.assertRaises(AccessError):
                getattr(record.with_user(manager), button)()

    def test_connection_to_the_cloud_tells_what_was_accepted(self):
        values = {'protocol': 'atol_online', 'login': "kkt", 'password': TOKEN, 'group_code': "shop-1"}
        with running_ofd('--token', TOKEN) as url:
            shown = self._test_connection(f'{url}/possystem/v5', **values)
            wrong = self._test_connection(f'{url}/possystem/v5', **{**values, 'password': "wr0ng"})
            astray = self._test_connection(url, **values)
        self.assertEqual((shown['type'], shown['title']), ('success', "The register answers and accepts our credentials"))
        asked = r"Asked with: Login kkt, Password, Group Code shop-1\."
        self.assertRegex(shown['message'], rf"^{url}/possystem/v5 answered in [0-9]+ ms\. {asked}$")
        self.assertEqual([wrong['type'], astray['type']], ['danger', 'danger'])
        self.assertRegex(wrong['message'], rf"^{url}/possystem/v5, after [0-9]+ ms: .*12: Неверный логин или пароль\. {asked}$")
        self.assertRegex(astray['message'], rf"^{url}, after [0-9]+ ms: HTTP 404, application/json\. {asked}$")
        self.assertNotIn(TOKEN, str([shown, wrong, astray]))

    def test_an_emulated_register_sends_nothing_to_a_real_one(self):
        self.env.company.vat = '7700123459'
        register = self._create_register(self.env['pos.config'].create({'name': "Shop"}), ofd_id=self.ofd.id)
        with self.assertRaisesRegex(ValidationError, "real cash register"), self.env.cr.savepoint():
            self.ofd.protocol = 'atol_web'
        with self.assertRaisesRegex(ValidationError, "real cash register"), self.env.cr.savepoint():
            register.ofd_id = self._create_ofd(protocol='atol_web')
        with self.assertRaisesRegex(ValidationError, "9999 are reserved"), self.env.cr.savepoint():
            register.driver = 'remote'
        register.write({'driver': 'remote', 'fiscal_drive_number': '8710000100000001'})
        self.assertIn("brings no numbers back", register.check_list)
        self.ofd.protocol = 'atol_web'
        self.assertNotIn("brings no numbers back", register.check_list)  # the shop's currency is another matter

    def test_connection_with_a_wrong_token(self):
        with running_ofd('--token', TOKEN) as url:
            shown = self._test_connection(url, "wrong-t0ken")
        self.assertEqual(shown['type'], 'danger')
        self.assertIn("credentials", shown['title'])
        self.assertNotIn("wrong-t0ken", str(shown))

    def test_connection_shows_no_page_of_others(self):
        with running_internal_page() as url:
            for status in (200, 400, 403, 500):
                shown = self._test_connection(f'{url}/{status}')
                with self.subTest(status=status):
                    self.assertEqual(shown['type'], 'danger')
                    self.assertNotIn("Salaries", str(shown))

    def test_connection_to_a_closed_port(self):
        with running_ofd() as url:
            pass
        shown = self._test_connection(url)  # where it was, nobody listens now
        self.assertEqual(shown['type'], 'danger')
        words = re.escape(os.strerror(errno.ECONNREFUSED))  # the system's, in its language
        self.assertRegex(shown['message'], rf"^{url}, after [0-9]+ ms: .*{words}.* Asked without credentials\.$")
        self.assertIn("can't be reached", shown['title'])

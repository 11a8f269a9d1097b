"""Two shops that differ in one thing: the addon."""

import atexit
import os
import subprocess
from contextlib import contextmanager
from functools import cache

import psycopg2
from harness.stack import Database, Odoo, as_environment, environment_dsn

TEMPLATE = "opterp_kkt_bench"
TILLS = 16
SHOP = f"""
env = env(user=env.ref('base.user_admin'))
roubles = env.ref('base.RUB')
roubles.active = True
env.company.write({{'currency_id': roubles.id, 'vat': '7702203276', 'country_id': env.ref('base.ru').id}})
tax = env['account.tax'].create({{
    'name': 'VAT 22 %', 'amount': 22, 'type_tax_use': 'sale', 'price_include_override': 'tax_included'}})
for number in range(3):
    env['product.product'].create({{
        'name': f'Frame {{number}}', 'available_in_pos': True, 'list_price': 1000 + number, 'taxes_id': [(6, 0, tax.ids)]}})
for number in range(1, {TILLS} + 1):
    journal = env['account.journal'].create({{'name': f'Cash {{number}}', 'type': 'cash', 'code': f'C{{number}}'}})
    cash = env['pos.payment.method'].create({{'name': f'Cash {{number}}', 'journal_id': journal.id}})
    env['pos.config'].create({{'name': f'Till {{number}}', 'payment_method_ids': [(6, 0, cash.ids)]}})
env.cr.commit()
"""
REGISTERS = """
from odoo.addons.opterp_kkt.core.registration_number import complete
env = env(user=env.ref('base.user_admin'))
ofd = env['kkt.ofd'].create({'name': 'Nobody', 'url': 'http://127.0.0.1:9'})
for config in env['pos.config'].search([('name', '=like', 'Till %')]):
    env['kkt.register'].create({
        'name': config.name, 'pos_config_id': config.id, 'ofd_id': ofd.id, 'serial_number': f'{config.id:020}',
        'registration_number': complete(f'{config.id:010}', env.company.vat, f'{config.id:020}'),
        'fiscal_drive_number': f'9999{config.id:012}',
        'retail_address': 'Moscow', 'retail_place': 'Shop'})
env.cr.commit()
"""


@contextmanager
def two_shops():
    """Yield (host without the addon, host with it) over copies of one shop. No crons run."""
    _ensure_template()
    with (
        Database(TEMPLATE) as plain,
        Database(_make_fiscal()) as fiscal,
        Odoo(plain, crons=0) as without,
        Odoo(fiscal, crons=0) as with_addon,
    ):
        yield without, with_addon


@cache
def _make_fiscal() -> str:
    """The name of the same shop with the addon as it is now, made once for all measurements of a run."""
    shop = Database(TEMPLATE).create()
    atexit.register(shop.drop)
    _odoo(shop.name, "-i", "opterp_kkt")
    _odoo(shop.name, script=REGISTERS)
    return shop.name


def config_ids(host: Odoo) -> list[int]:
    """The tills of a shop."""
    return [row["id"] for row in host.database.query("SELECT id FROM pos_config WHERE name LIKE 'Till %%' ORDER BY id")]


def _ensure_template():
    """A shop without the addon, made once."""
    with psycopg2.connect(dbname="postgres", **environment_dsn()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [TEMPLATE])
        if cursor.fetchone():
            return
    print("making a shop without the addon (a minute or two, once)", flush=True)
    _odoo(TEMPLATE, "-i", "point_of_sale", "--without-demo=all")
    _odoo(TEMPLATE, script=SHOP)


def _odoo(database: str, *arguments: str, script: str | None = None):
    """Run Odoo's command line to its end."""
    command = ["odoo", *(["shell"] if script else ["--stop-after-init"]), "-c", os.environ["ODOO_RC"], "-d", database]
    subprocess.run(
        [*command, "--log-level=error", "--max-cron-threads=0", *arguments],
        input=script,
        text=True,
        check=True,
        env=os.environ | as_environment(environment_dsn()),
        stdout=subprocess.DEVNULL,
    )

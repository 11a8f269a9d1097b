from odoo import SUPERUSER_ID, api


def migrate(cr, version):
    """The counters of a drive begin with its first receipt: shifts of before are counted, one after another."""
    for shift in api.Environment(cr, SUPERUSER_ID, {})['kkt.shift'].search([], order='id'):
        shift.write(shift._count())
        shift.env.invalidate_all()

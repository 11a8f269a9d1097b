import os
import platform
import shutil
from contextlib import suppress

from odoo import api, fields, models
from odoo.tools import config

from ..core import wear

# A role without privileges does not see the setting. Whether PostgreSQL runs on this host, a connection of any role tells.
DATA_DIRECTORY = "SELECT setting AS path FROM pg_settings WHERE name = 'data_directory'"
IS_LOCAL = "SELECT inet_server_addr() IS NULL OR inet_server_addr() = inet_client_addr() AS yes"
DEBIANS = '/var/lib/postgresql'  # where it is by default
LAST_OF_DRIVE = "SELECT max(fd_number) AS number FROM kkt_receipt WHERE fiscal_drive_number = %s AND fd_number > 0"
GIGABYTE = 2**30


class KktWatch(models.AbstractModel):
    """What comes to its end, seen before it stops a shop: disks of the host that looks, and fiscal drives.

    A full disk under PostgreSQL stops sales, one under the filestore what is stored with them. What can be read without
    privileges is: the filestore, and PostgreSQL's data where it lies on the same host.
    """

    _inherit = 'kkt.watch'

    @api.model
    def _find(self):
        # EXTENDS: these causes, too
        found = {'disk': self._find_disk(), 'drive': self._find_drive()}
        return {
            **super()._find(),
            **{(kind, record): cause for kind, causes in found.items() for record, cause in causes.items()},
        }

    # -- disks -------------------------------------------------------------------------------------------------------------

    @api.model
    def _find_disk(self):
        """All that are nearly full, told on one OFD of each company: every one is concerned, and each is told once."""
        disks = [disk for disk in self._get_disks() if wear.get_disk_level(disk['percent'])]
        if not disks:
            return {}
        cause = (max(wear.get_disk_level(disk['percent']) for disk in disks), {'host': platform.node(), 'disks': disks})
        registers = self.env['kkt.register'].search([('active', '=', True)])
        return {registers.filtered(lambda r: r.company_id == company)[:1].ofd_id: cause for company in registers.company_id}  # noqa: B023

    @api.model
    def _get_disks(self):
        """What each holds and how full it is; two that are one disk are told as one."""
        disks = {}
        for name, path in self._get_paths().items():
            with suppress(OSError):  # not there, or not ours to look at
                usage = shutil.disk_usage(path)
                disk = disks.setdefault(
                    os.stat(path).st_dev,
                    {
                        'holds': [],
                        'percent': round(100 * (usage.total - usage.free) / usage.total),
                        'free': round(usage.free / GIGABYTE, 1),
                    },
                )
                disk['holds'].append(name)
        return list(disks.values())

    @api.model
    def _get_paths(self):
        paths = {'filestore': config.filestore(self.env.cr.dbname)}
        if self._query(IS_LOCAL)[0]['yes']:
            told = self._query(DATA_DIRECTORY)
            paths['database'] = told[0]['path'] if told else DEBIANS
        return paths

    # -- fiscal drives -----------------------------------------------------------------------------------------------------

    @api.model
    def _find_drive(self):
        """Of which a person, or the register itself, has said how long it lasts or how much it holds."""
        found = {}
        for register in self.env['kkt.register'].search(['|', ('drive_valid_until', '!=', False), ('drive_capacity', '>', 0)]):
            left = self._get_left(register)
            percent = None if left['documents'] is None else 100 - 100 * left['documents'] / register.drive_capacity
            if level := wear.get_drive_level(left['days'], percent):
                found[register] = (level, {**left, 'drive': register.fiscal_drive_number})
        return found

    @api.model
    def _get_left(self, register):
        until, capacity = register.drive_valid_until, register.drive_capacity
        [last] = self._query(LAST_OF_DRIVE, register.fiscal_drive_number)
        return {
            'days': (until - fields.Date.context_today(self)).days if until else None,
            'until': fields.Date.to_string(until) if until else None,
            'documents': max(0, capacity - (last['number'] or 0)) if capacity else None,
        }

from odoo import fields, models
from odoo.tools import format_date

from .kkt_alarm_texts import Texts


class KktAlarm(models.Model):
    """What is said of what comes to its end: disks, and fiscal drives."""

    _inherit = 'kkt.alarm'

    def _get_disk_texts(self, facts):
        names = {'database': self.env._("the database"), 'filestore': self.env._("stored files")}
        disks = [
            self.env._(
                "%(percent)s %% used, %(free)s GB free: %(holds)s",
                percent=disk['percent'],
                free=disk['free'],
                holds=", ".join(names[name] for name in disk['holds']),
            )
            for disk in facts['disks']
        ]
        values = {'host': facts['host'], 'disks': "; ".join(disks)}
        return Texts(
            self.env._("A disk of %(host)s is nearly full", **values),
            self.env._("Disks of %(host)s: %(disks)s.", **values),
            self.env._("Sales and receipts go on. When the disk is full, PostgreSQL stops, and with it every till."),
            self.env._(
                "Tell the system administrator: make room (old backups, logs) or enlarge the disk. The database must not be made"
                " smaller by deleting receipts: the law asks to keep them."
            ),
        )

    def _get_drive_texts(self, facts):
        days, documents = facts['days'], facts['documents']
        facts['until'] = facts['until'] and format_date(self.env, fields.Date.to_date(facts['until']))
        over = days is not None and days <= 0 or documents == 0
        happened = [
            days is not None
            and self.env._("The fiscal drive %(drive)s of %(name)s is valid until %(until)s: %(days)s days.", **facts),
            documents is not None
            and self.env._("The fiscal drive %(drive)s of %(name)s has room for %(documents)s documents.", **facts),
        ]
        return Texts(
            self.env._("%(name)s: the fiscal drive has come to its end", **facts)
            if over
            else self.env._("%(name)s: the fiscal drive is coming to its end", **facts),
            " ".join(filter(None, happened)),
            self.env._("A drive at its end makes no receipts: what is sold then has none, and the law forbids to sell so.")
            if over
            else self.env._("Sales and receipts go on until then. A drive at its end makes no receipts, so the shop can't sell."),
            self.env._(
                "Order a new fiscal drive and have the register registered with it. Then close the shift, and type in number and"
                " end of the new drive on the register."
            ),
        )

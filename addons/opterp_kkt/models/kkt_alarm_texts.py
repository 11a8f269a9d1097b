from typing import NamedTuple

from odoo import fields, models
from odoo.tools import format_datetime


class Texts(NamedTuple):
    """What a person is told."""

    title: str
    happened: str
    meaning: str
    to_do: str


class KktAlarm(models.Model):
    """What an alarm says, in the language of who reads it: a `_get_…_texts` for each kind, which is given its facts."""

    _inherit = 'kkt.alarm'

    def _get_texts(self):
        """What happened, what it means for the shop, what to do: in the language of the context."""
        self.ensure_one()
        facts = {**self.facts, 'name': self._get_record().display_name}
        if facts.get('document'):
            facts['document'] = self.env['kkt.receipt'].browse(facts['document']).display_name
        return getattr(self, f'_get_{self.kind}_texts')(facts)

    def _format(self, moment):
        """A fact that is a time (UTC), for reading."""
        return format_datetime(self.env, fields.Datetime.to_datetime(moment), self.env.context.get('tz', False), 'short')

    def _get_overdue_texts(self, facts):
        values = {**facts, 'oldest': self._format(facts['oldest']), 'deadline': self._format(facts['deadline'])}
        reasons = {
            'held': self.env._("The register is held."),
            'forced_open': self.env._("The circuit breaker of the OFD is forced open."),
            'open': self.env._("The OFD does not answer."),
            'paused': self.env._("Delivery to the OFD is paused."),
        }
        calm = self.env._(
            "Open the register to see what stands in the way. Check the shop's internet and the OFD's"
            " address, then press Deliver now."
        )
        urgent = self.env._("Call the OFD today, and the service of the register.")
        happened = self.env._("Documents of %(name)s that wait for the OFD: %(count)s, the oldest since %(oldest)s.", **values)
        return Texts(
            self.env._("%(name)s: receipts wait since %(oldest)s", **values),
            " ".join(filter(None, [happened, reasons.get(facts['reason'])])),
            self._get_overdue_meaning(values),
            calm if self.level < 3 else f"{calm} {urgent}",
        )

    def _get_overdue_meaning(self, values):
        return {
            1: self.env._("Sales go on and receipts are kept. By law they must reach the OFD by %(deadline)s.", **values),
            2: self.env._(
                "A day has passed. Sales go on and receipts are kept, but by law they must reach the OFD by %(deadline)s.",
                **values,
            ),
            3: self.env._(
                "25 of the law's 30 days have passed. On %(deadline)s a fiscal drive blocks: this register can then"
                " make no receipts, so the shop can't sell through it.",
                **values,
            ),
            4: self.env._(
                "The law's 30 days were over on %(deadline)s: a fiscal drive is blocked now. Do not sell through this"
                " register until its receipts have arrived.",
                **values,
            ),
        }[self.level]

    def _get_held_texts(self, facts):
        return Texts(
            self.env._("%(name)s is held", **facts),
            " ".join(
                filter(
                    None,
                    [
                        facts['document'] and self.env._("Nothing of %(name)s is sent, because of %(document)s.", **facts),
                        self._get_record().hold_reason,
                    ],
                )
            ),
            self.env._(
                "Sales go on and receipts are kept, but none of this register reaches the OFD, where they must"
                " arrive within 30 days."
            ),
            self.env._(
                "Open the register and the document it is held for. Then press Release Hold, or mark that document as handled."
            ),
        )

    def _get_stuck_texts(self, facts):
        if facts['absent']:
            known = self.env._(
                "The OFD answers, but it does not take this document (%(error)s). It says that it does not have it.", **facts
            )
        elif facts['answered']:
            known = self.env._(
                "The OFD answers, but not about this document (%(error)s): whether it has it is not known.", **facts
            )
        else:
            known = self.env._("The OFD does not answer (%(error)s): whether it has the document is not known.", **facts)
        passing = self.env._("Documents of other registers passed in between: after some more tries this register is held.")
        return Texts(
            self.env._("%(name)s: %(document)s does not pass", **facts),
            " ".join(
                filter(
                    None,
                    [
                        self.env._("%(document)s of %(name)s was tried in vain, times: %(tries)s.", **facts),
                        known,
                        facts['alone'] and passing,
                    ],
                )
            ),
            self.env._(
                "It is tried on by itself, and all of this register waits behind it. Sales go on and receipts are kept,"
                " but they must reach the OFD within 30 days."
            ),
            self.env._(
                "Ask the OFD what is wrong. On the register, Hold stops the tries; Handled leaves this document out, once"
                " the OFD has said that it does not have it, and the rest goes on."
            ),
        )

    def _get_rejected_texts(self, facts):
        return Texts(
            self.env._("%(name)s: rejected receipts (%(count)s)", **facts),
            self.env._(
                "Receipts of %(name)s that the OFD refused or that could not be built: %(count)s. The latest is"
                " %(document)s: %(error)s",
                **facts,
            ),
            self.env._("The sales are stored, but their receipts are not with the OFD, and nothing tries again by itself."),
            self.env._(
                "Open the rejected receipts of the register. If the cause is put right, press Retry, which sends the same"
                " document. What is wrong in a document itself is put right by a correction receipt: open it and press Correct,"
                " which marks it as handled, too."
            ),
        )

    def _get_clock_texts(self, facts):
        return Texts(
            self.env._("%(name)s: the clock is %(ahead)s s ahead", **facts),
            self.env._("The last stamp of %(name)s lies %(ahead)s seconds ahead of the database's clock.", **facts),
            self.env._(
                "Sales and receipts go on in the right order. Until the clocks have caught up, new stamps only count on"
                " from there and don't tell the time."
            ),
            self.env._("Check the clocks (NTP) of all hosts that run Odoo, and of PostgreSQL's."),
        )

    def _get_host_clock_texts(self, facts):
        return Texts(
            self.env._("%(name)s: the clocks of the servers differ", **facts),
            self.env._("The clock of PostgreSQL and that of a host that runs Odoo differ by some %(ahead)s seconds.", **facts),
            self.env._(
                "Receipts state the time of PostgreSQL's clock (tag 1012): if that one is wrong, so are they. Sales and"
                " delivery go on."
            ),
            self.env._("Check the clocks (NTP) of PostgreSQL's host and of all hosts that run Odoo."),
        )

    def _get_till_clock_texts(self, facts):
        return Texts(
            self.env._("%(name)s: a till's clock is wrong", **facts),
            self.env._(
                "Sales of %(name)s that came in the last hour with a stamp that is malformed or more than a minute"
                " ahead: %(count)s.",
                **facts,
            ),
            self.env._("The receipts are right: they have the server's time. When the sale was made at the till is not known."),
            self.env._("Set the clock of the device that the cashier works at to automatic."),
        )

    def _get_misconfigured_texts(self, facts):
        return Texts(
            self.env._("%(name)s does not take our documents", **facts),
            self.env._("The OFD %(name)s answers, but not as one that knows us: %(message)s", **facts),
            self.env._(
                "Sales go on and receipts are kept, but none reaches the OFD, where they must arrive within 30"
                " days. Registers that wait: %(count)s.",
                **facts,
            ),
            self.env._(
                "Open the OFD, correct its address or its token, and press Test Connection. If both are right, ask"
                " the OFD whether the contract is valid."
            ),
        )

    def _get_crons_texts(self, facts):
        return Texts(
            self.env._("%(name)s: delivery does not run", **facts),
            self.env._(
                "Documents wait for %(name)s (registers: %(count)s), and no delivery job has run for ten minutes.", **facts
            ),
            self.env._("Sales go on and receipts are kept, but they are only sent when somebody presses Deliver now."),
            self.env._(
                "In Settings, Technical, Scheduled Actions, see that the jobs called KKT: deliver receipts are active,"
                " and in the server's log why they fail. The server needs max_cron_threads of at least their number plus"
                " two."
            ),
        )

    def _get_redis_texts(self, facts):
        return Texts(
            self.env._("%(name)s: Redis is missing", **facts),
            self.env._("Registers that were delivered to %(name)s without their lease in Redis: %(count)s.", **facts),
            self.env._(
                "Nothing stops and nothing is sent twice: delivery goes on under the database's guard alone. Other workers"
                " only try in vain a little more often."
            ),
            self.env._(
                "Start Redis again, or correct its address (ODOO_KKT_REDIS_URL, or redis_url in section opterp_kkt of"
                " Odoo's configuration file)."
            ),
        )

    def _get_breaker_texts(self, facts):
        facts = {**facts, 'reason': facts['reason'] or self.env._("no reason is given")}
        titles = {
            'forced_open': self.env._("%(name)s is forced open", **facts),
            'disabled': self.env._("%(name)s is disabled", **facts),
            'open': self.env._("%(name)s does not answer", **facts),
        }
        happened = {
            'forced_open': self.env._("Somebody has forced the circuit breaker %(name)s open: %(reason)s", **facts),
            'disabled': self.env._("Somebody has disabled the circuit breaker %(name)s: %(reason)s", **facts),
            'open': self.env._(
                "The OFD has not answered for a quarter of an hour or more, so the circuit breaker %(name)s"
                " lets only one document a minute try.",
                **facts,
            ),
        }
        meanings = {
            'disabled': self.env._(
                "Everything is sent at once, also while the OFD does not answer: each sale then waits for"
                " the network's time limit in delivery, never at the till."
            ),
        }
        to_do = {
            'open': self.env._(
                "Check the shop's internet and the OFD's address (Test Connection); call the OFD. When"
                " it answers again, everything is sent by itself."
            ),
        }
        return Texts(
            titles[facts['mode']],
            happened[facts['mode']],
            meanings.get(
                facts['mode'],
                self.env._("Sales go on and receipts are kept, but none reaches the OFD, where they must arrive within 30 days."),
            ),
            to_do.get(facts['mode'], self.env._("Open the circuit breaker and set its mode back to automatic.")),
        )

    def _get_shift_texts(self, facts):
        shift = self.env['kkt.shift'].browse(facts['shift'])
        facts = {**facts, 'shift': shift.display_name, 'opened': self._format(shift.opened_at)}
        return Texts(
            self.env._("%(name)s: the shift is open since %(opened)s", **facts),
            self.env._("%(shift)s of %(name)s is open since %(opened)s, and nobody has closed it.", **facts),
            self.env._("By law a shift lasts for 24 hours at most. The till will not sell then until it is closed.")
            if facts['refuses']
            else self.env._("By law a shift lasts for 24 hours at most. The next sale after that closes it by itself."),
            self.env._("Close the session of the point of sale, or press Close Shift on the register."),
        )

from datetime import timedelta
from typing import NamedTuple

from markupsafe import Markup

from odoo import api, fields, models
from odoo.tools import format_datetime


class Kind(NamedTuple):
    """What is known of a kind of alarm: on which record it is, for how long the cause must last, who has to hear of it."""
    label: str
    model: str
    patience: timedelta = timedelta()
    mailed: bool = False


KINDS = {
    'overdue': Kind("Receipts wait for long", 'kkt.register', mailed=True),
    'held': Kind("Register held", 'kkt.register', mailed=True),
    'stuck': Kind("A document does not pass", 'kkt.register', mailed=True),
    'rejected': Kind("Receipts rejected", 'kkt.register', mailed=True),
    'clock': Kind("Server's clock ahead", 'kkt.register'),
    'host_clock': Kind("Clocks of servers differ", 'kkt.ofd', patience=timedelta(minutes=5), mailed=True),
    'till_clock': Kind("Till's clock wrong", 'kkt.register'),
    'misconfigured': Kind("Operator misconfigured", 'kkt.ofd', mailed=True),
    'crons': Kind("Delivery does not run", 'kkt.ofd', patience=timedelta(minutes=5), mailed=True),  # a first run may be under way
    'redis': Kind("Redis missing", 'kkt.ofd', patience=timedelta(minutes=5)),
    'breaker': Kind("Operator cut off", 'kkt.circuit.breaker', patience=timedelta(minutes=15)),
}


class Texts(NamedTuple):
    """What a person is told."""
    title: str
    happened: str
    meaning: str
    to_do: str


class KktAlarm(models.Model):
    """Something that a person has to look at, from when the watch (`kkt.watch`) sees its cause until the cause is gone.

        cause seen ──patience──> told: an activity for each fiscal administrator, an e-mail for serious kinds
                                  │ ↺ facts change: the activities say so; the level rises: told again
        cause gone ───────────────┴──> the alarm and its open activities are removed

    One per kind and record. The texts are made when they are read, in the reader's language, from the kind and the facts.
    """
    _name = 'kkt.alarm'
    _description = "Alarm of Fiscal Receipts"
    _order = 'level DESC, first_seen, id'
    _log_access = False

    kind = fields.Selection([(name, kind.label) for name, kind in KINDS.items()], required=True, readonly=True)
    res_model = fields.Char("Model", required=True, readonly=True)
    res_id = fields.Many2oneReference("Record", model_field='res_model', required=True, readonly=True)
    company_id = fields.Many2one('res.company', readonly=True, help="Empty: every company is concerned.")
    level = fields.Integer(required=True, readonly=True, help="Of receipts that wait: 1 an hour, 2 a day, 3 25 days, 4 30 days.")
    told_level = fields.Integer(readonly=True, default=0, help="Zero while the cause may still pass by itself.")
    facts = fields.Json(readonly=True)
    first_seen = fields.Datetime("Since", required=True, readonly=True)
    last_seen = fields.Datetime(required=True, readonly=True)
    activity_ids = fields.One2many('mail.activity', 'kkt_alarm_id', readonly=True)

    record_name = fields.Char("Concerns", compute='_compute_texts', compute_sudo=True)
    title = fields.Char(compute='_compute_texts', compute_sudo=True)
    happened = fields.Text("What Happened", compute='_compute_texts', compute_sudo=True)
    meaning = fields.Text("What It Means", compute='_compute_texts', compute_sudo=True)
    to_do = fields.Text("What to Do", compute='_compute_texts', compute_sudo=True)

    _record_uniq = models.Constraint('unique (kind, res_model, res_id)', "There is such an alarm already.")

    @api.depends('title')
    def _compute_display_name(self):
        for alarm in self:
            alarm.display_name = alarm.title

    @api.depends('kind', 'level', 'facts')
    @api.depends_context('lang', 'tz')
    def _compute_texts(self):
        for alarm in self:
            texts = alarm._get_texts()
            alarm.update({'record_name': alarm._get_record().display_name, **texts._asdict()})

    def action_open(self):
        """Open the record that is concerned."""
        self.ensure_one()
        return self._get_record().get_formview_action()

    def _get_record(self):
        return self.env[self.res_model].browse(self.res_id)

    # -- what the watch calls ----------------------------------------------------------------------------------------------

    @api.model
    def _note(self, causes):
        """Keep an alarm for every cause that lasts, and none for any other; tell people what is new.

        :param causes: `{(kind, record): (level, facts)}`, all that are there now
        """
        now = self.env.cr.now().replace(microsecond=0)
        known = {(alarm.kind, alarm._get_record()): alarm for alarm in self.search([])}
        gone = self.union(*(alarm for key, alarm in known.items() if key not in causes))
        gone._end()
        changed = self.browse()
        for key, (level, facts) in causes.items():
            alarm = known.get(key) or self._begin(*key, now)
            changed |= alarm._update(level, facts, now)
        new = self.search([]).filtered(lambda alarm: alarm._is_new(now))  # pylint: disable=no-search-all
        (changed - new)._refresh_activities()
        new._tell()

    @api.model
    def _begin(self, kind, record, now):
        company = record.company_id if 'company_id' in record else record.ofd_ids.company_id
        return self.create({
            'kind': kind, 'res_model': record._name, 'res_id': record.id, 'level': 0, 'first_seen': now, 'last_seen': now,
            'company_id': company.id if len(company) == 1 else False})

    def _update(self, level, facts, now):
        """Write down how it is now. Return the alarm if that is not as it was."""
        changed = (level, facts) != (self.level, self.facts)
        self.write({'level': level, 'facts': facts, 'last_seen': now, 'told_level': min(self.told_level, level)})
        return self if changed else self.browse()

    def _is_new(self, now):
        return self.level > self.told_level and now - self.first_seen >= KINDS[self.kind].patience

    def _end(self):
        self.activity_ids.unlink()
        self.unlink()

    # -- telling -----------------------------------------------------------------------------------------------------------

    def _tell(self):
        """Give each fiscal administrator an activity per alarm, and one e-mail about all serious ones."""
        if not self:
            return
        for user in self.env.ref('opterp_kkt.group_fiscal_admin').sudo().all_user_ids.filtered('active'):
            own = self.filtered(lambda alarm: not alarm.company_id or alarm.company_id in user.company_ids)  # noqa: B023
            own._schedule_activities(user)
            own.filtered(lambda alarm: KINDS[alarm.kind].mailed)._send_mail(user)
        for alarm in self:
            alarm.told_level = alarm.level

    def _schedule_activities(self, user):
        there = self.activity_ids.filtered(lambda activity: activity.user_id == user)
        there.kkt_alarm_id._refresh_activities()
        self.env['mail.activity'].with_context(mail_activity_quick_update=True).create([{
            'activity_type_id': self.env.ref('opterp_kkt.mail_activity_type_alarm').id,
            'kkt_alarm_id': alarm.id,
            'res_model_id': self.env['ir.model']._get_id(alarm.res_model),
            'res_id': alarm.res_id,
            'user_id': user.id,
            'automated': True,
            **alarm._get_activity_texts(user),
        } for alarm in self - there.kkt_alarm_id])

    def _refresh_activities(self):
        for activity in self.activity_ids:
            activity.write(activity.kkt_alarm_id._get_activity_texts(activity.user_id))

    def _get_activity_texts(self, user):
        alarm = self._for_reader(user)
        texts = alarm._get_texts()
        return {
            'summary': texts.title,
            'note': Markup("<p>%s</p><p><b>%s</b> %s</p><p><b>%s</b> %s</p>") % (
                texts.happened, alarm.env._("What it means:"), texts.meaning, alarm.env._("What to do:"), texts.to_do),
        }

    def _send_mail(self, user):
        """One e-mail to one person."""
        if self and user.email:
            alarms = [
                {**alarm._get_texts()._asdict(), 'url': alarm._get_url()} for alarm in self._for_reader(user)]
            template = self.env.ref('opterp_kkt.mail_template_alarm')
            template.with_context(kkt_alarms=alarms).send_mail(user.id)

    def _get_url(self):
        return f"{self.get_base_url()}/mail/view?model={self.res_model}&res_id={self.res_id}"

    def _for_reader(self, user):
        return self.with_context(lang=user.lang, tz=user.tz)

    # -- texts -------------------------------------------------------------------------------------------------------------

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
            'forced_open': self.env._("The circuit breaker of the operator is forced open."),
            'open': self.env._("The operator does not answer."),
            'paused': self.env._("Delivery to the operator is paused."),
        }
        meanings = {
            1: self.env._("Sales go on and receipts are kept. By law they must reach the operator by %(deadline)s.", **values),
            2: self.env._("A day has passed. Sales go on and receipts are kept, but by law they must reach the operator by"
                          " %(deadline)s.", **values),
            3: self.env._("25 of the law's 30 days have passed. On %(deadline)s a fiscal drive blocks: this register can then"
                          " make no receipts, so the shop can't sell through it.", **values),
            4: self.env._("The law's 30 days were over on %(deadline)s: a fiscal drive is blocked now. Do not sell through this"
                          " register until its receipts have arrived.", **values),
        }
        calm = self.env._("Open the register to see what stands in the way. Check the shop's internet and the operator's"
                          " address, then press Deliver now.")
        urgent = self.env._("Call the operator today, and the service of the register.")
        return Texts(
            self.env._("%(name)s: receipts wait since %(oldest)s", **values),
            " ".join(filter(None, [
                self.env._("Documents of %(name)s that wait for the operator (OFD): %(count)s, the oldest since %(oldest)s.",
                           **values),
                reasons.get(facts['reason'])])),
            meanings[self.level],
            calm if self.level < 3 else f"{calm} {urgent}")

    def _get_held_texts(self, facts):
        return Texts(
            self.env._("%(name)s is held", **facts),
            " ".join(filter(None, [
                facts['document'] and self.env._("Nothing of %(name)s is sent, because of %(document)s.", **facts),
                self._get_record().hold_reason])),
            self.env._("Sales go on and receipts are kept, but none of this register reaches the operator, where they must"
                       " arrive within 30 days."),
            self.env._("Open the register and the document it is held for. Then press Release Hold, or mark that document as"
                       " handled."))

    def _get_stuck_texts(self, facts):
        if facts['absent']:
            known = self.env._(
                "The OFD answers, but it does not take this document (%(error)s). It says that it does not have it.", **facts)
        elif facts['answered']:
            known = self.env._(
                "The OFD answers, but not about this document (%(error)s): whether it has it is not known.", **facts)
        else:
            known = self.env._("The OFD does not answer (%(error)s): whether it has the document is not known.", **facts)
        passing = self.env._("Documents of other registers passed in between: after some more tries this register is held.")
        return Texts(
            self.env._("%(name)s: %(document)s does not pass", **facts),
            " ".join(filter(None, [
                self.env._("%(document)s of %(name)s was tried in vain, times: %(tries)s.", **facts), known,
                facts['alone'] and passing])),
            self.env._("It is tried on by itself, and all of this register waits behind it. Sales go on and receipts are kept,"
                       " but they must reach the OFD within 30 days."),
            self.env._("Ask the OFD what is wrong. On the register, Hold stops the tries; Handled leaves this document out, once"
                       " the OFD has said that it does not have it, and the rest goes on."))

    def _get_rejected_texts(self, facts):
        return Texts(
            self.env._("%(name)s: rejected receipts (%(count)s)", **facts),
            self.env._("Receipts of %(name)s that the operator refused or that could not be built: %(count)s. The latest is"
                       " %(document)s: %(error)s", **facts),
            self.env._("The sales are stored, but their receipts are not with the operator, and nothing tries again by itself."),
            self.env._("Open the rejected receipts of the register. If the cause is put right, press Retry, which sends the same"
                       " document. What is wrong in a document itself is put right by a correction receipt: then mark the"
                       " rejected one as handled, with the reason."))

    def _get_clock_texts(self, facts):
        return Texts(
            self.env._("%(name)s: the clock is %(ahead)s s ahead", **facts),
            self.env._("The last stamp of %(name)s lies %(ahead)s seconds ahead of the database's clock.", **facts),
            self.env._("Sales and receipts go on in the right order. Until the clocks have caught up, new stamps only count on"
                       " from there and don't tell the time."),
            self.env._("Check the clocks (NTP) of all hosts that run Odoo, and of PostgreSQL's."))

    def _get_host_clock_texts(self, facts):
        return Texts(
            self.env._("%(name)s: the clocks of the servers differ", **facts),
            self.env._("The clock of PostgreSQL and that of a host that runs Odoo differ by some %(ahead)s seconds.", **facts),
            self.env._("Receipts state the time of PostgreSQL's clock (tag 1012): if that one is wrong, so are they. Sales and"
                       " delivery go on."),
            self.env._("Check the clocks (NTP) of PostgreSQL's host and of all hosts that run Odoo."))

    def _get_till_clock_texts(self, facts):
        return Texts(
            self.env._("%(name)s: a till's clock is wrong", **facts),
            self.env._("Sales of %(name)s that came in the last hour with a stamp that is malformed or more than a minute"
                       " ahead: %(count)s.", **facts),
            self.env._("The receipts are right: they have the server's time. When the sale was made at the till is not known."),
            self.env._("Set the clock of the device that the cashier works at to automatic."))

    def _get_misconfigured_texts(self, facts):
        return Texts(
            self.env._("%(name)s does not take our documents", **facts),
            self.env._("The operator %(name)s answers, but not as one that knows us: %(message)s", **facts),
            self.env._("Sales go on and receipts are kept, but none reaches the operator, where they must arrive within 30"
                       " days. Registers that wait: %(count)s.", **facts),
            self.env._("Open the operator, correct its address or its token, and press Test Connection. If both are right, ask"
                       " the operator whether the contract is valid."))

    def _get_crons_texts(self, facts):
        return Texts(
            self.env._("%(name)s: delivery does not run", **facts),
            self.env._("Documents wait for %(name)s (registers: %(count)s), and no delivery job has run for ten minutes.",
                       **facts),
            self.env._("Sales go on and receipts are kept, but they are only sent when somebody presses Deliver now."),
            self.env._("In Settings, Technical, Scheduled Actions, see that the jobs called KKT: deliver receipts are active,"
                       " and in the server's log why they fail. The server needs max_cron_threads of at least their number plus"
                       " two."))

    def _get_redis_texts(self, facts):
        return Texts(
            self.env._("%(name)s: Redis is missing", **facts),
            self.env._("Registers that were delivered to %(name)s without their lease in Redis: %(count)s.", **facts),
            self.env._("Nothing stops and nothing is sent twice: delivery goes on under the database's guard alone. Other workers"
                       " only try in vain a little more often."),
            self.env._("Start Redis again, or correct its address (ODOO_KKT_REDIS_URL, or redis_url in section opterp_kkt of"
                       " Odoo's configuration file)."))

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
            'open': self.env._("The operator has not answered for a quarter of an hour or more, so the circuit breaker %(name)s"
                               " lets only one document a minute try.", **facts),
        }
        meanings = {
            'disabled': self.env._("Everything is sent at once, also while the operator does not answer: each sale then waits for"
                                   " the network's time limit in delivery, never at the till."),
        }
        to_do = {
            'open': self.env._("Check the shop's internet and the operator's address (Test Connection); call the operator. When"
                               " it answers again, everything is sent by itself."),
        }
        return Texts(
            titles[facts['mode']], happened[facts['mode']],
            meanings.get(facts['mode'], self.env._(
                "Sales go on and receipts are kept, but none reaches the operator, where they must arrive within 30 days.")),
            to_do.get(facts['mode'], self.env._("Open the circuit breaker and set its mode back to automatic.")))

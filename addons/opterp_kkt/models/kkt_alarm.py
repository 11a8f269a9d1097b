import logging
from datetime import timedelta
from typing import NamedTuple

from markupsafe import Markup

from odoo import api, fields, models

_logger = logging.getLogger(__name__)


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
    'misconfigured': Kind("OFD misconfigured", 'kkt.ofd', mailed=True),
    'crons': Kind("Delivery does not run", 'kkt.ofd', patience=timedelta(minutes=5), mailed=True),  # a first run may be under way
    'redis': Kind("Redis missing", 'kkt.ofd', patience=timedelta(minutes=5)),
    'shift': Kind("Shift open for long", 'kkt.register'),
    'disk': Kind("Disk nearly full", 'kkt.ofd', mailed=True),
    'drive': Kind("Fiscal drive ends", 'kkt.register', mailed=True),
    'breaker': Kind("OFD cut off", 'kkt.circuit.breaker', patience=timedelta(minutes=15)),
}


class KktAlarm(models.Model):
    """Something that a person has to look at, from when the watch (`kkt.watch`) sees its cause until the cause is gone.

        cause seen ──patience──> told: an activity for each of those who are told, an e-mail for serious kinds
                                  │ ↺ facts change: the activities say so; the level rises: told again
        cause gone ───────────────┴──> the alarm and its open activities are removed

    One per kind and record. The texts are made when they are read, in the reader's language, from the kind and the facts
    (`kkt_alarm_texts.py`).
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
    breaker_mode = fields.Char(compute='_compute_breaker_mode')
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

    @api.depends('facts')
    def _compute_breaker_mode(self):
        """Of a breaker's alarm, what is the matter with it: which button helps depends on that."""
        for alarm in self:
            alarm.breaker_mode = (alarm.facts or {}).get('mode')

    def action_open(self):
        """Open the record that is concerned."""
        self.ensure_one()
        return self._get_record().get_formview_action()

    def _get_record(self):
        return self.env[self.res_model].browse(self.res_id)

    # -- what the watch calls ----------------------------------------------------------------------------------------------

    @api.model
    def _match(self, causes):
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
        new._notify()

    @api.model
    def _begin(self, kind, record, now):
        company = record.company_id if 'company_id' in record else record.ofd_ids.company_id
        return self.create(
            {
                'kind': kind,
                'res_model': record._name,
                'res_id': record.id,
                'level': 0,
                'first_seen': now,
                'last_seen': now,
                'company_id': company.id if len(company) == 1 else False,
            }
        )

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

    # -- notifying ---------------------------------------------------------------------------------------------------------

    def _notify(self):
        """Give each of those who are told an activity per alarm, and one e-mail about all serious ones."""
        if not self:
            return
        for user, own in self._get_readers().items():
            own._schedule_activities(user)
            own.filtered(lambda alarm: KINDS[alarm.kind].mailed)._send_mail(user)
        for alarm in self.with_context(lang='en_US'):
            alarm.told_level = alarm.level
            _logger.warning("Alarm (%s, level %s): %s", alarm.kind, alarm.level, alarm._get_texts().happened)

    def _get_readers(self):
        """Who is told of which alarms: the people that a company has chosen, else its fiscal administrators."""
        readers = {}
        admins = self.env.ref('opterp_kkt.group_fiscal_admin').sudo().all_user_ids
        companies = self.env['res.company'].sudo().search([])  # pylint: disable=no-search-all
        for alarm in self:
            for company in alarm.company_id or companies:
                people = company.sudo().kkt_alarm_user_ids or admins
                for user in people.filtered(lambda user: user.active and company in user.company_ids):  # noqa: B023
                    readers[user] = readers.get(user, self.browse()) | alarm
        return readers

    def _schedule_activities(self, user):
        there = self.activity_ids.filtered(lambda activity: activity.user_id == user)
        there.kkt_alarm_id._refresh_activities()
        self.env['mail.activity'].with_context(mail_activity_quick_update=True).create(
            [
                {
                    'activity_type_id': self.env.ref('opterp_kkt.mail_activity_type_alarm').id,
                    'kkt_alarm_id': alarm.id,
                    'res_model_id': self.env['ir.model']._get_id(alarm.res_model),
                    'res_id': alarm.res_id,
                    'user_id': user.id,
                    'automated': True,
                    **alarm._get_activity_texts(user),
                }
                for alarm in self - there.kkt_alarm_id
            ]
        )

    def _refresh_activities(self):
        for activity in self.activity_ids:
            activity.write(activity.kkt_alarm_id._get_activity_texts(activity.user_id))

    def _get_activity_texts(self, user):
        alarm = self._for_reader(user)
        texts = alarm._get_texts()
        return {
            'summary': texts.title,
            'note': Markup("<p>%s</p><p><b>%s</b> %s</p><p><b>%s</b> %s</p>")
            % (texts.happened, alarm.env._("What it means:"), texts.meaning, alarm.env._("What to do:"), texts.to_do),
        }

    def _send_mail(self, user):
        """One e-mail to one person."""
        if self and user.email:
            alarms = [{**alarm._get_texts()._asdict(), 'url': alarm._get_url()} for alarm in self._for_reader(user)]
            template = self.env.ref('opterp_kkt.mail_template_alarm')
            template.with_context(kkt_alarms=alarms).send_mail(user.id)

    def _get_url(self):
        return f"{self.get_base_url()}/mail/view?model={self.res_model}&res_id={self.res_id}"

    def _for_reader(self, user):
        return self.with_context(lang=user.lang, tz=user.tz)

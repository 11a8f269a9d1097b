import math
from collections import Counter
from datetime import UTC

from markupsafe import Markup
from redis import RedisError

from odoo import api, models
from odoo.tools import format_datetime

from ..core import health
from ..delivery.lease import LeaseUnavailable, connect
from ..delivery.locks import GUARD, PLACE
from ..delivery.statements import DESTINATION, DUE, HEAD, NOW, UNPAUSED
from .kkt_delivery import _get_infrastructure

# Every register, the head of its queue if there is one, and what stands in the way of where that goes.
QUEUES = f"""
    SELECT g.id AS register_id, o.id AS ofd_id, h.id AS head_id, h.state = 'sending' AS sending, b.mode, b.state,
           d.hold_reason IS NOT NULL AS held,
           extract(epoch FROM {NOW} - h.create_date)::float8 AS age,
           CASE WHEN NOT {DUE} THEN extract(epoch FROM h.next_attempt_at - {NOW})::float8 END AS due_in,
           CASE WHEN NOT {UNPAUSED} THEN extract(epoch FROM o.paused_until - {NOW})::float8 END AS paused_for,
           LEAST(b.recovery_timeout, extract(epoch FROM COALESCE(b.retry_at, b.probe_until) - {NOW})::float8) AS permitted_in,
           EXISTS (SELECT FROM kkt_alarm a WHERE a.kind = 'held' AND a.res_model = 'kkt.register' AND a.res_id = g.id
                      AND a.told_level > 0) AS told
      FROM kkt_register g
      JOIN kkt_delivery d ON d.register_id = g.id
      LEFT JOIN LATERAL ({HEAD}) h ON TRUE
      JOIN kkt_ofd o ON o.id = {DESTINATION}
      JOIN kkt_circuit_breaker b ON b.id = o.breaker_id
     WHERE %(registers)s::int[] IS NULL OR g.id = ANY(%(registers)s)
"""
# Whatever their names: people copy these jobs, switch them off and delete them.
JOBS = f"""
    SELECT m.model, c.active, COALESCE(c.failure_count, 0) AS failure_count,
           extract(epoch FROM {NOW} - COALESCE(c.lastcall, c.create_date))::float8 AS silent_for
      FROM ir_cron c JOIN ir_act_server s ON s.id = c.ir_actions_server_id JOIN ir_model m ON m.id = s.model_id
     WHERE m.model IN ('kkt.delivery', 'kkt.watch')
"""
# A run may take a minute and is only then noted as a call. A guard is held by buttons and the command, too.
DELIVERING = """
    SELECT EXISTS (
        SELECT FROM pg_locks
         WHERE locktype = 'advisory' AND granted AND classid = ANY(%(classes)s::oid[])
           AND database = (SELECT oid FROM pg_database WHERE datname = current_database())) AS yes
"""
BREAKERS = """
    SELECT CASE b.mode WHEN 'automatic' THEN b.state ELSE b.mode END AS condition, count(*)
      FROM kkt_circuit_breaker b WHERE EXISTS (SELECT FROM kkt_ofd o WHERE o.breaker_id = b.id AND o.active) GROUP BY 1
"""
# Nearly always the last document of the register, or the one before what waits.
DELIVERED = f"""
    SELECT extract(epoch FROM {NOW} - delivered_at)::float8 AS ago
      FROM kkt_receipt WHERE register_id = %(register)s AND state = 'delivered' ORDER BY queue_number DESC LIMIT 1
"""
PAUSED = f"SELECT count(*) FROM kkt_ofd WHERE active AND paused_until > {NOW}"


class KktHealth(models.AbstractModel):
    """How delivery is doing, read without any job's help, so that silence is seen whoever is dead.

    Facts come from rows that stand in the database anyway and from PostgreSQL's own list of locks; `core/health.py` judges.
    Who asks: monitoring (`GET /kkt/health`), `odoo kkt status`, every till once a minute, the register's form. What is read is
    unfinished, or one row per register, so that an answer costs the same whatever the history.
    """

    _name = 'kkt.health'
    _description = "Health of Delivery"

    @api.model
    def _get_report(self):
        """The answer to whoever watches the servers: no names, no numbers of the shop."""
        facts = self._get_facts(redis=_ping_redis())
        verdict = health.judge(facts)
        oldest = health.oldest_age(facts)
        return {
            'status': 'pass' if verdict.healthy else 'fail',
            'reasons': [finding._asdict() for finding in verdict.reasons],
            'warnings': [finding._asdict() for finding in verdict.warnings],
            'oldest_seconds': None if oldest is None else round(oldest),
            'delivering': facts.delivering,
            'delivery_jobs': sum(job.active for job in facts.delivery),
            'redis': facts.redis,
            'breakers': dict(facts.breakers),
        }

    @api.model
    def _get_till_report(self, register):
        """What the till says about its receipts and its clock; the words are made there. All times are seconds."""
        [row] = self._get_queues(register.ids)
        obstacle = health.obstacle(row) or self._get_delivery_stop()
        if obstacle == 'open' and row['state'] == 'half_open' and not row['head_id']:
            obstacle = False  # the OFD answers again: only the next document can prove it, and none waits
        [delivered] = self._query(DELIVERED, register=register.id) or [{'ago': None}]
        return {
            'time': self.env.cr.now().replace(tzinfo=UTC).timestamp(),
            'waiting': register.pending_count,
            'rejected': register.rejected_count,
            'oldest': max(0, row['age'] or 0),
            'shift': register._get_shift_report(),
            'obstacle': obstacle or False,
            'lease_missing': register.lease_missing,
            'delivered': delivered['ago'] is not None and max(0, delivered['ago']),
            'next_in': health.next_try_in(row),
            'words': self._get_words(register, row),
        }

    @api.model
    def _get_words(self, register, row):
        """What the OFD said last about a document that has not arrived."""
        receipts = self.env['kkt.receipt']
        rejected = receipts.search(
            [('register_id', '=', register.id), ('state', '=', 'rejected'), ('handled_at', '=', False)], order='id DESC', limit=1
        )
        return (rejected or receipts.browse(row['head_id'] and [row['head_id']])).last_error or False

    @api.model
    def _get_condition(self, row, stop):
        """What a queue waits for, in one word; False for what is on its way as it should be."""
        return health.obstacle(row) or (bool(row['head_id']) and (stop or _get_next_step(row)))

    # -- words -------------------------------------------------------------------------------------------------------------

    @api.model
    def _explain(self, registers):
        """What the queue of each register waits for: values of its form's panel, by register id."""
        stop = self._get_delivery_stop()
        found = {}
        for row in self._get_queues(registers.ids):
            head = self.env['kkt.receipt'].browse(row['head_id'] and [row['head_id']])
            condition = self._get_condition(row, stop)
            found[row['register_id']] = {
                'head_id': head.id,
                'head_is_handleable': bool(head) and head._may_be_left_out(),
                'queue_condition': condition,
                'queue_text': self._describe(registers.browse(row['register_id']), row, condition, head),
            }
        return found

    @api.model
    def _summarize(self, registers):
        """Why what waits of these registers did not go when a person had it delivered, and when it is tried next.

        What stands in the way of several is said once.
        """
        found = {}
        for row in self._get_queues(registers.ids):
            condition = row['head_id'] and (health.obstacle(row) or _get_next_step(row))
            if condition and condition not in ('sending', 'due'):
                register, ofd = registers.browse(row['register_id']), self.env['kkt.ofd'].browse(row['ofd_id'])
                words = [
                    self._get_headline(register, ofd, condition),
                    *self._get_next_texts(row, condition, self.env['kkt.receipt']),
                ]
                found.setdefault(" ".join(words), []).append(register.name)
        if len(registers) == 1:
            return list(found)
        return [f"{', '.join(names[:3])}{' …' if len(names) > 3 else ''}: {words}" for words, names in found.items()]

    @api.model
    def _describe(self, register, row, condition, head):
        """What stands in the way, then what is known of the queue's head; nothing while all goes its way."""
        if not condition or (condition in ('sending', 'due') and not head.last_outcome and row['age'] < health.LATE):
            return False
        ofd = self.env['kkt.ofd'].browse(row['ofd_id'])
        texts = [
            Markup("<strong>%s</strong>") % self._get_headline(register, ofd, condition),
            *([self._get_head_text(head), self._get_answer_text(head)] if head else []),
            ofd != register.ofd_id and self.env._("It is settled with %s first, where it was sent.", ofd.display_name),
            *self._get_next_texts(row, condition, head),
        ]
        return Markup("").join(Markup("<div>%s</div>") % text for text in texts if text)

    @api.model
    def _get_headline(self, register, ofd, condition):
        breaker = ofd.breaker_id
        until = format_datetime(self.env, ofd.paused_until, dt_format='short')
        return {
            'held': self.env._(
                "This register is held: nothing of it is sent until somebody lets it go on. %s", register.hold_reason
            ),
            'forced_open': self.env._(
                "Nothing is sent until the mode of the circuit breaker is set back to automatic: it is forced open (%s).",
                breaker.mode_reason or self.env._("no reason is given"),
            ),
            'paused': self.env._(
                "Delivery to the OFD is paused until %(until)s. %(reason)s", until=until, reason=ofd.pause_reason or ""
            ),
            'open': self.env._("The OFD failed several times in a row, so only one document a minute tries."),
            'no_delivery_job': self.env._("Nothing is delivered by itself: the delivery jobs are deleted or switched off."),
            'delivery_silent': self.env._("Nothing is delivered by itself: no delivery job has run for minutes."),
            'delivery_fails': self.env._("Nothing is delivered by itself: the delivery jobs fail. The server's log says why."),
            'backoff': self.env._("The last try did not succeed. It is tried again by itself."),
            'sending': self.env._("A document is being sent at this moment."),
            'due': self.env._("A document waits for its turn."),
        }[condition]

    @api.model
    def _get_head_text(self, head):
        values = {
            'document': head.display_name,
            'since': format_datetime(self.env, head.create_date, dt_format='short'),
            'tries': head.attempts,
        }
        if not head.last_outcome:
            return self.env._("%(document)s is first in the queue, since %(since)s. It has not been tried yet.", **values)
        return self.env._("%(document)s is first in the queue, since %(since)s. Tries: %(tries)s.", **values)

    @api.model
    def _get_answer_text(self, head):
        """How the OFD answered last: one that answers, but not this document, is not one that does not answer."""
        words = head.last_error or ""
        if head.absent:
            return self.env._("The OFD answers and says that it does not have it. Its last answer to the document: %s", words)
        return {
            'processing': self.env._("The OFD has it and has not decided yet."),
            'unavailable': self.env._("The OFD could not be reached: %s", words),
            'misconfigured': self.env._("The OFD answers, but does not take it: %s", words),
            'throttled': self.env._("The OFD asked to wait. %s", words),
            'unknown': (
                self.env._("The OFD answers, but not with an acknowledgement: %s", words)
                if head.last_status
                else self.env._("The OFD did not answer: %s", words)
            ),
        }.get(head.last_outcome)

    @api.model
    def _get_next_texts(self, row, condition, head):
        if head.in_doubt:
            yield self.env._("It may have arrived: the OFD is asked for it before it is sent again.")
        seconds = {'backoff': row['due_in'], 'open': row['permitted_in']}.get(condition) or 0
        if seconds > 120:
            yield self.env._("Next try in %s min.", math.ceil(seconds / 60))
        elif seconds > 0:
            yield self.env._("Next try in %s s.", math.ceil(seconds))
        if condition in ('no_delivery_job', 'delivery_silent', 'delivery_fails'):
            yield self.env._(
                "Deliver now sends what waits. A system administrator should restart the server and see that the"
                " scheduled actions called KKT: deliver receipts are active."
            )

    # -- facts -------------------------------------------------------------------------------------------------------------

    @api.model
    def _get_facts(self, redis):
        return health.Facts(
            queues=[health.Queue(row['age'], row['held'], row['told']) for row in self._get_queues() if row['head_id']],
            **self._get_jobs(),
            redis=redis,
            breakers=Counter({row['condition']: row['count'] for row in self._query(BREAKERS)}),
            paused=self._query(PAUSED)[0]['count'],
        )

    @api.model
    def _get_delivery_stop(self):
        """Why nothing at all is delivered by itself, None when all is well."""
        jobs = self._get_jobs()
        return health.delivery_stop(jobs['delivery'], jobs['delivering'])

    @api.model
    def _get_jobs(self):
        rows = self._query(JOBS)
        return {
            'delivery': [_to_job(row) for row in rows if row['model'] == 'kkt.delivery'],
            'watch': [_to_job(row) for row in rows if row['model'] == 'kkt.watch'],
            'delivering': self._query(DELIVERING, classes=[GUARD, PLACE])[0]['yes'],
        }

    @api.model
    def _get_queues(self, register_ids=None):
        """A row of `QUEUES` for each register."""
        waits = self.env['kkt.delivery']._get_longest_waits()
        return self._query(QUEUES, registers=register_ids, **waits)

    @api.model
    def _query(self, sql, **parameters):
        self.env.flush_all()
        self.env.cr.execute(sql, parameters)
        return self.env.cr.dictfetchall()


def _to_job(row):
    return health.Job(row['active'], row['failure_count'], row['silent_for'])


def _get_next_step(row):
    """Of a queue that nothing stands in the way of."""
    if row['sending']:
        return 'sending'
    return 'backoff' if (row['due_in'] or 0) > 0 else 'due'


def _ping_redis():
    try:
        with connect(_get_infrastructure('redis_url')) as client:
            return client.ping()
    except (LeaseUnavailable, RedisError, ValueError):
        return False

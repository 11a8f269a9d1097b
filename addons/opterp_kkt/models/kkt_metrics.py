from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, StateSetMetricFamily

from odoo import api, models

from ..core import breaker, health
from ..delivery.statements import HEAD, NOW, UNPAUSED
from .kkt_delivery import _get_infrastructure
from .kkt_health import _ping_redis

SAMPLE = 100  # newest documents of a register of which the delays are told
# One row per register, from indexes on what is unfinished and on the end of its queue: the cost does not grow with history.
REGISTERS = f"""
    SELECT g.name AS register, g.serial_number AS serial, g.last_fd_number, g.last_queue_number AS numbered, d.epoch,
           (d.hold_reason IS NOT NULL)::int AS held, waiting.count AS waiting, rejected.count AS rejected,
           COALESCE(extract(epoch FROM {NOW} - h.create_date)::float8, 0) AS oldest,
           newest.delivered, newest.p50, newest.p95
      FROM kkt_register g
      JOIN kkt_delivery d ON d.register_id = g.id
      LEFT JOIN LATERAL ({HEAD}) h ON TRUE
     CROSS JOIN LATERAL (
           SELECT count(*) FROM kkt_receipt WHERE register_id = g.id AND state IN ('pending', 'sending')) waiting
     CROSS JOIN LATERAL (
           SELECT count(*) FROM kkt_receipt
            WHERE register_id = g.id AND state = 'rejected' AND handled_at IS NULL) rejected
     CROSS JOIN LATERAL (
           SELECT extract(epoch FROM max(delivered_at) AT TIME ZONE 'UTC')::float8 AS delivered,
                  percentile_cont(0.5) WITHIN GROUP (ORDER BY delay) AS p50,
                  percentile_cont(0.95) WITHIN GROUP (ORDER BY delay) AS p95
             FROM (SELECT delivered_at, extract(epoch FROM delivered_at - create_date)::float8 AS delay
                     FROM kkt_receipt WHERE register_id = g.id AND queue_number > 0
                    ORDER BY queue_number DESC LIMIT %(sample)s) documents) newest
     WHERE g.active OR h.id IS NOT NULL
     ORDER BY g.id
"""
OFDS = f"""
    SELECT o.name AS ofd, o.id::text AS id, b.mode, b.state, (NOT {UNPAUSED})::int AS paused, opened.count AS opened
      FROM kkt_ofd o
      JOIN kkt_circuit_breaker b ON b.id = o.breaker_id
     CROSS JOIN LATERAL (
           SELECT count(*) FROM kkt_circuit_breaker_event
            WHERE breaker_id = b.id AND to_state = 'open' AND from_state <> 'open') opened
     WHERE o.active ORDER BY o.id
"""
ALARMS = "SELECT kind, count(*) FROM kkt_alarm WHERE told_level > 0 GROUP BY kind"
CONDITIONS = (breaker.CLOSED, breaker.HALF_OPEN, breaker.OPEN, breaker.FORCED_OPEN, breaker.DISABLED)


class KktMetrics(models.AbstractModel):
    """What monitoring reads from time to time: figures of each register and OFD, so that somebody hears of a silent shop.

    `collect` is what `prometheus_client` calls. Label sets are bounded: the registers and OFDs that there are, the reasons and
    kinds of alarms that there can be.
    """

    _name = 'kkt.metrics'
    _description = "Metrics of Delivery"

    @api.model
    def _get_token(self):
        return _get_infrastructure('metrics_token')

    @api.model
    def collect(self):
        yield from self._collect_health()
        yield from self._collect_registers()
        yield from self._collect_ofds()
        yield self._collect_alarms()

    @api.model
    def _collect_health(self):
        facts = self.env['kkt.health']._get_facts(redis=_ping_redis())
        found = {finding.code for finding in health.judge(facts).reasons}
        yield _gauge('kkt_healthy', "1: documents are on their way, as GET /kkt/health says.", [([], not found)])
        yield _gauge('kkt_unhealthy', "1: why not.", [([code], code in found) for code in health.REASONS], 'reason')
        yield _gauge('kkt_redis_up', "1: Redis answers this server.", [([], facts.redis)])
        yield _gauge(
            'kkt_job_silent_seconds',
            "Time since the last call of the job of this kind that was called last.",
            [
                ([kind], min(job.silent_for for job in jobs if job.active))
                for kind, jobs in (('delivery', facts.delivery), ('watch', facts.watch))
                if any(job.active for job in jobs)
            ],
            'job',
        )

    @api.model
    def _collect_registers(self):
        rows = self.env['kkt.health']._query(REGISTERS, sample=SAMPLE)
        labels = ('register', 'serial')

        def of(column):
            return [([row['register'], row['serial']], row[column]) for row in rows if row[column] is not None]

        yield _counter('kkt_documents_numbered', "Documents that the register has numbered.", of('numbered'), *labels)
        yield _counter('kkt_owners', "Owners (epochs) that have delivered for the register.", of('epoch'), *labels)
        yield _gauge('kkt_last_fd_number', "Last FD number.", of('last_fd_number'), *labels)
        yield _gauge('kkt_documents_waiting', "Documents that wait for the OFD.", of('waiting'), *labels)
        yield _gauge('kkt_documents_rejected', "Rejected documents that nobody has handled.", of('rejected'), *labels)
        yield _gauge('kkt_oldest_waiting_seconds', "Age of the first document in the queue.", of('oldest'), *labels)
        yield _gauge('kkt_register_held', "1: the register stands still until a person lets it go on.", of('held'), *labels)
        yield _gauge('kkt_last_delivery_timestamp_seconds', "When the OFD acknowledged last.", of('delivered'), *labels)
        yield _gauge(
            'kkt_delivery_delay_seconds',
            f"From sale to acknowledgement, of the {SAMPLE} newest documents.",
            [
                ([row['register'], row['serial'], quantile], row[column])
                for row in rows
                for quantile, column in (('0.5', 'p50'), ('0.95', 'p95'))
                if row[column] is not None
            ],
            *labels,
            'quantile',
        )

    @api.model
    def _collect_ofds(self):
        rows = self.env['kkt.health']._query(OFDS, **self.env['kkt.delivery']._get_longest_waits())
        labels = ('ofd', 'id')
        states = StateSetMetricFamily(
            'kkt_breaker', "Mode of the circuit breaker, or its state while that is automatic.", labels=labels
        )
        for row in rows:
            condition = row['state'] if row['mode'] == breaker.AUTOMATIC else row['mode']
            states.add_metric([row['ofd'], row['id']], {name: name == condition for name in CONDITIONS})
        yield states

        def of(column):
            return [([row['ofd'], row['id']], row[column]) for row in rows]

        yield _counter('kkt_breaker_openings', "How often the breaker has opened.", of('opened'), *labels)
        yield _gauge('kkt_ofd_paused', "1: nothing is sent for a while.", of('paused'), *labels)

    @api.model
    def _collect_alarms(self):
        rows = self.env['kkt.health']._query(ALARMS)
        return _gauge('kkt_alarms', "Alarms that people were told of.", [([row['kind']], row['count']) for row in rows], 'kind')


def _gauge(name, text, samples, *labels):
    return _fill(GaugeMetricFamily(name, text, labels=labels), samples)


def _counter(name, text, samples, *labels):
    return _fill(CounterMetricFamily(name, text, labels=labels), samples)


def _fill(family, samples):
    for labels, value in samples:
        family.add_metric(labels, value)
    return family

import os
import socket
from collections import deque
from time import monotonic

from odoo import api, models

from ..delivery import locks

# A server that is stopped, as a container that is paused, keeps its rows locked: PostgreSQL takes them away.
AWAY_SECONDS = 5.0  # after which it is, when it only looks whether it has a place
RUN_MARGIN = 60.0  # s beside what a run and its last attempt may take, when it runs
OFFERS = 5  # in a row, before a server that seems to be alone runs a second one
OFFER_SECONDS = 2.0  # what is in a row

_offered = deque(maxlen=OFFERS)


class IrCron(models.Model):
    """Spreads the delivery crons over the servers, so that a server that dies is replaced in a second.

    Two runs of one server die together, and the idle crons of other servers would look in a minute. So a server that has one
    run leaves the next cron to the others: it stays ready, and they are woken. A server that is alone gets it back at once,
    and takes it after some offers. A server that is away keeps neither.
    """

    _inherit = 'ir.cron'

    @classmethod
    def _process_job(cls, cron_cr, job):
        # EXTENDS 'base'
        env = api.Environment(cron_cr, job['user_id'], {})
        if job['id'] in env['kkt.delivery']._get_crons().ids:
            _hold_for(cron_cr, AWAY_SECONDS)
            if not _take_place(cron_cr) and _may_offer():
                cron_cr.postcommit.add(env['ir.cron']._notifydb)  # when the cron is free again
                return
            settings = env['kkt.delivery']._get_settings()
            _hold_for(cron_cr, settings.run_seconds + settings.attempt_seconds + RUN_MARGIN)
        super()._process_job(cron_cr, job)


def _hold_for(cron_cr, seconds):
    """Have PostgreSQL end this transaction, and free the cron, when nothing is heard of it for so long."""
    cron_cr.execute("SELECT set_config('idle_in_transaction_session_timeout', %s, TRUE)", [f"{seconds:.0f}s"])


def _take_place(cron_cr):
    """Be the one run of this server, until the cron is done; False when there is another."""
    server = f"{socket.gethostname()}:{os.getpgrp()}"  # the workers of a server are one process group
    cron_cr.execute("SELECT pg_try_advisory_xact_lock(%s, hashtext(%s))", [locks.PLACE, server])
    return cron_cr.fetchone()[0]


def _may_offer():
    if len(_offered) == OFFERS and monotonic() - _offered[0] < OFFER_SECONDS:
        return False
    _offered.append(monotonic())
    return True

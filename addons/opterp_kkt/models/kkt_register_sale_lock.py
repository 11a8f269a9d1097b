from psycopg2.errors import LockNotAvailable, SerializationFailure

from odoo import api, models

from ..delivery import locks

OF_SESSIONS = """
      FROM kkt_register
     WHERE active AND pos_config_id = (SELECT config_id FROM pos_session WHERE id = ANY(%(sessions)s) LIMIT 1)
       AND pg_current_xact_id_if_assigned() IS NULL
"""
TAKE_IF_FREE = f"SELECT pg_try_advisory_xact_lock(%(class)s, id) AS taken, * {OF_SESSIONS} FOR NO KEY UPDATE NOWAIT"
AWAIT = f"SELECT id, pg_advisory_lock(%(class)s, id) {OF_SESSIONS}"
HAND_OVER = "SELECT pg_advisory_xact_lock(%(class)s, %(register)s), pg_advisory_unlock(%(class)s, %(register)s)"
KEPT = 'kkt_register'  # among what a cursor keeps until its transaction ends


class KktRegister(models.Model):
    """The sale lock: sales of one register pass one after another.

    Two sales that overlap both update the register's row, and under REPEATABLE READ the second would be refused and tried again
    after a pause of seconds. With the lock it waits for the first one, before it has done anything.
    """

    _inherit = 'kkt.register'

    @api.model
    def _take_sale_lock(self, session_ids):
        """Take the sale lock of the register that serves these sessions of a point of sale, until this transaction ends.

        A transaction that has written already is left alone (the sale is then tried again by Odoo if it must).
        """
        self.env.flush_all()  # what the ORM has still to write is written, too: a rollback would drop it
        values = {'class': locks.SALE, 'sessions': session_ids}
        if not self._take_sale_lock_if_free(values):
            self._await_sale_lock(values)

    def _take_sale_lock_if_free(self, values):
        """Nobody sells at this moment, as mostly, or since this transaction's snapshot: one statement tells, and stays so."""
        try:
            self.env.cr.execute(TAKE_IF_FREE, values, log_exceptions=False)
        except (LockNotAvailable, SerializationFailure):
            return False
        row = self.env.cr.dictfetchone()
        if row and row.pop('taken'):
            self._keep(row)
            return True
        return not row

    def _keep(self, row):
        """What the lock's statement has read need not be asked for again by the sale."""
        register = self.browse(row.pop('id'))
        for name, value in row.items():
            if (field := self._fields.get(name)) and field.prefetch:
                field._insert_cache(register, [value])
        self.env.cr.cache[KEPT] = register.id

    @api.model
    def _find_for_sale(self, config):
        """The register of a point of sale, as the sale lock has read it; else with one query, whatever is cached: another fiscal
        drive, just put in, is written, and what an earlier transaction read is forgotten.
        """
        register = self.browse(self.env.cr.cache.get(KEPT))
        if register and register.active and register.pos_config_id == config:
            return register
        self.invalidate_model()
        return self.search_fetch([('pos_config_id', '=', config.id)])

    def _await_sale_lock(self, values):
        """Wait, end the empty transaction and hand the lock over to a new one, which sees all that the first sale did."""
        cr = self.env.cr
        cr.rollback()  # the sale that has the lock needs the register's row
        cr.execute(AWAIT, values)
        for register_id, _taken in cr.fetchall():
            cr.rollback()
            cr.execute(HAND_OVER, {'class': locks.SALE, 'register': register_id})

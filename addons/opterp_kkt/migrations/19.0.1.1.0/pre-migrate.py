def migrate(cr, version):
    _give_causes(cr)
    _give_companies(cr)


def _give_companies(cr):
    """An OFD without a company is changed by system administrators alone: one that a single company uses becomes its own."""
    cr.execute("""
        UPDATE kkt_ofd o SET company_id = used.company_id
          FROM (SELECT ofd_id, min(company_id) AS company_id FROM kkt_register
                 GROUP BY ofd_id HAVING count(DISTINCT company_id) = 1) used
         WHERE used.ofd_id = o.id AND o.company_id IS NULL
    """)


def _give_causes(cr):
    """A hold has a cause: that of holds from before is found by what their document met with."""
    cr.execute("ALTER TABLE kkt_delivery ADD COLUMN IF NOT EXISTS hold_cause varchar")
    cr.execute("""
        UPDATE kkt_delivery d
           SET hold_reason = COALESCE(NULLIF(d.hold_reason, ''), NULLIF(r.last_error, ''), 'refused'),
               hold_cause = CASE
                   WHEN r.last_outcome = 'absent' THEN 'failing'
                   WHEN EXISTS (SELECT FROM kkt_receipt_attempt a
                                 WHERE a.receipt_id = r.id AND a.http_status = 409) THEN 'conflict'
                   WHEN r.state = 'rejected' THEN 'refused'
                   ELSE 'by_hand' END
          FROM kkt_delivery own LEFT JOIN kkt_receipt r ON r.id = own.hold_receipt_id
         WHERE own.id = d.id AND d.hold_reason IS NOT NULL
    """)

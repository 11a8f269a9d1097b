def migrate(cr, version):
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

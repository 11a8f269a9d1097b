def migrate(cr, version):
    """Shifts know the sessions that were open meanwhile; of those of before, their orders tell."""
    cr.execute("""
        INSERT INTO kkt_shift_pos_session_rel (kkt_shift_id, pos_session_id)
        SELECT DISTINCT r.shift_id, o.session_id FROM kkt_receipt r JOIN pos_order o ON o.id = r.pos_order_id
         WHERE r.shift_id IS NOT NULL
            ON CONFLICT DO NOTHING
    """)

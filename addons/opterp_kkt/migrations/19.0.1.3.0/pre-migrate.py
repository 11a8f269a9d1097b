def migrate(cr, version):
    """Shifts have become documents: what was numbered before stands in shifts without reports, which are closed.

    A drive that went into another register in the middle of a shift gives two; the number is that of the first.
    """
    cr.execute("""
        ALTER TABLE kkt_receipt ADD COLUMN IF NOT EXISTS shift_number int4;
        ALTER TABLE kkt_receipt ADD COLUMN IF NOT EXISTS shift_id int4;
        CREATE TABLE kkt_shift (
               id serial PRIMARY KEY, register_id int4 NOT NULL, fiscal_drive_number varchar NOT NULL, number int4,
               opened_at timestamp, closed_at timestamp, counters jsonb, drive_counters jsonb, from_number int4);
        INSERT INTO kkt_shift (register_id, fiscal_drive_number, number, opened_at, closed_at, counters, drive_counters,
                               from_number)
        SELECT register_id, drive, CASE WHEN row_number() OVER (PARTITION BY drive, shift_number ORDER BY first) = 1
                                        THEN shift_number ELSE 0 END,
               opened_at, closed_at, '{}', '{}', shift_number
          FROM (SELECT r.register_id, COALESCE(r.fiscal_drive_number, g.fiscal_drive_number) AS drive,
                       COALESCE(r.shift_number, 0) AS shift_number, min(r.id) AS first,
                       min(r.create_date) AS opened_at, max(r.create_date) AS closed_at
                  FROM kkt_receipt r JOIN kkt_register g ON g.id = r.register_id
                 WHERE r.payload IS NOT NULL GROUP BY 1, 2, 3) shifts
         ORDER BY first;
        UPDATE kkt_receipt r SET shift_id = s.id
          FROM kkt_shift s JOIN kkt_register g ON g.id = s.register_id
         WHERE r.payload IS NOT NULL AND s.register_id = r.register_id AND s.from_number = COALESCE(r.shift_number, 0)
           AND s.fiscal_drive_number = COALESCE(r.fiscal_drive_number, g.fiscal_drive_number);
        ALTER TABLE kkt_shift DROP COLUMN from_number;
    """)

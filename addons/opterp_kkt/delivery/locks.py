"""PostgreSQL advisory locks of this addon: `(class, register id)`, but for the last.

They belong to one database, so registers of others never meet ours. See who holds one by
SELECT pid, objid AS register_id FROM pg_locks WHERE locktype = 'advisory' AND classid = 4934484
"""

GUARD = 0x4B4B54  # "KKT" in ASCII: who delivers for a register; a session's lock, until it ends
SALE = GUARD + 1  # who sells through a register just now; a transaction's lock
PERMIT = GUARD + 3  # (class, OFD id * PERMITS + number): one of the requests that an OFD takes at once; a session's lock
PERMITS = 100
PLACE = GUARD + 2  # (class, hash of a server): a server that runs a delivery cron; a transaction's lock

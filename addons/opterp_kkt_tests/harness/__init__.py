# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What proofs, demo and bench stand on.

processes  operating-system processes: started, watched, broken, gone at the end
nursery    Odoo processes that are there at once
stack      the servers of a shop: PostgreSQL, Redis, Odoo, the OFD emulator, and clocks that are wrong
till       what the POS browser does, without the browser
shop       a whole shop for one proof: stack and tills together, and the verdict over what happened
keys       whose document it is that another protocol's receiver got
receivers  OFDs and registers that are no emulated ones of ours, by protocol
proxy      the network between the deliverers and the OFD
traffic    tills that never give up: sales and refunds by RPC, sent again when an answer was lost
hands      the people of a shop, who press what its pages offer
contest    several processes that deliver at the same moment
judge      the verdict over the OFD's history: pure functions
product    the product's package, for who needs no Odoo
audit      what PostgreSQL itself noted of claims, records, holders and the breaker, and what must be true of it
report     what a proof tells the reader
excerpt    what to look at when it has failed
"""

# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A nemesis, as Jepsen has one: it breaks the shop while the tills sell, then asks the OFD's history what became of it.

    make nemesis SEED=7 MINUTES=2

    run        the story: processes, tills and faults, the final heal, the verdict
    traffic    tills that never give up: sales and refunds by RPC, sent again when an answer was lost
    faults     what is broken, and the schedule that a seed gives
    proxy      the network between the deliverers and the OFD
    audit      what PostgreSQL itself noted of claims, records, holders and the breaker, and what must be true of it
    result     the table, and of a violation the shortest useful excerpt
"""

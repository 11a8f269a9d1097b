# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A nemesis, as Jepsen has one: it breaks the shop while the tills sell, then asks the OFD's history what became of it.

make nemesis SEED=7 MINUTES=2

run        the story: processes, tills and faults, the final heal, the verdict
faults     what is broken, and the schedule that a seed gives
people     what a manager and a fiscal administrator do meanwhile: the buttons that are offered, the forms
heads      looks at the head of every queue, moment for moment
result     the table, and of a violation the shortest useful excerpt
"""

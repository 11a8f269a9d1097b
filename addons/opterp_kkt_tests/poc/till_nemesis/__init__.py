# Part of OPTERP KKT. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The till's nemesis: breaks pages, browsers, the network and the server while cashiers sell in Chromium, then asks the OFD's
history whether all came true that a page had shown as paid.

make till SEED=7 MINUTES=2

run        the story: server, cashiers and faults, the final heal, the verdict
cashier    one till: a browser with a profile of its own, and who sells at it
faults     what is broken, and the schedule that a seed gives
verdict    what must be true then
"""

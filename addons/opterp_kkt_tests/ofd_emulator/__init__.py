"""A stand-alone emulator of a fiscal data operator (OFD): faults on demand, an append-only history.

    PYTHONPATH=addons/opterp_kkt_tests python -m ofd_emulator --port 8080 --history ofd.jsonl

`server` speaks HTTP, `ofd` decides, `faults` says what goes wrong, `history` remembers, `page` shows.
The contract is in openapi.yaml. It is not a real OFD: nothing it accepts reaches a tax authority.
"""

# Every target first sets up what is missing (docker/setup.sh) and starts this checkout's own PostgreSQL and Redis,
# which stop with it. Ports: see docker/env.sh. Tests take SLOW=1 for the long runs.
export KKT_STARTED := $(shell date +%s)
during := docker/services.sh during
python := .run/venv/bin/python

.PHONY: help setup demo test run poc poc-full nemesis bench clean
help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST)

setup: ## system packages, Odoo 19 and a Python environment, where missing
	@docker/setup.sh

demo: setup ## sell, cut the network, bring it back: the whole job in one run
	@$(during) sh -c 'docker/database.sh demo && exec $(python) addons/opterp_kkt_tests/demo.py'

test: setup ## every test, browser tours included
	@$(during) docker/test.sh

run: setup ## the demo shop in your browser, until Ctrl-C
	@$(during) docker/run.sh

poc: setup ## the proofs over real processes
	@$(during) docker/test.sh poc

poc-full: setup ## POC-4 at full size: 4 000 receipts of 40 tills through a day without the operator
	@$(during) sh -c 'docker/database.sh template && FULL=1 exec .run/venv/bin/pytest -p no:odoo -v -s \
		addons/opterp_kkt_tests/poc/test_poc_4_offline.py'

nemesis: setup ## faults of all kinds while the tills sell: SEED=7 MINUTES=2 REGISTERS=4 RATE=4 ONLY="KIND …"
	@$(during) sh -c 'docker/database.sh template && exec $(python) addons/opterp_kkt_tests/poc/nemesis \
		$(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES)) $(if $(REGISTERS),--registers $(REGISTERS)) \
		$(if $(RATE),--rate $(RATE)) $(if $(ONLY),--only $(ONLY))'

bench: setup ## side-by-side measurements
	@$(during) sh -c 'docker/database.sh template && exec $(python) addons/opterp_kkt_tests/bench'

clean: ## remove everything that was made here (Odoo stays in ~/.cache/opterp-kkt)
	@docker/services.sh clean

# Every target first sets up what is missing (docker/setup.sh) and starts this checkout's own PostgreSQL and Redis,
# which stop with it. Ports: see docker/env.sh. ONLY=poc_5, or a test file's path, runs a part of test or poc.
export KKT_STARTED := $(shell date +%s)
during := docker/services.sh during
python := .run/venv/bin/python

export ONLY PROTOCOL

.PHONY: help setup demo test run poc report proofs nemesis till pictures day figures bench clean
help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST)

setup: ## system packages, Odoo 19 and a Python environment, where missing
	@docker/setup.sh

demo: setup ## sell, cut the network, bring it back: the whole job in one run; PROTOCOL=atol_web, atol_online, orangedata: with such registers; =ofd_tcp: over TCP
	@$(during) sh -c 'docker/database.sh demo && exec $(python) addons/opterp_kkt_tests/demo.py'

test: setup ## the tests that decide, the till in Chromium included; ONLY=poc_5 or a file's path: a part, whole
	@$(during) docker/test.sh

run: setup ## the demo shop in your browser, until Ctrl-C
	@$(during) docker/run.sh

poc: setup ## every proof over real processes; ONLY=5: POC-5
	@ONLY=$(ONLY:%=poc_%) $(during) docker/test.sh poc

report: poc ## the proofs, and their report kept in docs/POC_REPORT.md, to be committed
	@mkdir -p docs && cp POC_REPORT.md docs/

proofs: setup ## everything at full length: SLOW, FULL, many seeds (an hour and more)
	@SLOW=1 FULL=1 $(during) docker/test.sh all

nemesis: setup ## faults of all kinds while the tills sell: SEED=7 MINUTES=2 REGISTERS=4 RATE=4 KINDS="KIND …" PROTOCOL=atol_web
	@$(during) sh -c 'docker/database.sh template && exec $(python) addons/opterp_kkt_tests/poc/nemesis \
		$(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES)) $(if $(REGISTERS),--registers $(REGISTERS)) \
		$(if $(RATE),--rate $(RATE)) $(if $(KINDS),--only $(KINDS)) $(if $(PROTOCOL),--protocol $(PROTOCOL))'

till: setup ## faults of all kinds while cashiers sell in Chromium: SEED=7 MINUTES=2
	@$(during) sh -c 'docker/database.sh template && exec $(python) addons/opterp_kkt_tests/poc/till_nemesis \
		$(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES))'

pictures: setup ## the manual's pictures, in docs/pictures
	@$(during) sh -c 'docker/database.sh template && exec $(python) addons/opterp_kkt_tests/pictures.py'

day: setup ## a day at the till in pictures, for docs/till.md and till.ru.md
	@$(during) sh -c 'docker/database.sh template && exec $(python) addons/opterp_kkt_tests/day.py'

figures: bench ## the measurements, and their table and chart kept in docs/, to be committed
	@cp .run/bench/* docs/

bench: setup ## side-by-side measurements, against their bounds
	@$(during) sh -c 'docker/database.sh template && exec $(python) addons/opterp_kkt_tests/bench'

clean: ## remove everything that was made here (Odoo stays in ~/.cache/opterp-kkt)
	@docker/services.sh clean

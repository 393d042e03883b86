# Every target works on a fresh clone: bootstrap.py makes the environment that it names, keeps it
# current, and becomes its Python. What the targets do is in deploy/local/.
PYTHON ?= python3
BOOTSTRAP = @exec $(PYTHON) deploy/local/bootstrap.py

.PHONY: help run run/migration manage env backup restore test e2e prove/pools bench chaos check audit openapi \
	openapi/breaking requirements
.DEFAULT_GOAL := help

help: ## List the targets
	@awk -F ':.*## ' '/^## / {print "\n" substr($$0, 4)} \
		/^[a-z0-9\/]+:.*## / {printf "  %-17s %s\n", $$1, $$2}' Makefile

## Run

run: ## Serve on PORT (8080) with embedded PostgreSQL and Valkey, state in STATE_DIR (.local)
	$(BOOTSTRAP) run python -m deploy.local run

run/migration: ## Apply migrations to the database of `make run`, or to DATABASE_URL
	$(BOOTSTRAP) run python -m deploy.local manage migrate --noinput

manage: ## Run a manage.py command there: make manage ARGS="verify_timelines --all"
	$(BOOTSTRAP) run python -m deploy.local manage $(ARGS)

env: ## Write .env, with new secrets, for `docker compose up`
	@$(PYTHON) deploy/env.py

## Data

backup: ## Write all that PostgreSQL holds to FILE (backups/…), also while it serves
	$(BOOTSTRAP) run python -m deploy.local backup $(if $(FILE),"$(FILE)")

restore: ## Fill an empty database from FILE; ARGS=--replace destroys what is in one
	$(BOOTSTRAP) run python -m deploy.local restore $(ARGS) $(if $(FILE),"$(FILE)")

## Develop

test: ## Run the tests in parallel with servers of their own; ARGS="-k word" goes to pytest
	$(BOOTSTRAP) test python -m deploy.local test $(ARGS)

e2e: ## Run the stories of tests/e2e/features on the service at BASE_URL; ARGS goes to pytest
	$(BOOTSTRAP) test python -m deploy.local e2e "$(BASE_URL)" $(ARGS)

prove/pools: ## Run the stories through nginx and both pools, with servers of their own; needs nginx
	$(BOOTSTRAP) test python -m deploy.local with -- python -m tests.deploy.stories

bench: ## Measure and write docs/benchmarks.*; ARGS="--graph FILE", "--quick", "--only reads"
	$(BOOTSTRAP) bench python -m deploy.local bench $(ARGS)

chaos: ## Kill, stop and fill the service's parts while people use it; ARGS="--seeds 7 --faults 15"
	$(BOOTSTRAP) bench python -m deploy.local chaos $(ARGS)

check: ## Lint, types, import contracts, migrations and whether they are safe, API snapshot, lock files
	$(BOOTSTRAP) check python -m deploy.local check

audit: ## Ask whether a pinned dependency has a known vulnerability; ARGS goes to pip-audit
	$(BOOTSTRAP) run python -m deploy.local audit $(ARGS)

openapi: ## Write docs/openapi.yaml, the reviewed snapshot of the API
	$(BOOTSTRAP) run python -m deploy.local openapi

# Go verifies the version that is named here. BASE: a branch, a tag, a commit.
OASDIFF = github.com/oasdiff/oasdiff@v1.37.0
BASE ?= origin/main

openapi/breaking: ## Compare docs/openapi.yaml with that of BASE (origin/main): does it break clients? Needs Go
	@old=$$(mktemp) && trap 'rm -f "$$old"' EXIT && git show "$(BASE):docs/openapi.yaml" > "$$old" && \
		OASDIFF_NO_TELEMETRY=1 go run $(OASDIFF) breaking --fail-on ERR "$$old" docs/openapi.yaml

requirements: ## Write the lock files; ARGS=--upgrade takes the newest versions
	$(BOOTSTRAP) run python -m deploy.local requirements $(ARGS)

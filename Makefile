# What can be done here; `make` alone lists it. Every target makes and uses .venv by itself.
# ARGS is passed on: make test ARGS="-k decide -x", make lock ARGS=--upgrade, make reset ARGS=--yes

.DEFAULT_GOAL := help
BIN := .venv/bin
# The first Python that is new enough; PYTHON=... names another.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
KEYCLOAK := 26.7.3
KEYCLOAK_SHA256 := 27a6535553c3cdcd083872ba40629efafb3475e3b758e0c6f691395561dd0f1f
# One that is already there can be named: make test-keycloak KEYCLOAK_HOME=/opt/keycloak
KEYCLOAK_HOME ?= $(CURDIR)/var/keycloak-$(KEYCLOAK)
LOCK := $(BIN)/uv pip compile --universal --generate-hashes --no-emit-index-url

# Hundreds of processes of the tests read the same code: compile it once.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run live test test-long test-keycloak bench screenshots lint fmt lock reset venv install

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

run: venv ## start everything, seeded with a demo, on http://127.0.0.1:8088
	@$(BIN)/python manage.py serve

live: venv ## let the demo's agents work, through the API of a running `make run`
	@$(BIN)/python manage.py demo --live $(ARGS)

test: venv ## run the tests
	$(BIN)/python -m pytest -n 3 --dist worksteal $(ARGS)

test-long: venv ## run the tests that take long: races by the thousand, a million rows, random walks, accessibility
	$(BIN)/python -m pytest -m long $(ARGS)

bench: venv ## measure the speed against baselines (5 minutes at most, on a quiet machine)
	@$(BIN)/python -m bench $(ARGS)

test-keycloak: venv $(KEYCLOAK_HOME)/bin/kc.sh ## run the tests of signing in, against a real Keycloak (fetched once into var/)
	KEYCLOAK_HOME=$(KEYCLOAK_HOME) $(BIN)/python -m pytest -m keycloak tests/keycloak $(ARGS)

# A Java of version 17 or newer and Maven are needed; 177 MB, kept. The name without .part says that the sum was right.
var/keycloak-$(KEYCLOAK).zip:
	@mkdir -p var
	mvn dependency:copy -Dartifact=org.keycloak:keycloak-quarkus-dist:$(KEYCLOAK):zip -DoutputDirectory=var/keycloak.part -Dmdep.useBaseVersion=true
	echo "$(KEYCLOAK_SHA256)  var/keycloak.part/keycloak-quarkus-dist-$(KEYCLOAK).zip" | sha256sum -c -
	mv var/keycloak.part/keycloak-quarkus-dist-$(KEYCLOAK).zip $@ && rmdir var/keycloak.part

$(CURDIR)/var/keycloak-$(KEYCLOAK)/bin/kc.sh: | var/keycloak-$(KEYCLOAK).zip
	@echo "Unpacking Keycloak $(KEYCLOAK) ..."
	@$(BIN)/python -m zipfile -e var/keycloak-$(KEYCLOAK).zip var

screenshots: venv ## draw every page anew into docs/screenshots/, from a seeded product of its own
	$(BIN)/python -m tests.screenshots

lint: venv ## check style, types and templates
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/djlint templates --quiet --lint

fmt: venv ## put the code into its form
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

lock: venv ## write the locked requirements anew from pyproject.toml
	$(LOCK) $(ARGS) pyproject.toml -o requirements.txt
	$(LOCK) $(ARGS) --all-extras pyproject.toml -o requirements-dev.txt

reset: venv ## delete the embedded data, after asking
	@$(BIN)/python manage.py reset $(ARGS)

# The copy in .venv tells what is installed there: nothing is done again until the requirements change.
venv:
	@$(BIN)/python -c '' 2>/dev/null && cmp -s requirements-dev.txt .venv/requirements-dev.txt || $(MAKE) --no-print-directory install

install:
	@test -n "$(PYTHON)" && "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; PYTHON=/path/to/python3 names one." >&2; exit 1; }
	@echo "Installing the locked requirements into .venv ..."
# A bare Debian has no ensurepip (it is in python3-venv): then its own pip fills the environment.
	@if "$(PYTHON)" -c 'import ensurepip' 2>/dev/null; then "$(PYTHON)" -m venv .venv; else "$(PYTHON)" -m venv --without-pip .venv; fi
	@if $(BIN)/python -c 'import pip' 2>/dev/null; then pip="$(BIN)/python -m pip"; else pip="$(PYTHON) -m pip --python $(BIN)/python"; fi; \
		$$pip --disable-pip-version-check install --quiet --require-hashes -r requirements-dev.txt
	@cp requirements-dev.txt .venv/

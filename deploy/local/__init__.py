"""The local stack: what `make run`, `make test` and `make check` need, from nothing but Python.

bootstrap.py    makes an environment, `.venv` or another, then becomes a program of it
__main__.py     the commands behind the Makefile
run.py          `make run`: servers, migrations, demo data, web, worker, relay
supervisor.py   starts processes, ends them all together, says which one died
servers.py      which servers: embedded ones, or those that DATABASE_URL and REDIS_URL name
postgres.py     the embedded PostgreSQL    valkey.py  the embedded Valkey
state.py        the state folder: its lock, its secrets, what is running
backup.py       `make backup` and `make restore`
checks.py       `make check`               migrations.py    which migrations are unsafe
requirements.py `make requirements`        audit.py         `make audit`
"""

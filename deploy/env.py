"""`make env`: write `.env`, from which Docker Compose fills docker-compose.yml in, with secrets.

It is `.env.example` with a new secret after each name that is one's and has no value.
"""

import os
import re
import secrets
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

EXAMPLE, RESULT = Path(".env.example"), Path(".env")
# All are letters, digits, `-` and `_`, which need no quotes in URLs, shells and .env itself.
GENERATED: Mapping[str, Callable[[], str]] = {
    "SECRET_KEY": lambda: secrets.token_urlsafe(48),
    "JWT_SIGNING_KEYS": lambda: f"{secrets.token_hex(4)}:{secrets.token_urlsafe(48)}",
}
EMPTY = re.compile(r"^([A-Z_]+_(?:KEYS?|PASSWORD))=$", re.MULTILINE)


def filled(example: str) -> str:
    """Return the example with a new secret in each place for one."""
    return EMPTY.sub(lambda found: f"{found[1]}={_secret(found[1])}", example)


def _secret(name: str) -> str:
    return GENERATED.get(name, lambda: secrets.token_urlsafe(24))()


def main() -> int:
    """Write `.env` and say so; 1 when it is there already, which is left as it is."""
    example = EXAMPLE.read_text(encoding="utf-8")
    try:
        descriptor = os.open(RESULT, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        print(f"{RESULT} is there already, and was left as it is.", file=sys.stderr)
        return 1
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(filled(example))
    names = ", ".join(found[1] for found in EMPTY.finditer(example))
    print(f"{RESULT} is written, only you may read it. New secrets: {names}.")
    print("Keep a copy elsewhere; then: docker compose up --build --detach")
    return 0


if __name__ == "__main__":
    sys.exit(main())

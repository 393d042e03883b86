"""TCP ports on this machine."""

import errno
import os
import random
import socket

from deploy.local.errors import StackError

# Below 32768, where Linux's ephemeral ports begin: none of these is ever some client's own port.
INTERNAL = range(20_000, 32_768)


def web_port() -> int:
    """Return PORT (default 8080); StackError when it is no port, taken, or not allowed."""
    text = os.environ.get("PORT") or "8080"
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65_536):
        raise StackError(f"PORT must be a number from 1 to 65535, not {text!r}.")
    host = web_host()
    try:
        _bind(host, int(text))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise StackError(
                f"Port {text} is taken by another program. "
                "Stop that one, or choose another port: make run PORT=8081."
            ) from error
        raise StackError(f"{host}:{text} can't be listened on: {error.strerror}.") from error
    return int(text)


def web_host() -> str:
    """Return the IPv4 address that the web server listens on: this machine's own by default."""
    return os.environ.get("WEB_HOST") or "127.0.0.1"


def free_port() -> int:
    """Return a port on 127.0.0.1 that no process listens on."""
    while True:
        port = random.choice(INTERNAL)  # noqa: S311 - no secret
        try:
            _bind("127.0.0.1", port)
        except OSError:
            continue
        return port


def _bind(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
        probe.listen(1)

"""Whether a container's process is at work: the image's HEALTHCHECK, the same for every role.

Worker and relay touch ALIVE_FILE as they go on (twitter/base/alive.py); the web server, which has
none, is asked. Other parts are not looked at: that PostgreSQL is away is no reason to replace this.
"""

import http.client
import os
import sys
import time
from pathlib import Path

# A worker shows itself every ten seconds, a relay every one or two.
STALE_SECONDS = 60
WAIT_SECONDS = 5


def problem() -> str:
    """Return why this container is not healthy, "" when it is."""
    alive = Path(os.environ.get("ALIVE_FILE") or "/nowhere")
    try:
        return _stale(time.time() - alive.stat().st_mtime)
    except FileNotFoundError:
        return _refused()


def _stale(age: float) -> str:
    return f"no sign of life for {age:.0f} s" if age > STALE_SECONDS else ""


def _refused() -> str:
    """Ask the web server in this container, by a name that it answers to."""
    allowed = (os.environ.get("ALLOWED_HOSTS") or "localhost").split(",")[0].strip()
    host = "localhost" if allowed == "*" else allowed.removeprefix(".")
    port = int(os.environ.get("PORT") or "8080")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_SECONDS)
    try:
        connection.request("GET", "/auth/healthz", headers={"Host": host})
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"port {port}: {error}"
    finally:
        connection.close()
    return "" if status == http.HTTPStatus.OK else f"port {port} answers {status}"


if __name__ == "__main__":
    sys.exit(problem() or 0)

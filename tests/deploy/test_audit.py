"""`make audit` with the real pip-audit, and a server that answers as the vulnerability service."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from deploy.local.audit import report
from deploy.local.ports import free_port
from tests.deploy.stack import ROOT

FOUND = {
    "id": "PYSEC-2026-1",
    "aliases": ["CVE-2026-1"],
    "summary": "Django may do anything.",
    "affected": [
        {
            "package": {"name": "django", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.1"}]}],
        }
    ],
}


@contextmanager
def service(*, status: int = 200, vulnerable: str = "") -> Iterator[tuple[str, list[str]]]:
    """Serve the API of OSV; yields its address and the names it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append(query["package"]["name"])
            body = json.dumps({"vulns": [FOUND]} if asked[-1] == vulnerable else {}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/query", asked
        finally:
            server.shutdown()
            thread.join()


def audit(*options: str) -> tuple[int, str]:
    """Run it; returns the exit code and all that it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "deploy.local", "audit", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def osv(url: str) -> list[str]:
    return ["--vulnerability-service", "osv", "--osv-url", url]


def test_every_pinned_package_is_asked_about() -> None:
    with service() as (url, asked):
        code, said = audit(*osv(url))
    assert (code, said) == (0, f"audit: {len(asked)} packages audited, 0 of them vulnerable\n")
    assert {"django", "gunicorn", "psycopg", "pyjwt"} <= set(asked)


def test_a_known_vulnerability_fails() -> None:
    with service(vulnerable="django") as (url, _):
        code, said = audit(*osv(url))
    assert code == 1
    assert said.startswith("django 5.")
    assert "PYSEC-2026-1, CVE-2026-1; fixed in 99.1\n" in said
    assert said.endswith(" packages audited, 1 of them vulnerable\n")


def test_a_service_that_is_out_of_reach_or_broken_is_said_and_no_failure() -> None:
    code, said = audit(*osv(f"http://127.0.0.1:{free_port()}/query"))
    assert code == 0, said
    assert said.startswith("audit: SKIPPED, the vulnerability service can't be reached: ")
    with service(status=503) as (url, _):
        code, said = audit(*osv(url))
    assert code == 0, said
    assert said.startswith("audit: SKIPPED, the vulnerability service can't be reached: ")


def test_any_other_failure_fails() -> None:
    code, said = audit("--vulnerability-service", "none")
    assert code == 1
    assert "pip-audit failed" in said


def test_what_the_service_does_not_know_is_not_called_good(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A mirror of the package index that has no vulnerabilities answers 404 for each package."""
    unknown = {"name": "django", "skip_reason": "Dependency not found and could not be audited"}
    assert report([unknown]) == 0
    assert capsys.readouterr().out == (
        "audit: SKIPPED, the vulnerability service does not know django\n"
        "audit: 0 packages audited, 0 of them vulnerable\n"
    )

"""`manage.py status`: how the service is right now."""

import sys
from typing import Any

from django.core.management.base import BaseCommand

from twitter.operations import status
from twitter.operations.findings import Findings


class Command(BaseCommand):
    help = (
        "Print versions, migrations to apply, when relay and worker were last seen, what waits in"
        " the outbox and in the queues. Exit 1 when something is wrong."
    )
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        findings = Findings(self.stdout)  # type: ignore[arg-type]  # writes text
        findings.add(status.code(), of="code")
        findings.add(status.postgresql(), of="postgresql")
        findings.add(status.redis_server(), of="redis")
        findings.add(status.processes(), of="processes")
        findings.add(status.outbox(), of="outbox")
        findings.add(status.queues(), of="queues")
        if not findings.all_right:
            sys.exit(1)

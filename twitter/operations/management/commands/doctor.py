"""`manage.py doctor`: whether the service is set up right."""

import sys
from typing import Any

from django.core.management.base import BaseCommand

from twitter.operations import doctor
from twitter.operations.findings import Findings


class Command(BaseCommand):
    help = (
        "Look at the variables, PostgreSQL, Redis, the broker, clocks and disk, and say what is set"
        " up wrong. Exit 1 when something is."
    )
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        findings = Findings(self.stdout)  # type: ignore[arg-type]  # writes text
        findings.add(doctor.variables(), of="variables")
        findings.add(doctor.django_checks(), of="checks")
        findings.add(doctor.postgresql(), of="postgresql")
        findings.add(doctor.redis_server(), of="redis")
        findings.add(doctor.broker(), of="broker")
        findings.add(doctor.clocks(), of="clocks")
        findings.add(doctor.disk(), of="disk")
        if not findings.all_right:
            sys.exit(1)

"""How durable the commits of relay and worker are."""

from django.conf import settings


def accept_late_commits() -> None:
    """Let this process's later connections commit without waiting for the disk.

    Should PostgreSQL crash, the last moments' commits are lost, all from some point on. What a task
    wrote is then lost together with its settlement, or the settlement alone, and it runs again; a
    lost claim is sent again. Requests, whose answers promise something, go on waiting.
    """
    options = settings.DATABASES["default"]["OPTIONS"]
    options["options"] += " -c synchronous_commit=off"

"""How durable the commits of relay and worker are."""

from django.conf import settings


def accept_late_commits() -> None:
    """Let this process's later connections commit without waiting for the disk.

    If PostgreSQL crashes, the last moments' commits are lost, all from some point on. A task's
    writes are then lost together with its settlement, or the settlement alone is lost, and the task
    runs again. A delivery whose claim is lost is sent again. Requests still wait for the disk,
    because their answers promise something.
    """
    options = settings.DATABASES["default"]["OPTIONS"]
    options["options"] += " -c synchronous_commit=off"

"""A system check: everything named in the table of events exists."""

from typing import Any

from django.core.checks import CheckMessage, Error, register
from django.utils.module_loading import import_string

from twitter.outbox.events import hearers, periodic_tasks


@register()
def named_tasks_exist(**options: Any) -> list[CheckMessage]:
    """Return an error for each name in the table that is no Celery task."""
    names = {hearer.task for heard_by in hearers().values() for hearer in heard_by}
    return [
        Error(f"{name} is named in twitter/events.py and is no task.", id="outbox.E001")
        for name in sorted(names | set(periodic_tasks()))
        if not _is_task(name)
    ]


def _is_task(name: str) -> bool:
    try:
        return bool(import_string(name).name == name)
    except (ImportError, AttributeError):
        return False

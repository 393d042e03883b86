"""System checks: what the table of events names exists and fits together."""

import types
from dataclasses import fields
from typing import Any, Union, get_args, get_origin, get_type_hints

from django.core.checks import CheckMessage, Error, register
from django.utils.module_loading import import_string

from twitter.outbox.events import Event, periodic_tasks, subscriptions
from twitter.outbox.tasks import kept_between_steps


@register()
def named_tasks_exist(**options: Any) -> list[CheckMessage]:
    """Return an error for each name in the table that is no Celery task."""
    names = {each.task for several in subscriptions().values() for each in several}
    return [
        Error(f"{name} is named in twitter/events.py and is no task.", id="outbox.E001")
        for name in sorted(names | set(periodic_tasks()))
        if not _is_task(name)
    ]


@register()
def tasks_take_their_events(**options: Any) -> list[CheckMessage]:
    """Return an error for each task that does not take an event to which it subscribes."""
    return [
        Error(f"{each.task} does not take {event_type.__name__}.", id="outbox.E002")
        for event_type, several in subscriptions().items()
        for each in several
        if _is_task(each.task) and not _takes(import_string(each.task).run, event_type)
    ]


def _is_task(name: str) -> bool:
    try:
        return bool(import_string(name).name == name)
    except (ImportError, AttributeError):
        return False


def _takes(function: Any, event_type: type[Event]) -> bool:
    """Tell whether a function takes the event, and no field has the name of a value a step keeps.

    The type of the parameter `event` says what it takes: a class of events, or a protocol whose
    attributes the event has. By a protocol, an app takes events of apps above it, which it must not
    import.
    """
    names = {field.name for field in fields(event_type)}
    hint = get_type_hints(function).get("event", object)
    options = get_args(hint) if get_origin(hint) in {Union, types.UnionType} else [hint]
    fits = any(
        get_type_hints(option).keys() <= names
        if getattr(option, "_is_protocol", False)
        else issubclass(event_type, option)
        for option in options
    )
    return fits and not kept_between_steps(function) & names

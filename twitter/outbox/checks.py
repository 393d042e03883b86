"""System checks: what the table of events names exists and fits together."""

import types
from dataclasses import fields
from typing import Any, Union, get_args, get_origin, get_type_hints

from django.core.checks import CheckMessage, Error, register
from django.utils.module_loading import import_string

from twitter.outbox.events import Event, Statement, Subscription, periodic_tasks, subscriptions
from twitter.outbox.tasks import kept_between_steps


@register()
def named_tasks_exist(**options: Any) -> list[CheckMessage]:
    """Return an error for each name in the table that is not what it has to be."""
    wrong = {each.task for several in subscriptions().values() for each in several if not _is(each)}
    wrong |= {name for name in periodic_tasks() if not _is_task(name)}
    return [
        Error(f"{name} is named in twitter/events.py and is no task.", id="outbox.E001")
        for name in sorted(wrong)
    ]


@register()
def tasks_take_their_events(**options: Any) -> list[CheckMessage]:
    """Return an error for each task that does not take an event to which it subscribes."""
    return [
        Error(f"{each.task} does not take {event_type.__name__}.", id="outbox.E002")
        for event_type, several in subscriptions().items()
        for each in several
        if _is(each) and not _takes(import_string(each.task), event_type)
    ]


def _is(each: Subscription) -> bool:
    """Tell whether the name of a subscription leads to what may subscribe in this way."""
    if each.best_effort:
        return callable(_named(each.task))
    return _is_task(each.task) or (each.in_transaction and isinstance(_named(each.task), Statement))


def _named(name: str) -> Any:
    try:
        return import_string(name)
    except ImportError:
        return None


def _is_task(name: str) -> bool:
    return bool(getattr(_named(name), "name", None) == name)


def _takes(subscriber: Any, event_type: type[Event]) -> bool:
    """Tell whether it takes the event, and no field has the name of a value a step keeps.

    The type of the parameter `event` says what a function takes: a class of events, or a protocol
    whose attributes the event has. By a protocol, an app takes events of apps above it, which it
    must not import. A `Statement` says by itself what it takes.
    """
    names = {field.name for field in fields(event_type)}
    function = getattr(subscriber, "run", subscriber)
    hint = getattr(subscriber, "takes", None) or get_type_hints(function).get("event", object)
    options = get_args(hint) if get_origin(hint) in {Union, types.UnionType} else [hint]
    fits = any(
        get_type_hints(option).keys() <= names
        if getattr(option, "_is_protocol", False)
        else issubclass(event_type, option)
        for option in options
    )
    return fits and not kept_between_steps(function) & names

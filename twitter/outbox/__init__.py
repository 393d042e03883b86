"""The transactional outbox: what must happen because of an event, until it has happened.

`events.publish` writes deliveries in the writer's transaction, `manage.py relay` sends them to
Celery, `tasks.task` settles them when they are done.
"""

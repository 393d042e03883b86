"""What one claim of the relay costs, when the statistics tell the wrong thing."""

import json

import pytest
from django.db import connection

from twitter.outbox import relay
from twitter.outbox.models import Delivery


@pytest.mark.django_db
def test_what_is_due_is_chosen_once_though_the_table_is_thought_to_be_empty():
    Delivery.objects.bulk_create(
        [Delivery(event="e", task="t", payload={"number": number}) for number in range(200)]
    )
    with connection.cursor() as cursor:
        # As autovacuum leaves it after the rows of a burst were settled.
        cursor.execute(
            "UPDATE pg_class SET reltuples = 0, relpages = 10 WHERE relname = 'outbox_delivery'"
        )
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {relay._CLAIM}", [60, 50])
        [(plan,)] = cursor.fetchall()
    plan = plan if isinstance(plan, list) else json.loads(plan)
    assert locks(plan[0]["Plan"]) == [1]


def locks(node):
    """Return how often each node of a plan that locks rows was run."""
    own = [node["Actual Loops"]] if node["Node Type"] == "LockRows" else []
    return own + [loops for child in node.get("Plans", ()) for loops in locks(child)]

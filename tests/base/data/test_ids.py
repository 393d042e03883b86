"""Ids order by time, are exact as doubles, and are read strictly."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st
from rest_framework import serializers

from twitter.base.data.ids import EPOCH, MAX_ID, NextId, WireIdField, id_at, parse_id, time_of


@pytest.mark.django_db
def test_ids_made_in_postgres_grow_with_time_and_tell_it():
    with connection.cursor() as cursor:
        before = datetime.now(UTC)
        cursor.execute(f"SELECT {NextId.template} FROM generate_series(1, 5000)")
        ids = [row[0] for row in cursor.fetchall()]
        after = datetime.now(UTC)
    assert len(set(ids)) == 5000
    assert all(float(number) == number for number in ids)
    slack = timedelta(milliseconds=5)
    assert before - slack <= time_of(min(ids)) <= time_of(max(ids)) <= after + slack


@given(st.datetimes(min_value=datetime(2024, 1, 1), max_value=datetime(2090, 1, 1)))
def test_the_time_of_an_id_is_the_time_it_was_made_for(naive):
    when = naive.replace(tzinfo=UTC)
    number = id_at(when)
    assert time_of(number) <= when < time_of(number) + timedelta(milliseconds=1)


def test_times_out_of_range_give_ids_at_the_ends():
    assert id_at(EPOCH - timedelta(days=1)) == 0
    assert id_at(datetime(9999, 1, 1, tzinfo=UTC)) == MAX_ID


@pytest.mark.parametrize(
    "text",
    ["", "0", "-1", "+1", " 1", "1.0", "1e3", "x", "٣", "\x00", str(2**53), str(2**63), "9" * 5000],
)
def test_what_is_no_id_is_refused(text):
    with pytest.raises(ValidationError):
        parse_id(text)
    with pytest.raises(serializers.ValidationError):
        WireIdField().run_validation(text)


@pytest.mark.parametrize("data", [True, None, 1.5, [1], {"id": 1}, 0, -1, 2**70])
def test_what_is_no_id_in_json_is_refused(data):
    with pytest.raises(serializers.ValidationError):
        WireIdField().run_validation(data)


@given(st.integers(min_value=1, max_value=MAX_ID))
def test_an_id_is_read_from_string_and_number_and_written_as_a_string(number):
    field = WireIdField()
    assert field.run_validation(str(number)) == field.run_validation(number) == number
    assert field.to_representation(number) == str(number)

"""However many passwords are to be hashed at once, a process hashes two, and goes on reading."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from typing import Any

import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher, make_password
from django.test import Client

from accounts.models import Account
from accounts.sessions import hashing
from tests.accounts.factories import PASSWORD, AccountFactory
from twitter.base.http.errors import TooBusy

pytestmark = pytest.mark.django_db

NEW = "an entirely new one"


@pytest.fixture
def ada() -> Account:
    account: Account = AccountFactory(username="ada", is_staff=True)
    return account


@pytest.fixture
def all_places_taken() -> Iterator[Callable[[], None]]:
    """Have other threads hash something for as long as the test lasts; return what ends that."""
    begun, over = Barrier(hashing.PLACES + 1), Event()

    def hash_something() -> None:
        with hashing.place():
            begun.wait(10)
            over.wait(60)

    with ThreadPoolExecutor(hashing.PLACES) as pool:
        held = [pool.submit(hash_something) for _ in range(hashing.PLACES)]
        begun.wait(10)

        def end() -> None:
            over.set()
            for each in held:
                each.result()

        yield end
        over.set()


def log_in(api: Any, _: Account) -> Any:
    return api().post("/auth/token", {"username": "ada", "password": PASSWORD})


def log_in_as_nobody(api: Any, _: Account) -> Any:
    return api().post("/auth/token", {"username": "nobody", "password": PASSWORD})


def sign_up(api: Any, _: Account) -> Any:
    body = {"username": "eve", "email": "eve@example.org", "password": PASSWORD}
    return api().post("/auth/create", body)


def change_password(api: Any, ada: Account) -> Any:
    body = {"password": NEW, "current_password": PASSWORD}
    return api(ada.pk).patch("/auth/update", body)


def delete(api: Any, ada: Account) -> Any:
    return api(ada.pk).delete(f"/auth/delete/{ada.pk}", {"password": PASSWORD})


@pytest.mark.parametrize("ask", [log_in, log_in_as_nobody, sign_up, change_password, delete])
def test_the_third_hash_at_once_is_refused_and_reads_go_on(
    ask: Any, api: Any, ada: Account, all_places_taken: Any, assert_problem: Any
) -> None:
    answer = ask(api, ada)
    assert_problem(answer, 503)
    assert answer["Retry-After"] == "1"
    assert api(ada.pk).get("/auth/me").status_code == 200
    assert not Account.objects.filter(username="eve").exists()
    assert Account.objects.get().is_active


@pytest.mark.parametrize("username", ["ada", "nobody"])
def test_the_admin_is_bounded_as_well(username: str, ada: Account, all_places_taken: Any) -> None:
    client = Client(raise_request_exception=False)
    answer = client.post("/admin/login/", {"username": username, "password": PASSWORD})
    assert (answer.status_code, answer["Retry-After"]) == (503, "1")
    client.force_login(ada)
    form = {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW}
    answer = client.post("/admin/password_change/", form)
    assert (answer.status_code, answer["Retry-After"]) == (503, "1")
    assert client.get("/admin/").status_code == 200


def test_who_was_refused_is_let_in_a_moment_later_and_it_does_not_count_as_a_guess(
    api: Any, ada: Account, all_places_taken: Any, limit: Any
) -> None:
    limit("log-ins", account_and_address=(1, 900), account=(1, 900))
    limit("admin-log-ins", account_and_address=(1, 900), account=(1, 900))
    limit("password-checks", token=(1, 900))
    admin = Client(raise_request_exception=False)
    form = {"username": "ada", "password": PASSWORD}
    for _ in range(3):
        assert log_in(api, ada).status_code == 503
        assert change_password(api, ada).status_code == 503
        assert admin.post("/admin/login/", form).status_code == 503
    all_places_taken()
    assert log_in(api, ada).status_code == 200
    assert admin.post("/admin/login/", form).status_code == 302
    assert change_password(api, ada).status_code == 200


def test_a_thread_that_has_a_place_needs_no_other() -> None:
    with hashing.place(), hashing.place():
        make_password(PASSWORD)
    with hashing.place():
        pass


def test_a_hash_that_failed_gives_its_place_back() -> None:
    for _ in range(hashing.PLACES + 1):
        with pytest.raises(RuntimeError), hashing.place():
            raise RuntimeError
    with hashing.place():
        pass


def test_a_hash_of_other_parameters_still_logs_in_and_is_replaced(api: Any, ada: Account) -> None:
    old = Argon2PasswordHasher().encode(PASSWORD, "a salt of sixteen bytes")
    assert "$m=102400,t=2,p=8$" in old
    Account.objects.update(password=old)
    assert log_in(api, ada).status_code == 200
    its = hashing.BoundedArgon2Hasher
    parameters = f"$m={its.memory_cost},t={its.time_cost},p={its.parallelism}$"
    assert parameters in Account.objects.get().password
    assert log_in(api, ada).status_code == 200


EIGHT_AT_ONCE = """
from concurrent.futures import ThreadPoolExecutor
import django
django.setup()
from django.contrib.auth.hashers import make_password
from twitter.base.http.errors import TooBusy

def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))

def hash_one(_):
    try:
        make_password("correct horse battery staple")
    except TooBusy:
        pass

assert "$m=19456,t=2,p=1$" in make_password("a password")
before = peak()
with ThreadPoolExecutor(8) as pool:
    list(pool.map(hash_one, range(64)))
print((peak() - before) // 1024)
"""


def test_eight_threads_that_hash_take_the_memory_of_two() -> None:
    done = subprocess.run(
        [sys.executable, "-c", EIGHT_AT_ONCE], capture_output=True, text=True, check=True
    )
    # One more than before, of 19 MiB, and what threads take; eight would be 133 more.
    assert int(done.stdout.split()[-1]) < 19 + 20


@pytest.mark.django_db(transaction=True)
def test_of_many_log_ins_at_once_none_is_wrong_and_none_waits(
    api: Any, ada: Account, at_once: Any
) -> None:
    results = at_once(*[lambda: log_in(api, ada).status_code] * 8)
    assert set(results) <= {200, 503}
    assert 200 in results


def test_a_refusal_says_when_to_come_again(all_places_taken: Any) -> None:
    with pytest.raises(TooBusy) as refusal:
        make_password(PASSWORD)
    assert refusal.value.seconds == hashing.RETRY_AFTER_SECONDS == 1

"""How the cost of a text grows with its length."""

import time
from collections.abc import Callable
from timeit import Timer

SHORT, LONG = 1_000, 10_000
# Linear is 10, quadratic 100.
BOUND = 12
# A clock tells nothing about less.
LEAST_SECONDS = 0.003


def growth(work: Callable[[str], object], piece: str, *, prefix: str = "") -> float:
    """Return how many times longer 10,000 characters of a piece take than 1,000.

    In processor time of this process, which is not stopped while others run. The machine is shared
    all the same, so each is measured again and again, in turn, and its least counts; it ends as
    soon as that is below BOUND, and gives up after 40 rounds. What is short is repeated until
    there is something to measure. A fixed cost makes the number smaller, never larger.
    """
    short, long = (
        Timer(lambda text=(prefix + piece * size)[:size]: work(text), timer=time.process_time)
        for size in (SHORT, LONG)
    )
    repeats = 1
    while short.timeit(repeats) < LEAST_SECONDS and repeats < 100_000:
        repeats *= 2
    once = max(repeats // 10, 1)
    least_short = least_long = float("inf")
    for _ in range(40):
        least_short = min(least_short, short.timeit(repeats) / repeats)
        least_long = min(least_long, long.timeit(once) / once)
        if least_long < BOUND * least_short:
            break
    return least_long / least_short

"""How the cost of a text grows with its length."""

import time
from collections.abc import Callable
from statistics import quantiles
from timeit import Timer

SHORT, LONG = 1_000, 10_000
# Linear is 10, quadratic 100.
BOUND = 12
# A clock tells nothing about less.
LEAST_SECONDS = 0.003


def growth(work: Callable[[str], object], piece: str, *, prefix: str = "") -> float:
    """Return how many times longer 10,000 characters of a piece take than 1,000.

    In processor time of this process, which is not stopped while others run. But the machine is
    shared, and its speed changes from moment to moment; so each is measured again and again, one
    right after the other, and the lower quartile of the ratios counts: of quadratic work, all are
    far above. It ends as soon as that is below BOUND, after five rounds at least, and gives up
    after 60. What is short is repeated until there
    is something to measure. A fixed cost makes the number smaller, never larger.
    """
    short, long = (
        Timer(lambda text=(prefix + piece * size)[:size]: work(text), timer=time.process_time)
        for size in (SHORT, LONG)
    )
    repeats = 1
    while short.timeit(repeats) < LEAST_SECONDS and repeats < 100_000:
        repeats *= 2
    once = max(repeats // 10, 1)
    ratios: list[float] = []
    while len(ratios) < 60 and not (len(ratios) >= 5 and quantiles(ratios)[0] < BOUND):
        ratios.append(long.timeit(once) / once / (short.timeit(repeats) / repeats))
    return quantiles(ratios)[0]

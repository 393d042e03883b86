"""What a process knows of a server that keeps silent.

A server that refuses does so at once. One that keeps silent costs each caller a whole time-out, and
a thread that waits answers no request. So after a silence, all callers go on without the server for
a moment; then one tries, while the others still go on without.
"""

import time

# How long no caller asks, after one waited in vain.
PAUSE_SECONDS = 1.0


class Silence:
    """A server's silence, for all threads. `until` (monotonic clock) is 0 while it answers."""

    def __init__(self) -> None:
        self.until = 0.0

    def has_turn(self, *, patience: float) -> bool:
        """Tell whether the caller may ask; it then has to begin or end the silence.

        If it does neither, another caller has the turn `patience` (seconds) and a pause later.
        """
        if not self.until:
            return True
        now = time.monotonic()
        if now < self.until:
            return False
        self.until = now + patience + PAUSE_SECONDS
        return True

    def begin(self) -> None:
        """Note that a caller waited in vain."""
        self.until = time.monotonic() + PAUSE_SECONDS

    def end(self) -> None:
        """Note that the server answered. A refusal is an answer, too."""
        self.until = 0.0

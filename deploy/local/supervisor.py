"""Starts processes, copies what they say, and ends all of them together.

Not honcho: it stops everything at once and kills what is left after 5 s, so PostgreSQL would go
before its clients and without a clean shutdown; it doesn't tell which process died first; and a
signal that arrives while it starts raises KeyError.
"""

import contextlib
import ctypes
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

from deploy.local.errors import StackError, ended

TICK_SECONDS = 0.1
# Longer than a worker needs for its longest step; PostgreSQL may have to write a checkpoint.
STOP_SECONDS = 20.0
PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
NAME_WIDTH = len("postgres")


@dataclass(eq=False)
class Child:
    """A process, its name in messages, and how to end it."""

    name: str
    process: subprocess.Popen[bytes]
    stop_signal: signal.Signals
    log: Path | None
    leads_session: bool
    unfinished_line: bytes = b""


class Stopped(Exception):
    """The person, or the system, asked for the end: Ctrl-C, TERM or a closed terminal."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.code = 128 + number


class Supervisor:
    """Context manager: what was started inside has ended, down to grandchildren, on its exit.

    Servers (those with a log file) end after everything else, so that no client loses them too
    early.
    """

    def __init__(self) -> None:
        self._children: list[Child] = []
        self._selector = selectors.DefaultSelector()
        self._signal: int | None = None
        self._output_error: OSError | None = None

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup
                signal.signal(number, self._note_signal)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end([child for child in self._children if child.log is None])
        self._end(self._children)

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        log: Path | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        in_foreground: bool = False,
    ) -> Child:
        """Start a process that shall run until the end; if it doesn't, `wait` raises StackError.

        With `log` it is a server that writes there; else its lines come out under its name.
        `in_foreground` leaves it this process's terminal.
        """
        with contextlib.ExitStack() as opened:
            output: int = subprocess.PIPE
            if log is not None:
                output = opened.enter_context(log.open("wb")).fileno()
            process = subprocess.Popen(
                command,
                env=environment,
                stdin=None if in_foreground else subprocess.DEVNULL,
                stdout=None if in_foreground else output,
                stderr=None if in_foreground else subprocess.STDOUT,
                start_new_session=not in_foreground,
                preexec_fn=_end_with_parent(stop_signal),  # noqa: PLW1509 - one thread only
            )
        child = Child(name, process, stop_signal, log, not in_foreground)
        self._children.append(child)
        if process.stdout is not None:
            os.set_blocking(process.stdout.fileno(), False)
            self._selector.register(process.stdout, selectors.EVENT_READ, child)
        return child

    def run(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> None:
        """Run a step to its end; StackError when it, or a process beside it, fails."""
        step = self.start(name, command, environment=environment, log=log)
        self.wait(lambda: step.process.poll() is not None, step=step)
        failure = self._ended(step) if step.process.returncode != 0 else None
        self._remove(step)
        if failure:
            raise failure

    def run_in_foreground(self, command: Sequence[str], *, environment: Mapping[str, str]) -> int:
        """Run a command that owns the terminal; return its exit code (128 + signal)."""
        child = self.start(command[0], command, environment=environment, in_foreground=True)
        try:
            self.wait(lambda: child.process.poll() is not None, step=child)
        except Stopped:
            if self._signal == signal.SIGINT:  # the terminal sent it to the command as well
                self._copy_until(lambda: child.process.poll() is not None, STOP_SECONDS)
            raise
        self._remove(child)
        code = child.process.returncode
        return 128 - code if code < 0 else code

    def wait(
        self,
        done: Callable[[], bool],
        *,
        step: Child | None = None,
        seconds: float | None = None,
    ) -> None:
        """Copy output until `done()`.

        Raises:
            Stopped: a signal asked for the end.
            StackError: a process other than `step` ended.
            TimeoutError: `seconds` passed.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        while True:
            if self._signal is not None:
                raise Stopped(self._signal)
            for child in self._children:
                if child is not step and child.process.poll() is not None:
                    self._copy_rest(child)
                    raise self._ended(child)
            if done():
                return
            if self._output_error is not None:
                raise StackError(f"The output can't be written: {self._output_error.strerror}.")
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError
            self._copy_output()

    def say(self, line: str) -> None:
        """Print a line of this process's own."""
        self._write(line.encode() + b"\n")

    def _ended(self, child: Child) -> StackError:
        logs = [each.log for each in self._children if each.log is not None]
        return ended(child.name, child.process.returncode, log=child.log, all_logs=logs)

    def _note_signal(self, number: int, frame: FrameType | None) -> None:
        self._signal = self._signal or number

    def _end(self, children: Sequence[Child]) -> None:
        """Ask the processes to end, wait, and kill what is left of them and their children."""
        for child in children:
            child.process.send_signal(child.stop_signal)  # does nothing to one that has ended
        self._copy_until(lambda: all(c.process.poll() is not None for c in children), STOP_SECONDS)
        for child in list(children):
            if child.leads_session:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(child.process.pid, signal.SIGKILL)
            else:
                child.process.kill()
            child.process.wait()
            self._remove(child)

    def _remove(self, child: Child) -> None:
        """Take a process that has ended off the list, after the rest of its output."""
        self._copy_rest(child)
        self._children.remove(child)

    def _copy_until(self, done: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not done() and time.monotonic() < deadline:
            self._copy_output()

    def _copy_output(self) -> None:
        """Wait a tick for output, and copy what there is."""
        for key, _ in self._selector.select(TICK_SECONDS):
            self._copy_chunk(key.data)

    def _copy_rest(self, child: Child) -> None:
        """Copy what a process that has ended left in its pipe, and close it."""
        while self._copy_chunk(child):
            pass
        stdout = child.process.stdout
        if stdout is not None and not stdout.closed:  # a grandchild still holds the other end
            self._selector.unregister(stdout)
            stdout.close()

    def _copy_chunk(self, child: Child) -> bool:
        """Copy once what is there; False when nothing is."""
        stdout = child.process.stdout
        if stdout is None or stdout.closed:
            return False
        try:
            chunk = os.read(stdout.fileno(), 65536)
        except BlockingIOError:
            return False
        *lines, child.unfinished_line = (child.unfinished_line + chunk).split(b"\n")
        if not chunk:
            lines = [child.unfinished_line] if child.unfinished_line else []
            child.unfinished_line = b""
            self._selector.unregister(stdout)
            stdout.close()
        prefix = f"{child.name:<{NAME_WIDTH}} | ".encode()
        self._write(b"".join(prefix + line + b"\n" for line in lines))
        return bool(chunk)

    def _write(self, text: bytes) -> None:
        if self._output_error is None:
            try:
                sys.stdout.buffer.write(text)
                sys.stdout.buffer.flush()
            except OSError as error:
                self._output_error = error
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _end_with_parent(number: signal.Signals) -> Callable[[], object] | None:
    """Return what a child runs first, so that Linux ends it when this process is killed outright.

    `preexec_fn` is safe here: this process has one thread, and prctl(2) takes no lock.
    """
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(PR_SET_PDEATHSIG, number)

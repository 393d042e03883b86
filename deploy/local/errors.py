"""How the local stack says that it can't go on: one sentence and an exit code."""

import errno
from collections.abc import Sequence
from pathlib import Path

DISK_ERRORS = {
    errno.ENOSPC: "its disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "it is on a read-only file system",
}
OTHER_ERRORS = {
    errno.EACCES: "you may not write there",
    errno.EPERM: "you may not write there",
    errno.ENOTDIR: "a part of that path is not a folder",
    errno.EEXIST: "that path is not a folder",
}
# What servers say for them: strerror(3)'s English words, and PostgreSQL's hint.
IN_WORDS = {
    "No space left on device": errno.ENOSPC,
    "Check free disk space": errno.ENOSPC,
    "Disk quota exceeded": errno.EDQUOT,
    "Read-only file system": errno.EROFS,
}
LOG_TAIL_CHARACTERS = 8_000


class StackError(Exception):
    """Something that the person at the terminal must know; `code` becomes the exit code."""

    def __init__(self, sentence: str, *, code: int = 1) -> None:
        super().__init__(sentence)
        self.code = code


def unusable(folder: Path, error: OSError) -> StackError:
    """Return the failure for a state folder that can't be written."""
    reasons = DISK_ERRORS | OTHER_ERRORS
    why = reasons.get(error.errno or 0) or error.strerror
    return StackError(
        f"The state folder {folder} can't be used: {why}. "
        "Make it usable, or choose another: make run STATE_DIR=/path/to/folder."
    )


def disk_problem(folder: Path, words: str) -> StackError | None:
    """Return the failure that a server's words tell of, when it is that of a full disk."""
    for phrase, number in IN_WORDS.items():
        if phrase in words:
            return unusable(folder, OSError(number, phrase))
    return None


def ended(name: str, code: int, *, log: Path | None, all_logs: Sequence[Path]) -> StackError:
    """Return the failure for a process that ended; `log` is the file that holds its last words.

    When one of the servers' logs speaks of a full disk, that is why everything else failed.
    The exit code is the process's own, 128 + n after signal n, and 1 for one that should not have
    ended although it found nothing wrong.
    """
    for path in all_logs:
        if problem := disk_problem(path.parent, _tail(path)):
            return problem
    how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
    lines = _tail(log).splitlines() if log else []
    words = [line for line in lines if "FATAL" in line or "rror" in line][-1:]
    said = f' after "{words[0].strip()}"' if words else ""
    return StackError(
        f"{name} {how}{said}; everything else was stopped.",
        code=128 - code if code < 0 else code or 1,
    )


def _tail(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-LOG_TAIL_CHARACTERS:]

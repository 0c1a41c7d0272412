"""The errors a user can meet. Each says what, where, why and what to try, and carries its exit code."""

from __future__ import annotations


class VideoposeError(Exception):
    """Base of every expected failure; the command line prints it without a traceback.

    Args:
        what: one line, what went wrong and where ("cannot read clips/a.mp4").
        why: one line, the cause as far as it is known.
        hint: one line, the next thing to try.
    """

    exit_code = 1

    def __init__(self, what: str, why: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what, self.why, self.hint = what, why, hint

    def __str__(self) -> str:
        """At most three lines; the command line puts `error: ` before them."""
        hint = f"try: {self.hint}" if self.hint else ""
        return "\n  ".join(line for line in (self.what, self.why, hint) if line)

    def __reduce__(self) -> tuple:
        return type(self), (self.what, self.why, self.hint)


class UsageError(VideoposeError):
    """Wrong options or arguments."""

    exit_code = 2


class InputError(VideoposeError):
    """A file or folder that cannot be read, or holds no picture."""

    exit_code = 3


class MissingError(VideoposeError):
    """Weights, a device or an optional package that is not there."""

    exit_code = 4


class NobodyError(VideoposeError):
    """Nobody was found, and the caller said that this is a failure (`--strict`)."""

    exit_code = 5


class OutputError(VideoposeError):
    """A result that cannot be written: no permission, no space."""

    exit_code = 1


class InternalError(VideoposeError):
    """A mistake of the program itself; `__cause__` is the exception that nobody expected."""

    exit_code = 1

"""The error every service raises when a request cannot be carried out, and the check of state moves."""

from collections.abc import Mapping


class SollecitoError(Exception):
    """A refusal with a reason a person can read.

    `code` is stable and dotted-free (for APIs and tests); `permanent` tells a loop not to try again.
    """

    def __init__(self, message: str, *, code: str = "error", permanent: bool = True) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.permanent = permanent


class IllegalTransition(SollecitoError):
    """A state machine was asked for a move its TRANSITIONS map does not hold."""

    def __init__(self, what: str, source: str, target: str) -> None:
        super().__init__(f"{what} cannot go from {source!r} to {target!r}.", code="illegal_transition")


def check_transition(transitions: Mapping[str, frozenset[str]], *, what: str, source: str, target: str) -> None:
    """Raises IllegalTransition unless `source` may become `target`; staying is always allowed."""
    if source != target and target not in transitions.get(source, frozenset()):
        raise IllegalTransition(what, source, target)

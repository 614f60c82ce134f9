"""Owns the exit codes of `accord` and which error has which. Codes from 64 up are those of sysexits.h."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

from controller.model.errors import (
    AccordError,
    AuthenticationFailedError,
    ConflictError,
    InvalidInputError,
    NotAuthorizedError,
    NotFoundError,
)


class Exit(IntEnum):
    """What the shell is told."""

    OK = 0
    FAILURE = 1
    DIFFERENCE = 2
    """Only with --detailed-exitcode: it went well, and there is a difference."""
    ROLLED_BACK = 3
    """The transaction did not commit; the network is as it was."""
    REFUSED = 4
    """A plan out of date, a guard rail, a conflict, or the person said no: nothing was sent."""
    USAGE = 64
    UNREACHABLE = 69
    NO_PERMISSION = 77
    BAD_CONFIGURATION = 78


class UsageError(AccordError):
    """The command line asks for something that cannot be."""


class UnreachableError(AccordError):
    """The daemon did not answer, or it is not the one its certificate should prove it to be."""


class ConfigurationError(AccordError):
    """A file or variable of the configuration is missing or wrong."""


class ApiError(AccordError):
    """The daemon's answer when it refuses: problem details (RFC 9457) or RESTCONF errors (RFC 8040 7.1)."""

    status: int = 0
    """The HTTP status."""
    causes: tuple[str, ...] = ()
    """The device's own words, one line for each of its errors."""


_BY_KIND: tuple[tuple[type[AccordError], Exit], ...] = (
    (UsageError, Exit.USAGE),
    (UnreachableError, Exit.UNREACHABLE),
    (ConfigurationError, Exit.BAD_CONFIGURATION),
    (NotAuthorizedError, Exit.NO_PERMISSION),
    (AuthenticationFailedError, Exit.NO_PERMISSION),
    (ConflictError, Exit.REFUSED),
)
_BY_STATUS = {401: Exit.NO_PERMISSION, 403: Exit.NO_PERMISSION, 409: Exit.REFUSED, 412: Exit.REFUSED}


def exit_of(error: AccordError) -> Exit:
    """The exit code of an error; `FAILURE` where nothing better fits."""
    if isinstance(error, ApiError):
        return _BY_STATUS.get(error.status, Exit.FAILURE)
    return next((code for kind, code in _BY_KIND if isinstance(error, kind)), Exit.FAILURE)


def worst(codes: Iterator[Exit]) -> Exit:
    """One code for many devices: a failure wins, then anything else that is not zero, the highest first."""
    found = set(codes)
    return Exit.FAILURE if Exit.FAILURE in found else max(found, default=Exit.OK)


@contextmanager
def configuration_errors() -> Iterator[None]:
    """What is wrong or missing in here is the configuration's fault (exit 78)."""
    try:
        yield
    except (InvalidInputError, NotFoundError) as error:
        raise ConfigurationError(
            error.message, remedy=error.remedy, path=error.path, device=error.device, tag=error.tag
        ) from error

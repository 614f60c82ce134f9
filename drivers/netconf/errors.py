"""Owns the way from rpc-errors (RFC 6241 section 4.3 and appendix A) and SSH failures to the one error tree."""

import os
from collections.abc import Sequence

import asyncssh
from lxml import etree
from ncclient.operations.rpc import RPCError

from controller.model.errors import (
    AccordError,
    AuthenticationFailedError,
    ConnectionFailedError,
    DeviceCause,
    DeviceRejectedError,
    LockedError,
)
from controller.model.identifiers import DeviceName
from drivers.netconf.xml import BASE

MOST_CAUSES = 100
"""A bad document can draw thousands of rpc-errors; more than these are counted, not kept."""

_LOCK_TAGS = {"lock-denied", "in-use"}


def cause_of(element: etree._Element) -> DeviceCause:
    """Return one rpc-error in our words' shape, its text in the device's own words."""
    error = RPCError(element)
    return DeviceCause(
        tag=_text(error.tag) or "operation-failed",
        message=_text(error.message) or _text(error.tag) or "the device gave no reason",
        path=_text(error.path),
        app_tag=_text(error.app_tag),
        severity=_text(error.severity) or "error",
    )


def lock_holder(element: etree._Element) -> str:
    """Return the session-id in an rpc-error's error-info, empty when it names none."""
    return _text(element.findtext(f"{{{BASE}}}error-info/{{{BASE}}}session-id") or element.findtext(".//{*}session-id"))


def refusal(device: DeviceName, causes: Sequence[DeviceCause], holder: str = "") -> AccordError:
    """Return the error that says what the device said; a lock held elsewhere is transient, anything else is not."""
    first = causes[0]
    message = first.message + (f" (and {len(causes) - 1} more)" if len(causes) > 1 else "")
    if first.tag in _LOCK_TAGS:
        return LockedError(message, tag=first.tag, path=first.path, app_tag=holder or first.app_tag, device=device)
    error = DeviceRejectedError(message, tag=first.tag, path=first.path, app_tag=first.app_tag, device=device)
    error.causes = tuple(causes[:MOST_CAUSES])
    return error


def connection_failure(device: DeviceName, where: str, error: Exception) -> AccordError:
    """Return what a failed login means: credentials and host keys are permanent, everything else may pass."""
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        return AuthenticationFailedError(
            f"the host key of {where} is not the expected one: {error.reason}",
            remedy="check the device, then pin its key or add it to known_hosts",
            tag="access-denied",
            device=device,
        )
    if isinstance(error, asyncssh.PermissionDenied):
        return AuthenticationFailedError(
            f"{where} refused the login: {error.reason}",
            remedy="check username, password and key in the inventory",
            tag="access-denied",
            device=device,
        )
    remedy = "check that the device is up, and its address and port in the inventory"
    if isinstance(error, TimeoutError):
        return ConnectionFailedError(f"{where} did not finish the login in time", remedy=remedy, device=device)
    reason = getattr(error, "reason", "") or str(error) or type(error).__name__
    if isinstance(error, OSError) and error.errno and error.errno > 0:
        reason = os.strerror(error.errno)
    return ConnectionFailedError(f"no NETCONF session to {where}: {reason}", remedy=remedy, device=device)


def _text(value: str | None) -> str:
    return (value or "").strip()

"""Owns the translation of HTTP answers into the error tree (RFC 8040 section 7, RFC 8072 section 2.3)."""

from controller.model.errors import (
    AccordError,
    AuthenticationFailedError,
    BusyError,
    ConflictError,
    DeviceCause,
    DeviceRejectedError,
    LockedError,
    OutcomeUnknownError,
)
from controller.model.identifiers import DeviceName
from drivers.restconf import documents
from drivers.restconf.transport import Answer

_BUSY = {429, 503}
_GATEWAY = {502, 504}


class EntityTagMismatchError(DeviceRejectedError, ConflictError):
    """412: running changed since it was read, and nothing was carried out.

    Both a device's refusal and a moved base: whoever handles one of these handles this.
    """


def error_of(answer: Answer, device: DeviceName, request: str) -> AccordError:
    """What a failed answer means. `request` names what was asked, for the message."""
    causes = documents.causes(answer.body)
    if answer.status == 401:
        return AuthenticationFailedError(
            f"{request}: user name or password not accepted", tag="access-denied", device=device
        )
    if answer.status in _BUSY:
        return BusyError(f"{request}: the device is busy (status {answer.status})", device=device)
    if answer.status in _GATEWAY:
        return OutcomeUnknownError(f"{request}: a gateway lost the device (status {answer.status})", device=device)
    if any(cause.tag in {"lock-denied", "in-use"} for cause in causes):
        return LockedError(f"{request}: {_words(causes, answer)}", tag=causes[0].tag, device=device)
    return _rejected(answer, causes, device, request)


def _rejected(answer: Answer, causes: tuple[DeviceCause, ...], device: DeviceName, request: str) -> DeviceRejectedError:
    kind = EntityTagMismatchError if answer.status == 412 else DeviceRejectedError
    first = causes[0] if causes else DeviceCause("operation-failed", f"status {answer.status}")
    error = kind(
        f"{request}: {_words(causes, answer)}", tag=first.tag, path=first.path, app_tag=first.app_tag, device=device
    )
    error.causes = causes or (first,)
    if answer.status == 412:
        error.remedy = "running changed in between: read it and plan again"
    return error


def _words(causes: tuple[DeviceCause, ...], answer: Answer) -> str:
    spoken = "; ".join(cause.message or cause.tag for cause in causes)
    return spoken or f"the device answers with status {answer.status}"

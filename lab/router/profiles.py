"""Owns capability profiles (which parts of RFC 6241 a router has) and quirks (how real devices misbehave)."""

from dataclasses import dataclass, field, replace
from typing import Literal

_CAPABILITY = "urn:ietf:params:netconf:capability:"


@dataclass(frozen=True, slots=True)
class Quirks:
    """Deviations seen on real devices; the default is a well-behaved router."""

    hello_without_modules: bool = False
    several_rpc_errors: bool = False
    rewrite_at_commit: bool = False  # every `description` leaf becomes lower case when committed
    warnings: bool = False  # an <ok/> is accompanied by an rpc-error of severity warning
    slow_replies: float = 0.0  # seconds before each reply
    validate_drops_candidate: bool = False  # <validate> of the candidate silently discards it


@dataclass(frozen=True, slots=True)
class Profile:
    """What a router offers. `confirmed_commit` is the capability's version or None.

    `boots_from` names the datastore a reboot loads: `running` for a router that stores each commit, `startup` for one
    that forgets what was not copied there (RFC 6241 section 8.7).
    """

    name: str
    netconf: bool = True
    restconf: bool = True
    cli: bool = True
    base_11: bool = True
    candidate: bool = True
    writable_running: bool = False
    confirmed_commit: Literal["1.0", "1.1"] | None = "1.1"
    validate: Literal["1.0", "1.1"] | None = "1.1"
    rollback_on_error: bool = True
    startup: bool = False
    xpath: bool = True
    notifications: bool = True
    with_defaults: bool = True
    boots_from: Literal["running", "startup"] = "running"
    quirks: Quirks = field(default_factory=Quirks)

    def capabilities(self) -> tuple[str, ...]:
        """URIs for <hello>, without modules."""
        offered = [
            (True, "urn:ietf:params:netconf:base:1.0"),
            (self.base_11, "urn:ietf:params:netconf:base:1.1"),
            (self.writable_running, _CAPABILITY + "writable-running:1.0"),
            (self.candidate, _CAPABILITY + "candidate:1.0"),
            (self.confirmed_commit == "1.0", _CAPABILITY + "confirmed-commit:1.0"),
            (self.confirmed_commit == "1.1", _CAPABILITY + "confirmed-commit:1.1"),
            (self.rollback_on_error, _CAPABILITY + "rollback-on-error:1.0"),
            (self.validate is not None, _CAPABILITY + "validate:1.0"),
            (self.validate == "1.1", _CAPABILITY + "validate:1.1"),
            (self.startup, _CAPABILITY + "startup:1.0"),
            (self.xpath, _CAPABILITY + "xpath:1.0"),
            (self.notifications, _CAPABILITY + "notification:1.0"),
            (self.notifications, _CAPABILITY + "interleave:1.0"),
            (
                self.with_defaults,
                _CAPABILITY + "with-defaults:1.0?basic-mode=explicit&also-supported=report-all,report-all-tagged,trim",
            ),
        ]
        return tuple(uri for has, uri in offered if has)

    def with_quirks(self, **quirks: bool | float) -> "Profile":
        """Return this profile with the named quirks set."""
        return replace(self, quirks=replace(self.quirks, **quirks))  # type: ignore[arg-type]  # names are checked by replace


PROFILES: dict[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile("full", writable_running=True, startup=True),
        Profile("startup", startup=True, boots_from="startup"),
        Profile("confirmed10", base_11=False, confirmed_commit="1.0", validate="1.0", xpath=False, with_defaults=False),
        Profile("candidate", confirmed_commit=None),
        Profile("running", candidate=False, writable_running=True, confirmed_commit=None, validate=None),
        Profile("restconf", netconf=False, cli=False),
        Profile("cli", netconf=False, restconf=False),
    )
}
"""Profiles by name: one for every participant class of a network-wide transaction."""

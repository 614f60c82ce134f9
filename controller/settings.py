"""Owns the daemon's settings: what can be set, its defaults and bounds. `adapters.settings_loader` reads them.

Sources, each over the one before: defaults, one YAML file, the environment, systemd credentials (systemd.exec).

Environment: `ACCORD_<SECTION>__<KEY>` (`ACCORD_LISTEN__PORT=8443`) or `ACCORD_<KEY>` for what stands at the top.
Credentials: files under `$CREDENTIALS_DIRECTORY` named `accord.<section>.<key>`; for a key that is a path the file
itself is meant, for a secret its content. A key that nothing knows is refused with its place and a near match.
"""

import os
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from controller.model.errors import InvalidInputError
from controller.recovery.fallback import FallbackPolicies

_DEFAULT_STATE = Path("/var/lib/accord")
_DEFAULT_CONFIGURATION = Path("/etc/accord")
Seconds = Annotated[float, Field(gt=0, le=86_400)]


class Section(BaseModel):
    """One block of settings: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class Listen(Section):
    """Where the northbound API listens, TLS always on."""

    host: str = Field(default="127.0.0.1", min_length=1, description="Address to listen on.")
    port: int = Field(default=8443, ge=0, le=65_535, description="TCP port; 0 takes any free one.")
    tls_certificate: Path | None = Field(
        default=None, description="PEM chain. Without one, a self-signed certificate is made in the state directory."
    )
    tls_key: Path | None = Field(default=None, description="PEM private key that belongs to tls_certificate.")
    tls_key_password: SecretStr | None = Field(default=None, description="Password of an encrypted tls_key.")

    @model_validator(mode="after")
    def _has_both_or_neither(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key go together: set both, or neither")
        return self


class Transactions(Section):
    """Defaults of network-wide transactions."""

    confirm_timeout_seconds: Seconds = Field(
        default=120.0, description="How long devices keep a tentative commit before they revert."
    )
    lock_wait_seconds: Annotated[float, Field(ge=0, le=3_600)] = Field(
        default=30.0, description="How long to wait for devices that others have locked."
    )
    concurrency: int = Field(
        default=64, ge=1, le=10_000, description="Devices worked on at the same time in one transaction."
    )
    approval: Literal["never", "traffic-affecting", "always"] = Field(
        default="never", description="Which plans need somebody else's approval before they are committed."
    )


class Api(Section):
    """Limits of the northbound API."""

    body_bytes: int = Field(default=16_777_216, ge=1_024, description="Largest request body.")
    depth: int = Field(default=64, ge=4, le=512, description="Deepest nesting of a request document.")
    requests_per_second: float = Field(default=200.0, gt=0, description="Sustained rate allowed for each caller.")


class Metrics(Section):
    """The Prometheus endpoints."""

    enabled: bool = Field(default=True, description="Serve /metrics, /probe and /sd.")
    requires_token: bool = Field(
        default=False, description="Ask for a reader's token on the metrics endpoints as well."
    )


class Upkeep(Section):
    """What the daemon does unasked."""

    check_sync_seconds: Annotated[float, Field(ge=0, le=86_400)] = Field(
        default=300.0, description="How often idle devices are compared with what is known of them; 0: never."
    )
    read_new_seconds: Seconds = Field(
        default=30.0, description="How often reading a device that was never read is tried again."
    )
    snapshot_seconds: Seconds = Field(default=600.0, description="How often a snapshot of the state is stored.")
    concurrency: int = Field(default=16, ge=1, le=1_000, description="Devices read at the same time.")


class Topology(Section):
    """The network between the devices, and what is done when its links fail."""

    file: Path | None = Field(
        default=None, description="Nodes and links that are known beforehand; they go before what devices tell."
    )
    refresh_seconds: Seconds = Field(default=300.0, description="How often devices are asked for state and delays.")
    repair: Literal["auto", "off"] = Field(
        default="auto", description="Whether tunnels are moved when a link that they take fails."
    )

    @field_validator("repair", mode="before")
    @classmethod
    def _is_a_word(cls, value: object) -> object:
        """In YAML `off` without quotes is a boolean."""
        return "off" if value is False else value


class Telemetry(Section):
    """How telemetry is collected. What is hastened for a while goes back by itself."""

    interval_seconds: Annotated[float, Field(ge=0, le=86_400)] = Field(
        default=10.0, description="How often each router is read, where nothing else is said; 0: never."
    )
    core_interval_seconds: Annotated[float, Field(ge=0, le=86_400)] = Field(
        default=10.0, description="The same for routers of the role p; 0: never."
    )
    jitter: float = Field(default=0.1, ge=0, le=0.5, description="How far a reading may be off, in intervals.")
    concurrency: int = Field(default=16, ge=1, le=1_000, description="Routers read at the same time.")
    longest_back_off_seconds: Seconds = Field(
        default=300.0, description="Longest wait before a failing router is tried."
    )
    history_seconds: Seconds = Field(default=1800.0, description="How much of each series is kept in memory.")
    push: Literal["auto", "off"] = Field(default="off", description="Whether routers that offer YANG-Push are to push.")
    probe_packets_per_second: float = Field(
        default=200.0, gt=0, le=1e6, description="Test packets that all measurements together may send."
    )

    service_probes: Literal["auto", "off"] = Field(
        default="off", description="Whether the provider edges of each service measure one another (STAMP)."
    )

    @field_validator("push", "service_probes", mode="before")
    @classmethod
    def _is_a_word(cls, value: object) -> object:
        """In YAML `off` without quotes is a boolean."""
        return "off" if value is False else value


class Assurance(Section):
    """How services are looked after."""

    tick_seconds: Seconds = Field(default=10.0, description="How often every service is looked at.")
    horizon_seconds: Seconds = Field(default=300.0, description="How far ahead a breach is looked for.")
    jitter_seconds: Annotated[float, Field(ge=0, le=3_600)] = Field(
        default=30.0, description="Over how long changes for one cause are spread."
    )
    report_seconds: Seconds = Field(default=3600.0, description="How often intents are reported on at the least.")


class Recovery(Section):
    """What is done about faults that services feel."""

    mode: Literal["auto", "ask", "off"] = Field(
        default="auto", description="auto: remedies are carried out; ask: an operator decides in the inbox; off."
    )
    tick_seconds: Seconds = Field(default=1.0, description="How often faults are looked for.")
    settle_seconds: Annotated[float, Field(ge=0, le=3_600)] = Field(
        default=3.0, description="How long a fault lasts before anything but the repair of tunnels is done."
    )
    verify_seconds: Seconds = Field(default=60.0, description="How long a remedy may take to be seen to help.")
    watch_seconds: Seconds = Field(default=300.0, description="How long the area of a fault is read more often.")
    fallback_policies: dict[str, str] = Field(
        default={},
        description="Remedies allowed, such as 'protect, reroute', by VPN, 'customer:NAME', 'priority:1-9' or '*'.",
    )

    @field_validator("fallback_policies")
    @classmethod
    def _are_policies(cls, policies: dict[str, str]) -> dict[str, str]:
        """What no service could be meant by, and words that are no remedy, are refused at the start."""
        try:
            FallbackPolicies.of(policies)
        except InvalidInputError as error:
            raise ValueError(f"{error.message}; {error.remedy}") from error
        return policies

    @field_validator("mode", mode="before")
    @classmethod
    def _is_a_word(cls, value: object) -> object:
        """In YAML `off` without quotes is a boolean."""
        return "off" if value is False else value


class Negotiation(Section):
    """Which parties of negotiations this process acts for."""

    parties: Path | None = Field(
        default=None, description="File of parties, keys and wallets; without it nothing is negotiated."
    )
    peer_host: str = Field(default="127.0.0.1", min_length=1, description="Address where other parties are heard.")
    peer_port: int | None = Field(
        default=None, ge=0, le=65_535, description="TCP port for them; without it all parties are in this process."
    )
    peer_certificate: Path | None = Field(default=None, description="PEM certificate shown to other parties.")
    peer_key: Path | None = Field(default=None, description="PEM private key that belongs to peer_certificate.")
    peer_ca: Path | None = Field(default=None, description="PEM of whose certificates other parties must show.")
    tick_seconds: Seconds = Field(default=10.0, description="How often prices and agreements are looked at.")
    horizon_seconds: Seconds = Field(
        default=300.0, description="How far breaches are foreseen; twice that lies between two changes of an agreement."
    )

    label_key: Path | None = Field(
        default=None,
        description="Key that makes pseudonyms of those who ask for prices; without it one is made in state_dir.",
    )
    least_labels: int = Field(
        default=5, ge=2, description="Demand is told of so many different askers together, and of no fewer."
    )

    @model_validator(mode="after")
    def _has_certificates(self) -> Self:
        files = (self.peer_certificate, self.peer_key, self.peer_ca)
        if any(files) != all(files) or (self.peer_port is not None and not all(files)):
            raise ValueError("peer_port, peer_certificate, peer_key and peer_ca go together")
        return self


class Log(Section):
    """Logging to stderr."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least severity written."
    )
    format: Literal["auto", "json", "text"] = Field(
        default="auto", description="auto: text on a terminal, JSON elsewhere."
    )


class Settings(BaseSettings):
    """Everything that can be set. Relative paths start at the directory of the file that says them.

    Build it with `load_settings`; built directly, it reads no source but its arguments.
    """

    model_config = SettingsConfigDict(
        env_prefix="ACCORD_", env_nested_delimiter="__", extra="forbid", frozen=True, validate_default=True
    )

    state_dir: Path = Field(default=_DEFAULT_STATE, description="Event log, snapshots, made certificates.")
    inventory: Path = Field(
        default=_DEFAULT_CONFIGURATION / "inventory.yaml", description="Devices, groups and defaults."
    )
    credentials: Path = Field(
        default=_DEFAULT_CONFIGURATION / "credentials.yaml",
        description="Secrets that the inventory refers to; mode 0600.",
    )
    knowledge: Path | None = Field(default=None, description="Sites, customers and units that intents may name.")
    yang_path: Annotated[tuple[Path, ...], NoDecode] = Field(
        default=(), description="Directories with YANG modules, before the built-in ones."
    )
    tokens: Path = Field(
        default=_DEFAULT_CONFIGURATION / "tokens.yaml", description="Hashed API tokens with roles; mode 0600."
    )
    listen: Listen = Field(default_factory=Listen)
    transactions: Transactions = Field(default_factory=Transactions)
    api: Api = Field(default_factory=Api)
    metrics: Metrics = Field(default_factory=Metrics)
    upkeep: Upkeep = Field(default_factory=Upkeep)
    topology: Topology = Field(default_factory=Topology)
    telemetry: Telemetry = Field(default_factory=Telemetry)
    assurance: Assurance = Field(default_factory=Assurance)
    recovery: Recovery = Field(default_factory=Recovery)
    negotiation: Negotiation = Field(default_factory=Negotiation)
    log: Log = Field(default_factory=Log)

    @field_validator("yang_path", mode="before")
    @classmethod
    def _split_path(cls, value: object) -> object:
        """The environment says several directories as `PATH` does."""
        return tuple(part for part in value.split(os.pathsep) if part) if isinstance(value, str) else value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is the library's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments only: the loader merges the other sources itself, since it tells where each value came from."""
        return (init_settings,)

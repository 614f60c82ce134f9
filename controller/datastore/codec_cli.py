"""Owns the codec of CLI devices: a syntax put behind the `Codec` contract."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from controller.datastore.cli_template import CliSyntax, UnknownLine
from controller.datastore.diff import Edit
from controller.model.errors import ProtocolViolationError
from controller.model.yang_path import Config, Path


@dataclass(frozen=True, slots=True)
class CliCodec:
    """Edits are command lines (UTF-8, one a line); readings are the text of the configuration, always whole."""

    syntax: CliSyntax
    base: Config | None = None
    """The configuration before the edits, for a syntax whose lines may hold several values."""

    def on(self, base: Config) -> "CliCodec":
        """The same codec for edits of this configuration."""
        return replace(self, base=base)

    def encode_edit(self, edit: Edit) -> bytes:
        """The exact command lines; `NotSupportedError` names a path that the syntax cannot say."""
        return "".join(line + "\n" for line in self.syntax.render_edit(edit, self.base)).encode()

    def encode_filters(self, scope: Sequence[Path]) -> Sequence[str]:  # noqa: ARG002  # the contract's signature
        """No filter: one show command gives everything, and its entity tag covers it."""
        return ()

    def decode(self, body: bytes) -> Config:
        """What is understood; see `unknown` for the rest."""
        return self.syntax.parse(_text(body)).config

    def unknown(self, body: bytes) -> tuple[UnknownLine, ...]:
        """The lines that no template knows, to be shown, never lost."""
        return self.syntax.parse(_text(body)).unknown


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise ProtocolViolationError(f"the device's configuration is not UTF-8: {error}") from error

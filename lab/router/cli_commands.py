"""Owns: the CLI's commands and modes, in the style of Junos: what each line of a session does and says.

The style is chosen so that netmiko's `juniper_junos` drives it unmodified: prompts `user@router> ` and, below a line
`[edit]`, `user@router# `; `configure`, `commit`, `commit confirmed N` (minutes), `rollback N`, `show | compare`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from lxml import etree

from lab.router.cli_candidate import CommitHistory, PrivateWorkspace, SharedWorkspace, Workspace
from lab.router.cli_interfaces import render_interfaces
from lab.router.cli_pipe import Pipes, split_pipes
from lab.router.cli_show import render
from lab.router.cli_syntax import Statement, instance_place, parse_path, path_words
from lab.router.cli_tokens import CliError, Token, quote, tokenize
from lab.router.managed import ManagedRouter
from lab.router.restconf_edit import Position, edit_of, new_config, replacement
from lab.router.restconf_errors import RestconfError
from lab.router.restconf_target import Target
from lab.router.rpc_errors import RpcError
from lab.router.xml import OPERATION, data

_DEFAULT_CONFIRM_MINUTES = 10
_MAX_CONFIRM_MINUTES = 65535
_TERMINAL_SETTINGS = {
    "screen-width": "Screen width set to {}",
    "screen-length": "Screen length set to {}",
    "complete-on-space": "{} complete-on-space",
}


@dataclass(slots=True)
class CliContext:
    """One session's state: where it is and what it edits."""

    router: ManagedRouter
    history: CommitHistory
    session_id: int
    username: str
    workspace: Workspace | None = None
    edit_path: list[Token] = field(default_factory=list)
    question: Callable[[bool], str] | None = None
    """What an answer to a pending yes/no question does."""
    closed: bool = False

    def prompt(self) -> str:
        """What to show before the next line."""
        if self.question is not None:
            return "Exit with uncommitted changes? [yes,no] (yes) "
        name = f"{self.username}@{self.router.name}"
        if self.workspace is None:
            return f"{name}> "
        path = "".join(f" {quote(token.text)}" for token in self.edit_path)
        return f"\n[edit{path}]\n{name}# "


class CommandLine:
    """Runs lines. Every refusal becomes text for the user: nothing is raised."""

    def __init__(self, context: CliContext) -> None:
        self._context = context
        self._pipes = Pipes()
        self._operational: dict[str, Callable[[list[Token], str], str]] = {
            "show": self._show_operational,
            "configure": self._configure,
            "edit": self._configure,
            "set": self._set_terminal,
            "exit": self._leave,
            "quit": self._leave,
            "cli": lambda _tokens, _line: "",
        }
        self._configuration: dict[str, Callable[[list[Token], str], str]] = {
            "set": self._set,
            "delete": self._delete,
            "insert": self._insert,
            "edit": self._edit,
            "up": self._up,
            "top": self._top,
            "show": self._show_candidate,
            "commit": self._commit,
            "rollback": self._rollback,
            "run": self._run,
            "exit": self._exit_configuration,
            "quit": self._exit_configuration,
        }

    def execute(self, line: str) -> str:
        """The text that `line` answers with; empty or ending in a line end."""
        if self._context.question is not None:
            return self._answer(line)
        try:
            tokens, self._pipes = split_pipes(tokenize(line))
            _check_pipes(tokens, self._pipes, line)
            text = self._dispatch(tokens, line)
            for act in self._pipes.filters:
                text = act(text)
        except CliError as error:
            return self._marked(line, error)
        except RpcError as error:
            return "".join(f"error: {entry.message}{_where(entry)}\n" for entry in error.all())
        return text

    def _answer(self, line: str) -> str:
        act, self._context.question = self._context.question, None
        return act(line.strip() in {"", "y", "yes"}) if act is not None else ""

    def _marked(self, line: str, error: CliError) -> str:
        """The error below a marker that points at the bad word, where the terminal shows it."""
        width = len(self._context.prompt().rpartition("\n")[2])
        column = error.column
        mark = "" if column is None else " " * (width + min(column, len(line) + 1)) + "^\n"
        return f"{mark}{error}\n" if str(error).startswith("unknown command") else f"{mark}syntax error: {error}\n"

    def _dispatch(self, tokens: list[Token], line: str) -> str:
        if not tokens:
            return ""
        commands = self._operational if self._context.workspace is None else self._configuration
        command = commands.get(tokens[0].text)
        if command is None:
            raise CliError(f"unknown command: '{tokens[0].text}'", tokens[0].column)
        return command(tokens[1:], line)

    # -- operational mode

    def _show_operational(self, tokens: list[Token], line: str) -> str:
        if tokens and tokens[0].is_word("configuration"):
            return self._show(self._context.router.store.get("running"), tokens[1:], line)
        if tokens and tokens[0].is_word("running-config"):
            self._pipes = replace(self._pipes, display="set")
            return self._show(self._context.router.store.get("running"), tokens[1:], line)
        if tokens and tokens[0].is_word("version"):
            _no_more(tokens[1:])
            return f"Hostname: {self._context.router.name}\nModel: accord lab router\n"
        if len(tokens) > 1 and tokens[0].is_word("system") and tokens[1].is_word("commit"):
            _no_more(tokens[2:])
            return self._commits()
        if len(tokens) > 1 and tokens[0].is_word("interfaces") and tokens[1].is_word("extensive"):
            _no_more(tokens[2:])
            return render_interfaces(self._context.router.operational.state_tree())
        known = "configuration, interfaces extensive, running-config, system commit, version"
        raise CliError(f"show what? one of: {known}", tokens[0].column if tokens else len(line))

    def _commits(self) -> str:
        lines = [
            f"{number}   {item.replaced_at:%Y-%m-%d %H:%M:%S} UTC by {item.username}"
            for number, item in enumerate(self._context.history)
        ]
        return "".join(f"{line}\n" for line in lines)

    def _configure(self, tokens: list[Token], _line: str) -> str:
        context, kind = self._context, tokens[0].text if tokens else ""
        _no_more(tokens[1:])
        if kind not in {"", "exclusive", "private"}:
            raise CliError(f"configure '{kind}' is not known; use exclusive or private", tokens[0].column)
        if kind == "private":
            context.workspace = PrivateWorkspace(context.router.store, context.session_id)
        else:
            try:
                context.workspace = SharedWorkspace(
                    context.router.store, context.session_id, exclusive=kind == "exclusive"
                )
            except RpcError as error:
                return self._locked(error)
        note = "The configuration has been changed but not committed\n" if context.workspace.is_dirty else ""
        return f"Entering configuration mode\n{note}"

    def _locked(self, error: RpcError) -> str:
        store = self._context.router.store
        holder = store.lock_holder("candidate")
        if holder is None and store.candidate_is_dirty:
            return "error: configuration database modified\n"
        session = self._context.router.sessions.get(holder or 0)
        name = session.username if session is not None else "another"
        who = f"configuration database locked by: {name} session {holder}" if holder else error.message
        return f"error: {who}\n"

    def _set_terminal(self, tokens: list[Token], line: str) -> str:
        if len(tokens) != 3 or not tokens[0].is_word("cli") or tokens[1].text not in _TERMINAL_SETTINGS:
            raise CliError("in operational mode only 'set cli ...' is known", tokens[0].column if tokens else len(line))
        value = tokens[2].text
        shown = {"off": "Disabling", "on": "Enabling"}.get(value, value)
        return _TERMINAL_SETTINGS[tokens[1].text].format(shown) + "\n"

    def _leave(self, tokens: list[Token], _line: str) -> str:
        _no_more(tokens)
        self._context.closed = True
        return ""

    # -- configuration mode

    @property
    def _workspace(self) -> Workspace:
        workspace = self._context.workspace
        if workspace is None:
            raise CliError("unknown command: not in configuration mode")
        return workspace

    def _statement(self, tokens: list[Token], line: str, *, whole_lists: bool, values: bool) -> Statement:
        path = [*self._context.edit_path, *tokens]
        schema = self._context.router.schema
        return parse_path(schema, path, end=len(line) + 1, whole_lists=whole_lists, values=values)

    def _set(self, tokens: list[Token], line: str) -> str:
        statement = self._statement(tokens, line, whole_lists=False, values=True)
        if not tokens or statement.target.node.pruned_when_empty:
            raise CliError("the statement is not complete", len(line) + 1)
        config = new_config()
        statement.config(config)
        return self._apply(config, statement)

    def _delete(self, tokens: list[Token], line: str) -> str:
        statement = self._statement(tokens, line, whole_lists=True, values=False)
        target = statement.target
        if not target.places:
            raise CliError("delete what? to start over, replace or roll back", len(line) + 1)
        found = target.find(self._workspace.tree)
        if not found:
            return "warning: statement not found\n"
        config = new_config()
        for element in found:
            place = instance_place(target.schema, target.node, element)
            exact = place if target.node.kind in {"list", "leaf-list"} else target.places[-1]
            Target(target.schema, (*target.parent.places, exact)).build(config).set(OPERATION, "delete")
        return self._apply(config, statement)

    def _insert(self, tokens: list[Token], line: str) -> str:
        """Insert <path to entry> before|after <node> <keys>: reorder a list that the user orders."""
        at = next((i for i, token in enumerate(tokens) if token.text in {"before", "after"} and not token.quoted), None)
        if at is None:
            raise CliError("insert needs 'before' or 'after'", len(line) + 1)
        statement = self._statement(tokens[:at], line, whole_lists=False, values=False)
        target = statement.target
        if not target.places or not target.node.user_ordered:
            raise CliError("only entries that the user orders can be inserted", statement.end)
        size = len(target.places[-1].keys or ()) + 1
        # The entry to stand at is a sibling: its path is the same but for the last step.
        point = self._statement([*tokens[: at - size], *tokens[at + 1 :]], line, whole_lists=False, values=False)
        if not target.find(self._workspace.tree):
            return "warning: statement not found\n"
        where = Position("before" if tokens[at].text == "before" else "after", point.target)
        try:
            config = edit_of(target, "merge", target.shell(data()), where)
        except RestconfError as error:
            raise CliError(str(error), point.end) from None
        return self._apply(config, statement)

    def _apply(self, config: etree._Element, statement: Statement) -> str:
        try:
            self._workspace.edit(config)
        except RpcError as error:
            if error.tag in {"in-use", "lock-denied"}:
                raise
            raise CliError(error.message, statement.column_of(error.path)) from None
        return ""

    def _edit(self, tokens: list[Token], line: str) -> str:
        statement = self._statement(tokens, line, whole_lists=False, values=False)
        if statement.target.node.kind not in {"container", "list"}:
            raise CliError(f"'{statement.target.node.name}' has nothing below it to edit", statement.end)
        self._context.edit_path += [Token(token.text, 0, quoted=True) for token in tokens]
        return ""

    def _up(self, tokens: list[Token], line: str) -> str:
        _no_more(tokens)
        if self._context.edit_path:
            places = self._statement([], line, whole_lists=False, values=False).target.places
            self._context.edit_path = self._context.edit_path[: -1 - len(places[-1].keys or ())]
        return ""

    def _top(self, tokens: list[Token], line: str) -> str:
        path, self._context.edit_path = self._context.edit_path, []
        if not tokens:
            return ""
        if tokens[0].text not in {"set", "delete", "show", "insert", "edit"}:
            self._context.edit_path = path
            raise CliError(f"'{tokens[0].text}' cannot follow top", tokens[0].column)
        try:
            return self._dispatch(tokens, line)
        finally:
            if not tokens[0].is_word("edit"):
                self._context.edit_path = path

    def _show_candidate(self, tokens: list[Token], line: str) -> str:
        return self._show(self._workspace.tree, [*self._context.edit_path, *tokens], line)

    def _rollback(self, tokens: list[Token], _line: str) -> str:
        _no_more(tokens[1:])
        number = _number(tokens[0], 0, 49) if tokens else 0
        if number == 0:
            self._workspace.discard()
        else:
            tree = self._context.history.tree(number)
            self._workspace.edit(replacement(self._context.router.schema, self._workspace.tree, tree))
        return "load complete\n"

    def _run(self, tokens: list[Token], line: str) -> str:
        if not tokens or not tokens[0].is_word("show"):
            raise CliError("run is followed by a show command", tokens[0].column if tokens else len(line) + 1)
        return self._show_operational(tokens[1:], line)

    def _commit(self, tokens: list[Token], line: str) -> str:
        words = [token.text for token in tokens]
        if words == ["check"]:
            return self._checked(self._workspace.check, "configuration check succeeds\n")
        minutes, rest = self._confirm_minutes(tokens)
        and_quit = _commit_options(rest, line)
        note = ""
        if minutes is not None:
            note = f"commit confirmed will be automatically rolled back in {minutes} minutes unless confirmed\n"
        seconds = None if minutes is None else minutes * 60.0
        text = self._checked(lambda: self._workspace.commit(seconds), f"{note}commit complete\n")
        if and_quit and text.endswith("commit complete\n"):
            return text + self._quit_configuration()
        return text

    def _confirm_minutes(self, tokens: list[Token]) -> tuple[int | None, list[Token]]:
        if not tokens or not tokens[0].is_word("confirmed"):
            return None, tokens
        if len(tokens) > 1 and tokens[1].text[:1].isdigit():
            return _number(tokens[1], 1, _MAX_CONFIRM_MINUTES), tokens[2:]
        return _DEFAULT_CONFIRM_MINUTES, tokens[1:]

    def _checked(self, act: Callable[[], None], success: str) -> str:
        """Run a check or commit, and show every complaint below the place it is about."""
        try:
            act()
        except RpcError as error:
            return "".join(map(_complaint, error.all())) + "error: configuration check-out failed\n"
        return success

    def _exit_configuration(self, tokens: list[Token], _line: str) -> str:
        if tokens and not tokens[0].is_word("configuration-mode"):
            raise CliError(f"exit '{tokens[0].text}' is not known", tokens[0].column)
        if self._context.edit_path and not tokens:
            self._context.edit_path = []
            return ""
        workspace = self._workspace
        if not workspace.is_dirty:
            return self._quit_configuration()
        self._context.question = lambda yes: self._quit_configuration() if yes else ""
        return "The configuration has been changed but not committed\n"

    def _quit_configuration(self) -> str:
        self._workspace.close()
        self._context.workspace = None
        self._context.edit_path = []
        return "Exiting configuration mode\n"

    def _show(self, tree: etree._Element, tokens: list[Token], line: str) -> str:
        base = self._context.history.tree(self._pipes.against)
        schema = self._context.router.schema
        return render(schema, tree, base, tokens, self._pipes, end=len(line) + 1)


def _check_pipes(tokens: list[Token], pipes: Pipes, line: str) -> None:
    if pipes != Pipes() and not any(token.is_word("show") for token in tokens):
        raise CliError("a pipe can follow show commands only", line.index("|"))


def _no_more(tokens: list[Token]) -> None:
    if tokens:
        raise CliError(f"'{tokens[0].text}' is not expected here", tokens[0].column)


def _number(token: Token, low: int, high: int) -> int:
    if not token.text.isdecimal() or not low <= int(token.text) <= high:
        raise CliError(f"'{token.text}' is no number from {low} to {high}", token.column)
    return int(token.text)


def _commit_options(tokens: list[Token], line: str) -> bool:
    """Whether `and-quit` is among the options; a comment is taken and not kept."""
    rest, and_quit = list(tokens), False
    while rest:
        word = rest.pop(0)
        if word.is_word("and-quit"):
            and_quit = True
        elif word.is_word("comment"):
            if not rest:
                raise CliError("comment needs its text", len(line) + 1)
            rest.pop(0)
        else:
            raise CliError(f"commit '{word.text}' is not known", word.column)
    return and_quit


def _where(error: RpcError) -> str:
    return f" [edit {' '.join(path_words(error.path))}]" if error.path else ""


def _complaint(error: RpcError) -> str:
    """One error of a commit below the place it is about."""
    words = path_words(error.path or "")
    level = error.severity if error.severity == "warning" else "error"
    if not words:
        return f"{level}: {error.message}\n"
    return f"[edit {' '.join(words[:-1])}]\n  '{words[-1]}'\n    {level}: {error.message}\n".replace(
        "[edit ]", "[edit]"
    )

"""Settings say where they come from, and refuse what they do not know."""

import os
from pathlib import Path

import pytest

from controller.adapters.resources import shared_directory
from controller.adapters.settings_loader import LoadedSettings, ReloadableSettings, load_settings, needs_restart
from controller.model.errors import InvalidInputError, NotFoundError
from controller.settings import Settings


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("ACCORD_") or name in {"CREDENTIALS_DIRECTORY", "STATE_DIRECTORY"}:
            monkeypatch.delenv(name)
    monkeypatch.setattr("controller.adapters.settings_loader.DEFAULT_FILE", Path("/nowhere/accord.yaml"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "accord.yaml"


def source_of(loaded: LoadedSettings, key: str) -> tuple[str, str]:
    return next((origin.value, origin.source) for origin in loaded.origins() if origin.key == key)


def test_without_any_source_everything_is_a_default() -> None:
    loaded = load_settings()
    assert loaded.settings == Settings()
    assert loaded.file is None
    assert {origin.source for origin in loaded.origins()} == {"default"}
    assert source_of(loaded, "listen.port") == ("8443", "default")
    assert "listen" not in {origin.key for origin in loaded.origins()}


def test_each_source_goes_over_the_one_before_and_is_named(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("listen: {host: '::1', port: 1, tls_key: tls/key.pem}\ntransactions:\n  concurrency: 5\nlog:\n")
    monkeypatch.setenv("ACCORD_LISTEN__PORT", "2")
    monkeypatch.setenv("ACCORD_LISTEN__TLS_CERTIFICATE", "/pem")
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/accord2:/other")
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "accord.listen.tls_key").write_text("KEY")
    (credentials / "accord.listen.tls_key_password").write_text("hush\n")
    (credentials / "somebody.else").write_text("?")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    loaded = load_settings(file)
    listen = loaded.settings.listen
    assert (listen.host, listen.port) == ("::1", 2)
    assert listen.tls_key == credentials / "accord.listen.tls_key"
    assert listen.tls_key_password is not None
    assert listen.tls_key_password.get_secret_value() == "hush"
    assert loaded.settings.transactions.concurrency == 5
    assert source_of(loaded, "listen.host") == ("::1", f"file {file}")
    assert source_of(loaded, "listen.port") == ("2", "environment ACCORD_LISTEN__PORT")
    assert source_of(loaded, "listen.tls_key")[1] == "credential accord.listen.tls_key"
    assert source_of(loaded, "listen.tls_key_password") == ("********", "credential accord.listen.tls_key_password")
    assert source_of(loaded, "state_dir") == ("/var/lib/accord2", "systemd STATE_DIRECTORY")
    assert "hush" not in repr(loaded) + str(loaded.origins())


def test_relative_paths_start_where_the_file_stands(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("state_dir: state\nyang_path: [models, /abs]\nlisten: {tls_key: k.pem, tls_certificate: /c.pem}\n")
    settings = load_settings(file).settings
    assert settings.state_dir == file.parent / "state"
    assert settings.yang_path == (file.parent / "models", Path("/abs"))
    assert settings.listen.tls_key == file.parent / "k.pem"
    assert settings.listen.tls_certificate == Path("/c.pem")
    monkeypatch.setenv("ACCORD_YANG_PATH", "/a:/b")
    assert load_settings(file).settings.yang_path == (Path("/a"), Path("/b"))


@pytest.mark.parametrize(
    "text, words",
    [
        ("listne: {port: 1}", "unknown key 'listne'; did you mean 'listen'?"),
        ("listen: {prot: 1}", "unknown key 'listen.prot'; did you mean 'listen.port'?"),
        ("zzzzzz: 1", "unknown key 'zzzzzz'"),
        ("listen: {port: many}", "listen.port: Input should be a valid integer"),
        ("listen: {port: 70000}", "listen.port: Input should be less than or equal to 65535"),
        ("listen: {tls_key: /k}", "tls_certificate and tls_key go together"),
        ("transactions: {confirm_timeout_seconds: 0}", "transactions.confirm_timeout_seconds"),
        ("listen: 5", "listen: Input should be"),
        ("log: {level: loud}", "log.level: Input should be 'debug', 'info', 'warning' or 'error'"),
        ("- a", "must hold a mapping"),
        ("1: 2", "must hold a mapping"),
        ("a: [", "is not good YAML: line 2"),
        ("listen: {port: 1}\nlisten: {port: 2}", "line 2: the key 'listen' occurs twice"),
        ("listen:\n  port: 1\n  port: 2", "line 3: the key 'port' occurs twice"),
        ("a: !!python/object:os.system {}", "is not good YAML"),
    ],
)
def test_what_is_wrong_in_the_file_is_named_with_the_file(file: Path, text: str, words: str) -> None:
    file.write_text(text)
    with pytest.raises(InvalidInputError) as refused:
        load_settings(file)
    assert words in str(refused.value)
    assert str(file) in str(refused.value)


def test_all_problems_are_told_at_once_and_no_secret_value_with_them(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("listen: {port: -1, prot: 5, tls_key_password: [hush]}\nlgo: 1\n")
    monkeypatch.setenv("ACCORD_API__DEPTH", "deep")
    with pytest.raises(InvalidInputError) as refused:
        load_settings(file)
    lines = refused.value.message.splitlines()
    assert len(lines) == 5
    assert any(line.startswith("environment ACCORD_API__DEPTH: api.depth") for line in lines)
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize(
    "name, words",
    [
        ("ACCORD_LISTEN__PROT", "environment ACCORD_LISTEN__PROT: unknown key 'listen.prot'"),
        ("ACCORD_LISTNE__PORT", "did you mean 'ACCORD_LISTEN__PORT'?"),
        ("ACCORD_STATE_DIRR", "did you mean 'ACCORD_STATE_DIR'?"),
        ("ACCORD_NOTHING__LIKE_IT", "unknown variable ACCORD_NOTHING__LIKE_IT"),
    ],
)
def test_an_unknown_variable_is_refused_with_the_nearest_one(
    name: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(InvalidInputError) as refused:
        load_settings()
    assert words in str(refused.value)


def test_variables_of_the_command_line_and_of_tests_are_not_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ACCORD_URL", "ACCORD_TOKEN", "ACCORD_TEST_YANG_PATH", "ACCORD_CONFIG"):
        monkeypatch.setenv(name, "x")
    assert load_settings().settings == Settings()


def test_an_unknown_credential_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "accord.listen.tls_kee").write_text("x")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    with pytest.raises(InvalidInputError, match=r"credential accord\.listen\.tls_kee: unknown key"):
        load_settings()


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"none\.yaml"):
        load_settings(tmp_path / "none.yaml")


def test_a_reload_tells_what_changed_and_what_needs_a_restart(file: Path) -> None:
    file.write_text("log: {level: info}\n")
    holder = ReloadableSettings(load_settings(file))
    file.write_text("log: {level: debug}\nlisten: {port: 9}\n")
    changed = holder.reload()
    assert list(changed) == ["listen.port", "log.level"]
    assert list(needs_restart(changed)) == ["listen.port"]
    assert holder.current.log.level == "debug"
    assert list(holder.reload()) == []


def test_a_refused_reload_keeps_the_last_good_settings(file: Path) -> None:
    file.write_text("log: {level: debug}\n")
    holder = ReloadableSettings(load_settings(file))
    good = holder.last_reload_success_time
    for text in ("log: {level: loud}", "log: ["):
        file.write_text(text)
        with pytest.raises(InvalidInputError):
            holder.reload()
        assert holder.current.log.level == "debug"
        assert not holder.last_reload_successful
        assert holder.last_reload_success_time == good
    file.write_text("log: {level: error}")
    holder.reload()
    assert holder.last_reload_successful


def test_settings_describe_themselves_for_editors() -> None:
    schema = Settings.model_json_schema()
    assert schema["additionalProperties"] is False
    assert all("description" in entry for entry in schema["$defs"]["Listen"]["properties"].values())


def test_the_sample_file_names_every_setting_with_its_default() -> None:
    sample = shared_directory("config") / "accord.yaml"
    loaded = load_settings(sample)
    assert loaded.settings == Settings()
    assert {origin.source for origin in loaded.origins()} == {f"file {sample}"}


def test_paths_are_told_without_detours(file: Path) -> None:
    file.write_text("state_dir: ../var/state\nyang_path: [../yang]\n")
    settings = load_settings(file).settings
    assert settings.state_dir == file.resolve().parent.parent / "var/state"
    assert settings.yang_path == (file.resolve().parent.parent / "yang",)

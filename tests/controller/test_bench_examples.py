"""Examples that `accord bench` writes: each is judged by the command it was written for."""

import json

import pytest

from controller.cli.main import main


@pytest.mark.parametrize(
    "command,option,more",
    [("assure", "--series", ["--horizon", "6h"]), ("localise", "--scenario", [])],
)
def test_an_example_is_written_and_is_what_the_command_reads(tmp_path, capsys, command, option, more):
    file = tmp_path / "example"
    assert main(["bench", command, "--example", str(file), "-o", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["written"] == str(file)
    assert told["next"].startswith(f"accord bench {command} ")
    assert main(["bench", command, option, str(file), *more, "-o", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["skill_vs_persistence"] > 0.5 if command == "assure" else found["incidents"][0]["known"]


@pytest.mark.parametrize("command,begins", [("assure", "time,series,value\n"), ("localise", "# A scenario")])
def test_an_example_is_printed_where_a_dash_is_asked_for(tmp_path, capsys, command, begins):
    assert main(["bench", command, "--example", "-"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(begins)
    (tmp_path / "example").write_text(shown)
    option, more = ("--series", ["--horizon", "1"]) if command == "assure" else ("--scenario", [])
    assert main(["bench", command, option, str(tmp_path / "example"), *more]) == 0


@pytest.mark.parametrize("command", ["assure", "localise"])
def test_a_file_that_is_there_is_not_written_over(tmp_path, capsys, command):
    file = tmp_path / "mine"
    file.write_text("mine")
    assert main(["bench", command, "--example", str(file)]) == 1
    assert "it is there already" in capsys.readouterr().err
    assert file.read_text() == "mine"
    assert main(["bench", command, "--example", str(tmp_path / "no" / "where")]) == 1
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments,named",
    [
        (["assure"], "there is no --series FILE"),
        (["localise"], "there is no --scenario FILE"),
        (["assure", "--series", "x.csv"], "there is no --horizon"),
        (["assure", "--series", "x.csv", "--example", "y.csv"], "exclude each other"),
        (["localise", "--scenario", "x.yaml", "--example", "y.yaml"], "exclude each other"),
    ],
)
def test_what_is_left_out_or_too_much_is_said_with_what_to_give(capsys, arguments, named):
    assert main(["bench", *arguments]) == 64
    assert named in capsys.readouterr().err

"""`untrace completion bash`, as bash runs it."""

import re
import subprocess

import pytest

import otlp
from agent import PROGRAM, untrace
from waiting import DEADLINE_S

EX_USAGE = 64


def complete(*words, cwd=None):
    """What bash offers for the last of these words."""
    script = ('source <("$1" completion bash); shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
              '_untrace; printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "-c", script, "bash", PROGRAM, PROGRAM, *words], cwd=cwd, capture_output=True, text=True,
                          timeout=DEADLINE_S, check=False, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"})
    assert (done.returncode, done.stderr) == (0, "")
    return set(done.stdout.splitlines()) - {""}


def commands():
    return set(re.findall(r"^  ([a-z]+)  +\S", untrace("help").stdout, re.MULTILINE))


def test_commands_are_completed():
    assert commands() >= {"run", "export", "store", "completion"}
    assert complete("") == commands() | {"help", "--help", "--version"}
    assert complete("exp") == {"export"}
    assert complete("help", "tra") == {"trace", "traces"}
    assert complete("no-such-command", "") == set()


@pytest.mark.parametrize("command", sorted(commands()))
def test_the_options_of_every_command_are_those_of_its_help(command):
    offered = complete(command, "--")
    assert "--help" in offered
    told = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", untrace(command, "--help").stdout))
    assert offered - {"--help"} <= told
    assert complete(command, "--hel") == {"--help"}


def test_subcommands_of_the_store_and_their_options():
    assert complete("store", "") >= {"info", "verify"}
    assert complete("store", "ver") == {"verify"}
    assert complete("store", "info", "--") >= {"--data-dir", "--config", "--json", "--help"}
    assert complete("completion", "") == {"bash"}


def test_values_are_completed(tmp_path):
    (tmp_path / "a file").touch()
    (tmp_path / "other").touch()
    (tmp_path / "a dir").mkdir()
    assert complete("import", "a", cwd=tmp_path) == {"a file", "a dir"}
    assert complete("export", "-o", "", cwd=tmp_path) == {"a file", "a dir", "other"}
    assert complete("run", "--data-dir", "", cwd=tmp_path) == {"a dir"}
    assert complete("run", "--config", "=", "oth", cwd=tmp_path) == {"other"}
    assert complete("export", "--format", "") == {"otlp-json", "otlp-protobuf", "csv"}
    assert complete("export", "--format", "=") == {"otlp-json", "otlp-protobuf", "csv"}
    assert complete("import", "-f", "otlp-p") == {"otlp-protobuf"}
    assert complete("spans", "--status", "e") == {"error"}
    assert complete("spans", "--status", "error,u") == {"error,unset"}
    assert complete("spans", "--kind", "=", "server,client,") == {
        f"server,client,{kind}" for kind in ("server", "client", "producer", "consumer", "internal", "unspecified")}
    assert complete("send", "--spans", "") == set()


def test_trace_ids_come_from_the_data_directory_of_the_line(tmp_path):
    messages = [otlp.request(1) for _ in range(5)]
    file = tmp_path / "spans"
    file.write_bytes(b"".join(message.SerializeToString() for message in messages))
    assert untrace("import", file, "--data-dir", tmp_path / "data dir").returncode == 0
    ids = {otlp.first_span(message).trace_id.hex() for message in messages}
    one = min(ids)
    assert complete("trace", "--data-dir", str(tmp_path / "data dir"), "") == ids
    assert complete("trace", "--data-dir", "=", str(tmp_path / "data dir"), one[:9]) == {one}
    assert complete("export", "-d", str(tmp_path / "data dir"), "--trace", one[:9]) == {one}
    assert complete("trace", "-d", str(tmp_path / "nothing"), "") == set()


def test_the_shell_takes_the_script_without_a_word():
    script = untrace("completion", "bash").stdout
    done = subprocess.run(["bash", "-eu", "-c", script + "complete -p untrace"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "complete -F _untrace untrace\n", "")


def test_other_shells_are_not_known():
    for arguments in [], ["fish"], ["bash", "more"]:
        done = untrace("completion", *arguments)
        assert (done.returncode, done.stdout) == (EX_USAGE, "")

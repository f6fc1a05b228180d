"""`untrace completion SHELL`, as the shells run it."""

import re
import shutil
import subprocess

import pytest

import otlp
from agent import PROGRAM, untrace
from waiting import DEADLINE_S

EX_USAGE = 64
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}


def complete(*words, cwd=None):
    """What bash offers for the last of these words."""
    script = ('source <("$1" completion bash); shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
              '_untrace; printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "-c", script, "bash", PROGRAM, PROGRAM, *words], cwd=cwd, capture_output=True, text=True,
                          timeout=DEADLINE_S, check=False, env=ENVIRONMENT)
    assert (done.returncode, done.stderr) == (0, "")
    return set(done.stdout.splitlines()) - {""}


def complete_zsh(*words, cwd=None):
    """The same in zsh, with its own functions for files replaced by their names."""
    script = ('compdef() { }; source <("$1" completion zsh); shift; words=("$@"); CURRENT=$#; '
              'compadd() { print -rl -- $found }; _files() { print -r -- _files "$@" $prefix }; '
              'compset() { prefix=$2 }; _untrace')
    done = subprocess.run(["zsh", "-f", "-c", script, "zsh", PROGRAM, PROGRAM, *words], cwd=cwd, capture_output=True, text=True,
                          timeout=DEADLINE_S, check=False, env=ENVIRONMENT)
    assert (done.returncode, done.stderr) == (0, "")
    return set(done.stdout.splitlines()) - {""}


def complete_fish(*words, cwd=None):
    """The same in fish, which is asked as it asks itself."""
    line = " ".join([PROGRAM, *words[:-1]]) + " " + words[-1]
    script = '$argv[1] completion fish | string replace -- "-c untrace" "-p $argv[1]" | source; complete -C "$argv[2]"'
    done = subprocess.run(["fish", "--no-config", "-c", script, PROGRAM, line], cwd=cwd, capture_output=True, text=True,
                          timeout=DEADLINE_S, check=False, env={**ENVIRONMENT, "HOME": str(cwd or "/nonexistent")})
    assert (done.returncode, done.stderr) == (0, "")
    return {line.split("\t")[0] for line in done.stdout.splitlines()} - {""}


def commands():
    return set(re.findall(r"^  ([a-z]+)  +\S", untrace("help").stdout, re.MULTILINE))


def test_commands_are_completed():
    assert commands() >= {"run", "export", "store", "completion"}
    assert complete("") == commands() | {"help", "--help", "--version"}
    assert complete("exp") == {"export"}
    assert complete("help", "tra") == {"trace", "traces"}
    assert complete("help", "store", "ver") == {"verify"}
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
    assert complete("completion", "") == {"bash", "zsh", "fish", "words"}


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


@pytest.fixture
def store(tmp_path):
    """A data directory with a blank in its name, and the ids of its traces."""
    messages = [otlp.request(1, service=service) for service in ("shop", "shop", "bill $(exit 1)", "bad\nline", "über")]
    for message in messages:
        otlp.first_span(message).name = "GET /list"
    file = tmp_path / "spans"
    file.write_bytes(b"".join(message.SerializeToString() for message in messages))
    assert untrace("import", file, "--data-dir", tmp_path / "data dir").returncode == 0
    return str(tmp_path / "data dir"), {otlp.first_span(message).trace_id.hex() for message in messages}


def test_trace_ids_come_from_the_data_directory_of_the_line(tmp_path, store):
    where, ids = store
    one = min(ids)
    assert complete("trace", "--data-dir", where, "") == ids
    assert complete("trace", "--data-dir", "=", where, one[:9]) == {one}
    assert complete("export", "-d", where, "--trace", one[:9]) == {one}
    assert complete("trace", "-d", str(tmp_path / "nothing"), "") == set()


def test_services_and_names_come_from_the_store_and_are_quoted(store):
    where, _ = store
    assert complete("spans", "-d", where, "--service", "") == {"shop", r"bill\ \$\(exit\ 1\)", "über"}
    assert complete("spans", "-d", where, "--service", "=", "s") == {"shop"}
    assert complete("spans", "-d", where, "--name", "GE") == {r"GET\ /list"}


@pytest.mark.skipif(shutil.which("zsh") is None, reason="needs zsh")
def test_zsh_offers_the_same(store):
    where, ids = store
    assert complete_zsh("") == complete("")
    assert complete_zsh("store", "ver") == {"verify"}
    assert complete_zsh("export", "--format=otlp-p") == {"--format=otlp-protobuf"}
    assert complete_zsh("trace", "--data-dir", where, "") == ids
    assert complete_zsh("spans", "-d", where, "--name", "GE") == {"GET /list"}
    assert complete_zsh("run", "--data-dir", "") == {"_files -/"}
    assert complete_zsh("run", "--config=a") == {"_files *="}


@pytest.mark.skipif(shutil.which("fish") is None, reason="needs fish")
def test_fish_offers_the_same(tmp_path, store):
    where, ids = store
    (tmp_path / "some.yaml").touch()
    assert complete_fish("", cwd=tmp_path) >= commands() | {"help"}
    assert complete_fish("store", "ver", cwd=tmp_path) == {"verify"}
    assert complete_fish("export", "--format=otlp-p", cwd=tmp_path) == {"--format=otlp-protobuf"}
    assert complete_fish("trace", "--data-dir", f"'{where}'", "", cwd=tmp_path) == ids
    assert complete_fish("run", "--config", "som", cwd=tmp_path) == {"some.yaml"}
    assert complete_fish("run", "--config=som", cwd=tmp_path) == {"--config=some.yaml"}


@pytest.mark.parametrize("shell, check", [("bash", "complete -p untrace"), ("zsh", ":"), ("fish", "complete -c untrace")])
def test_the_shell_takes_the_script_without_a_word(shell, check):
    if shutil.which(shell) is None:
        pytest.skip(f"needs {shell}")
    script = untrace("completion", shell).stdout
    options = {"bash": ["-eu"], "zsh": ["-feu"], "fish": ["--no-config"]}[shell]
    before = "compdef() { }\n" if shell == "zsh" else ""
    done = subprocess.run([shell, *options, "-c", before + script + check], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    if shell == "bash":
        assert done.stdout == "complete -F _untrace untrace\n"


def test_other_shells_are_not_known():
    for arguments in [], ["ksh"], ["bash", "more"]:
        done = untrace("completion", *arguments)
        assert (done.returncode, done.stdout) == (EX_USAGE, "")


def test_lines_that_no_shell_makes_are_survived():
    for line in [], ["untrace"], ["untrace", "="], ["untrace", "spans", "="], ["untrace", "=", "=", "="], ["untrace", "store", "="]:
        done = untrace("completion", "words", "--", *line)
        assert done.returncode in (0, EX_USAGE) and "assert" not in done.stderr

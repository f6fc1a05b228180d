"""A wrong configuration stops the start with file, line, what was found and what was expected; `check` says the same."""

import json
import os
import re
import socket
from pathlib import Path

import pytest

from agent import untrace

EX_CONFIG = 78
DEST = "destinations:\n  - name: a\n    endpoint: http://127.0.0.1:1\n"
HTTPS = DEST.replace("http:", "https:")

# Name: text, line of the fault (0: not one line's), words of the message.
WRONG = {
    "not YAML": ("data_dir: [\n", 2, []),
    "a tab as indentation": ("storage:\n\tttl: 1d\n", 2, []),
    "two documents": ("data_dir: /a\n---\ndata_dir: /b\n", 3, ["second document"]),
    "a list at the top": ("- a\n", 1, ["list", "mapping"]),
    "an unknown key at the top": ("data_dir: /tmp/x\ndata_dri: /tmp/y\n", 2, ["data_dri", "data_dir"]),
    "an unknown key below": ("storage:\n  max_size: 8MiB\n  tll: 30d\n", 3, ["tll", "ttl"]),
    "an unknown receiver": ("receivers:\n  otlp_http: {}\n  zipkin: {}\n", 3, ["zipkin", "otlp_http"]),
    "a key twice": ("storage:\n  ttl: 1d\n  max_size: 8MiB\n  ttl: 2d\n", 4, ["ttl", "line 2"]),
    "text where a mapping belongs": ("storage: 8MiB\n", 1, ["8MiB", "mapping"]),
    "a mapping where a list belongs": ("destinations:\n  name: a\n", 2, ["list"]),
    "a list where text belongs": ("data_dir:\n  - /a\n", 2, ["list"]),
    "an empty text": ("data_dir: ''\n", 1, ["nothing"]),
    "an address without port": ("receivers:\n  otlp_http:\n    listen: localhost\n", 3, ["localhost", "127.0.0.1:4318"]),
    "a port too large": ("receivers:\n  otlp_http:\n    listen: 127.0.0.1:65536\n", 3, ["65536"]),
    "a size without sense": ("storage:\n  max_size: lots\n", 2, ["lots", "256MiB"]),
    "a size with a wrong unit": ("storage:\n  max_size: 8MB5\n", 2, ["8MB5"]),
    "a negative size": ("storage:\n  max_size: -1\n", 2, ["-1"]),
    "a size too large for a number": ("storage:\n  max_size: 99999999999999999999GiB\n", 2, ["99999999999999999999GiB"]),
    "a store too small": ("storage:\n  max_size: 1MiB\n", 2, ["1MiB", "4MiB"]),
    "a duration without unit": ("storage:\n  ttl: 30\n", 2, ["30", "30d"]),
    "durability, an old key": ("storage:\n  durability: interval\n", 2, ["no key any more", "storage.commit_delay"]),
    "durability as it always is": ("storage:\n  durability: commit\n", 2, ["no key any more", "Leave it out"]),
    "a long commit_delay": ("storage:\n  commit_delay: 2s\n", 2, ["2s", "a duration of 0 to 1s"]),
    "sync_interval, an old key": ("storage:\n  sync_interval: 1s\n", 2, ["no key any more", "storage.commit_delay"]),
    "an unknown log level": ("log:\n  level: loud\n", 2, ["loud", "debug"]),
    "no number": ("receivers:\n  otlp_http:\n    max_connections: many\n", 3, ["many"]),
    "a number out of range": ("receivers:\n  otlp_http:\n    max_connections: 0\n", 3, ["0", "1 to"]),
    "memory below one body": ("receivers:\n  otlp_http:\n    max_body_size: 8MiB\n    max_memory: 4MiB\n", 0, ["max_memory"]),
    "a certificate file that is not there": ("receivers:\n  otlp_http:\n    tls:\n      cert_file: /no/such.pem\n", 4,
                                             ["/no/such.pem"]),
    "a certificate without key": ("receivers:\n  otlp_http:\n    tls:\n      cert_file: {file}\n", 0, ["key_file"]),
    "no name": ("destinations:\n  - endpoint: http://a:1\n", 2, ["name"]),
    "a bad name": ("destinations:\n  - name: a b\n    endpoint: http://a:1\n", 2, ["a b"]),
    "no endpoint": ("destinations:\n  - name: a\n", 2, ["endpoint"]),
    "a name twice": (DEST + "  - name: a\n    endpoint: http://127.0.0.1:2\n", 4, ["a", "second"]),
    "an endpoint without scheme": ("destinations:\n  - name: a\n    endpoint: central:4318\n", 3, ["no scheme", "http://"]),
    "an endpoint with another scheme": ("destinations:\n  - name: a\n    endpoint: ftp://central\n", 3, ["ftp"]),
    "an endpoint with a bad port": ("destinations:\n  - name: a\n    endpoint: http://central:99999\n", 3, ["port", "65535"]),
    "an unknown provider": (DEST + "    provider: carrier-pigeon\n", 4, ["carrier-pigeon", "otlp"]),
    "an unknown compression": (DEST + "    compression: zip\n", 4, ["zip", "gzip"]),
    "an unknown encoding": (DEST + "    encoding: xml\n", 4, ["xml", "protobuf"]),
    "a batch without spans": (DEST + "    batch: { max_spans: 0 }\n", 4, ["max_spans", "0"]),
    "max below initial": (DEST + "    retry:\n      initial: 10s\n      max: 1s\n", 0, ["initial", "max"]),
    "a multiplier below one": (DEST + "    retry:\n      multiplier: 0.5\n", 5, ["0.5"]),
    "too many connections": (DEST + "    connections: 1000\n", 4, ["1000", "16"]),
    "tls for plain http": (DEST + "    tls: { insecure: true }\n", 4, ["tls", "https"]),
    "a CA file that is not there": (HTTPS + "    tls:\n      ca_file: /no/ca.pem\n", 5, ["/no/ca.pem"]),
    "a CA beside insecure": (HTTPS + "    tls: { ca_file: {file}, insecure: true }\n", 4, ["insecure", "ca_file"]),
    "insecure that is no bool": (HTTPS + "    tls:\n      insecure: sometimes\n", 5, ["sometimes", "true or false"]),
    "a key without certificate": (HTTPS + "    tls: { key_file: {file} }\n", 4, ["cert_file"]),
    "a header that the agent writes": (DEST + "    headers:\n      Content-Length: '5'\n", 5, ["Content-Length"]),
    "a header with a line end": (DEST + "    headers:\n      X-A: \"secret\\r\\nX-B: 1\"\n", 5, ["X-A"]),
    "a variable that is not set": (DEST + "    headers:\n      X-A: ${env:E2E_NOT_SET}\n", 5, ["E2E_NOT_SET"]),
    "a broken variable": ("data_dir: ${HOME}/x\n", 1, ["${HOME}", "${env:"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_configuration_is_explained_with_its_place(tmp_path, name):
    text, line, words = WRONG[name]
    dummy = tmp_path / "dummy.pem"
    dummy.write_text("something\n")
    file = tmp_path / "wrong.yaml"
    file.write_text(text.replace("{file}", str(dummy)))
    messages = set()
    for command in "check", "run":
        done = untrace(command, "--config", file)
        assert done.returncode == EX_CONFIG, done
        message = done.stderr.strip()
        assert "\n" not in message, message
        assert f"{file}:{line}:" in message if line else f"{file}:" in message, message
        for word in words:
            assert word in message, message
        assert "secret" not in message
        messages.add(message)
    assert len(messages) == 1


def test_a_file_that_is_not_there_is_named(tmp_path):
    for command in "check", "run":
        done = untrace(command, "--config", tmp_path / "none.yaml")
        assert done.returncode == EX_CONFIG
        assert str(tmp_path / "none.yaml") in done.stderr


def test_bad_pem_is_refused_with_the_reason(tmp_path, authority, server_certificate):
    bad = tmp_path / "bad.pem"
    bad.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    config = tmp_path / "config.yaml"
    other_key = authority.sign("other-key").key
    for text in (f"receivers:\n  otlp_http:\n    tls: {{ cert_file: {bad}, key_file: {server_certificate.key} }}\n",
                 f"receivers:\n  otlp_http:\n    tls: {{ cert_file: {server_certificate.cert}, key_file: {other_key} }}\n",
                 HTTPS + f"    tls: {{ ca_file: {bad} }}\n"):
        config.write_text(f"data_dir: {tmp_path}/data\n" + text.replace("tls:", "listen: 127.0.0.1:0\n    tls:", 1)
                          if "receivers" in text else f"data_dir: {tmp_path}/data\n" + text)
        for command in "check", "run":
            done = untrace(command, "--config", config)
            assert done.returncode == EX_CONFIG, done
            assert re.search("certificate|key|CA file", done.stderr), done.stderr


def test_check_says_what_a_good_configuration_means(tmp_path, authority):
    file = tmp_path / "good.yaml"
    file.write_text(f"data_dir: {tmp_path}/data\nreceivers: {{ otlp_http: {{ listen: 127.0.0.1:0 }} }}\nstorage: {{ max_size: 1GiB, ttl: 7d, commit_delay: 300ms }}\n" + HTTPS +
                    f"    tls: {{ ca_file: {authority.cert} }}\n    headers: {{ authorization: 'Bearer secret-token' }}\n"
                    "  - name: lax\n    endpoint: https://localhost\n    tls: { insecure: true }\n")
    done = untrace("check", "--config", file)
    assert done.returncode == 0 and re.fullmatch("untrace: warn: agent: destination lax is insecure.*\n", done.stderr), done
    for word in f"configuration      {file} (--config)\nthe configuration is good\n", f"{tmp_path}/data", "1.0 GiB", "7 days", "waits 300 ms", "https://127.0.0.1:1/v1/traces", "https://localhost:443/v1/traces", "NOT verified":
        assert word in done.stdout, done.stdout
    assert "secret-token" not in done.stdout
    assert not (tmp_path / "data").exists()


def test_an_empty_file_means_all_defaults(tmp_path):
    file = tmp_path / "empty.yaml"
    file.write_text("")
    where = ("-d", tmp_path / "data", "-l", "127.0.0.1:0")
    done = untrace("check", "--config", file, *where)
    assert done.returncode == 0, done
    assert "256.0 MiB, kept for 30 days" in done.stdout
    assert untrace("check", "--config", "-", *where).returncode == 0
    # Without any file its words say so.
    done = untrace("check", *where, env={**os.environ, "UNTRACE_CONFIG": ""})
    if not Path("/etc/untrace/untrace.yaml").exists():
        assert done.stdout.startswith("configuration      built-in defaults ($UNTRACE_CONFIG unset, /etc/untrace/untrace.yaml not there)\n")
    done = untrace("check", *where, env={**os.environ, "UNTRACE_CONFIG": str(file)})
    assert done.stdout.startswith(f"configuration      {file} ($UNTRACE_CONFIG)\n")


READERS = ["traces", "top --once", "spans", "failures", "stats", "store info", "store verify", "export", "store cleanup --older-than 30d --dry-run"]


def test_readers_need_neither_the_secrets_nor_the_files_of_the_agent(agent, tmp_path):
    running = agent()
    done = untrace("send", "--endpoint", running.url, "-n", 10)
    assert done.returncode == 0, done.stderr
    file = tmp_path / "edge.yaml"
    file.write_text(f"data_dir: {running.data_dir}\n"
                    "receivers:\n  otlp_http:\n    tls: { cert_file: nowhere.pem, key_file: nowhere.key }\n"
                    "destinations:\n  - name: central\n    endpoint: https://central.example:4318\n"
                    "    headers: { authorization: \"Bearer ${env:E2E_NOT_SET}\" }\n    tls: { ca_file: nowhere.pem }\n")
    for command in READERS:
        done = untrace(*command.split(), "--config", file)
        assert done.returncode == 0, (command, done.stderr)
        # Nor does a directory on the command line need a configuration that is right.
        done = untrace(*command.split(), "-d", running.data_dir, env={**os.environ, "UNTRACE_CONFIG": str(tmp_path / "none")})
        assert done.returncode == 0, (command, done.stderr)
    for command in "check", "run":
        assert untrace(command, "--config", file).returncode == EX_CONFIG


def test_files_are_relative_to_the_configuration(tmp_path, authority, server_certificate):
    folder = tmp_path / "etc"
    folder.mkdir()
    for name, source in ("cert.pem", server_certificate.cert), ("key.pem", server_certificate.key):
        (folder / name).write_bytes(Path(source).read_bytes())
    (folder / "untrace.yaml").write_text("data_dir: data\nreceivers:\n  otlp_http:\n    listen: 127.0.0.1:0\n"
                                         "    tls: { cert_file: cert.pem, key_file: ./key.pem }\n")
    for config, cwd in (folder / "untrace.yaml", "/"), ("etc/untrace.yaml", tmp_path), ("untrace.yaml", folder):
        done = untrace("check", "--config", config, cwd=cwd)
        assert done.returncode == 0, done.stderr
        assert "data" in done.stdout


def test_options_and_variables_stand_above_the_file(agent, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    running = agent(environment={"UNTRACE_LISTEN": "127.0.0.1:0", "UNTRACE_DATA_DIR": str(elsewhere)},
                    receiver={"listen": "192.0.2.1:4318"})
    assert untrace("send", "--endpoint", running.url, "-n", 10).returncode == 0
    assert (elsewhere / "store.mdb").exists()
    found = untrace("traces", env={**os.environ, "UNTRACE_DATA_DIR": str(elsewhere), "UNTRACE_CONFIG": ""})
    assert found.returncode == 0 and found.stdout.count("\n") > 1, found
    wrong = untrace("run", "--config", running.config_file, "--listen", "central:4318")
    assert wrong.returncode == 64 and "names are not looked up" in wrong.stderr
    # An option stands above a variable.
    taken = untrace("run", "-c", "-", "-d", tmp_path / "third", "-l", f"127.0.0.1:{running.port}", input="",
                    env={**os.environ, "UNTRACE_LISTEN": "nonsense:1"})
    assert taken.returncode == 78 and "UNTRACE_LISTEN: found" in taken.stderr
    taken = untrace("run", "-c", "-", "-d", tmp_path / "third", "-l", f"127.0.0.1:{running.port}", input="",
                    env={**os.environ, "UNTRACE_LISTEN": "192.0.2.1:1"})
    assert taken.returncode == 69 and f"127.0.0.1:{running.port}" in taken.stderr


def test_check_is_good_only_where_run_would_start(tmp_path):
    a_file = tmp_path / "file"
    a_file.write_text("")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for data_dir, listen, code, words in [
                (tmp_path / "data", f"127.0.0.1:{port}", 69, f"cannot listen on 127.0.0.1:{port}: the address is in use"),
                (tmp_path / "data", "192.0.2.1:4318", 69, "this machine has no such address"),
                ("/proc/none/x", "127.0.0.1:0", 73, "cannot make the data directory /proc/none: "),
                (a_file, "127.0.0.1:0", 73, f"cannot make the data directory {a_file}: "),
                (a_file / "below", "127.0.0.1:0", 73, f"cannot make the data directory {a_file}/below: ")]:
            told = set()
            for command in "check", "run":
                done = untrace(command, "-c", "-", "-d", data_dir, "-l", listen, input="log: { level: error }\n")
                assert done.returncode == code and words in done.stderr, done
                told.add(re.sub("^(untrace|.* error agent): ", "", done.stderr.splitlines()[-1]))
            assert len(told) == 1, told
    assert not any((tmp_path / name).exists() for name in ("none", "below"))
    # Where it goes to a log, why a start failed has its time and level, and nothing is said of a stop.
    done = untrace("run", "-c", "-", "-d", a_file, input="")
    assert re.fullmatch(r".*Z info agent: untrace .* starts: .*\n.*Z error agent: cannot make the data directory .*\n", done.stderr), done


def test_check_leaves_no_trace(tmp_path):
    socket_file = tmp_path / "in.sock"
    done = untrace("check", "-c", "-", "-d", tmp_path / "a" / "b", "-l", f"unix:{socket_file}", input="")
    assert done.returncode == 0, done
    assert not list(tmp_path.iterdir())


def test_check_finds_a_store_that_would_not_open(agent, tmp_path):
    key, other = tmp_path / "key", tmp_path / "other"
    for file in key, other:
        file.write_bytes(os.urandom(32))
        file.chmod(0o600)
    under_test = agent(storage={"encryption": {"key_file": str(key)}})
    under_test.stop()
    text = under_test.config_file.read_text()
    assert untrace("check", "-c", under_test.config_file).returncode == 0
    under_test.config_file.write_text(text.replace(str(key), str(other)))
    told = {re.sub("^(untrace|.* error agent): ", "", untrace(command, "-c", under_test.config_file).stderr.splitlines()[-1])
            for command in ("check", "run")}
    assert len(told) == 1 and "key" in told.pop()
    under_test.config_file.write_text(text)
    (under_test.data_dir / "store.mdb").write_bytes(b"no store at all" * 1000)
    codes = {untrace(command, "-c", under_test.config_file).returncode for command in ("check", "run")}
    assert codes == {65}


def test_check_knows_the_agent_that_holds_the_port(agent, tmp_path):
    running = agent()
    line = ("check", "-c", running.config_file, "-l", f"127.0.0.1:{running.port}")
    done = untrace(*line)
    assert done.returncode == 0, done
    assert f"process {running.process.pid} runs with this data directory and holds the port" in done.stdout
    found = json.loads(untrace(*line, "--json").stdout)
    assert (found["good"], found["agent_pid"], found["exit_code"]) == (True, running.process.pid, 0)
    # With another data directory the port is a stranger's.
    assert untrace(*line, "-d", tmp_path / "other").returncode == 69


def test_check_prints_the_warnings_of_a_start_and_counts_rules(tmp_path):
    file = tmp_path / "untrace.yaml"
    file.write_text(f"data_dir: {tmp_path}/data\nreceivers: {{ otlp_http: {{ listen: '0.0.0.0:0' }} }}\n"
                    "storage:\n  rules:\n    - { match: { a: b }, ttl: 1d }\n    - { match: { c: d }, ttl: 2d }\n")
    done = untrace("check", "-c", file)
    assert done.returncode == 0 and "retention rules  2\n" in done.stdout
    assert "otlp_http listens on 0.0.0.0:0 without TLS: anyone on that network" in done.stderr
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(0o777)
    assert "every user of this machine may write the data directory" in untrace("check", "-c", file).stderr
    (tmp_path / "data").chmod(0o700)
    found = json.loads(untrace("check", "-c", file, "--json").stdout)
    assert found["rules"] == 2 and len(found["warnings"]) == 1 and found["configuration"] == str(file)
    file.write_text("storage: { max-size: 1GiB }\n")
    found = json.loads(untrace("check", "-c", file, "--json").stdout)
    assert (found["good"], found["exit_code"]) == (False, 78) and "did you mean max_size?" in found["error"]

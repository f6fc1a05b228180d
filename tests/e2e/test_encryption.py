"""Encryption at rest: a store whose contents only its key opens, with the agent running, killed, and rekeyed."""

import base64
import json
import os
import shutil

import otlp
from agent import untrace

EX_NOINPUT, EX_NOPERM, EX_CONFIG = 66, 77, 78
TEXTS = [b"zebra-service", b"quux-name", b"wombat-value", b"fjord-message"]


def new_key(path, form="raw"):
    key = os.urandom(32)
    path.write_bytes({"raw": key, "hex": key.hex().encode() + b"\n", "base64": base64.b64encode(key)}[form])
    path.chmod(0o600)
    return path


def telling(spans=3):
    """A request with each of TEXTS in it."""
    message = otlp.request(spans, service="zebra-service")
    for span in otlp.spans_of(message):
        span.name = "quux-name"
        otlp.attribute(span, "animal", "wombat-value")
        span.status.code, span.status.message = 2, "fjord-message"
    return message


def check_stored(data_dir, message, **environment):
    """All spans of a message, of one trace, are found by `untrace trace`."""
    done = untrace("trace", trace_id_of(message), "--data-dir", data_dir, "--json", env={**os.environ, **environment})
    assert done.returncode == 0, done.stderr
    assert [span_id for _, span_id in otlp.ids_of(message) if span_id not in done.stdout] == []
    assert otlp.first_span(message).name in done.stdout


def trace_id_of(message):
    return otlp.first_span(message).trace_id.hex()


def test_a_killed_agents_store_opens_with_its_key_only(agent, tmp_path):
    key = new_key(tmp_path / "key")
    running = agent(storage={"encryption": {"key_file": key}})
    message = telling()
    running.accept(message)
    # Beside the agent, by its configuration and by the environment.
    done = untrace("traces", "--config", running.config_file, "--json")
    assert done.returncode == 0, done.stderr
    row = json.loads(done.stdout)
    assert (row["service"], row["name"]) == ("zebra-service", "quux-name")
    running.kill()
    raw = (running.data_dir / "store.mdb").read_bytes()
    assert [text for text in TEXTS if text in raw] == []

    check_stored(running.data_dir, message, UNTRACE_KEY_FILE=str(key))
    # On a copy of the directory, without a key and with another one.
    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copy(running.data_dir / "store.mdb", copy)
    done = untrace("traces", "--data-dir", copy)
    assert done.returncode == EX_NOPERM and "the store is encrypted, and no key was given" in done.stderr
    other = new_key(tmp_path / "other")
    done = untrace("traces", "--data-dir", copy, env={**os.environ, "UNTRACE_KEY_FILE": str(other)})
    assert done.returncode == EX_NOPERM
    assert f"the key in {other} is not the one this store was encrypted with" in done.stderr
    done = untrace("traces", "--data-dir", copy, env={**os.environ, "UNTRACE_KEY_FILE": str(tmp_path / "none")})
    assert done.returncode == EX_NOINPUT and str(tmp_path / "none") in done.stderr

    # The agent goes on with the key, and does not start without.
    running.start()
    more = telling()
    running.accept(more)
    check_stored(running.data_dir, more, UNTRACE_KEY_FILE=str(key))
    running.stop()
    done = untrace("store", "verify", "--config", running.config_file)
    assert done.returncode == 0, done.stdout + done.stderr
    del running.config["storage"]
    running.start(wait=False)
    assert running.wait() == EX_NOPERM
    assert "the store is encrypted, and no key was given" in running.log()


def test_every_command_that_reads_takes_the_key(agent, tmp_path):
    key = new_key(tmp_path / "key", "hex")
    running = agent(storage={"encryption": {"key_file": key}})
    message = telling()
    running.accept(message)
    environment = {**os.environ, "UNTRACE_KEY_FILE": str(key)}
    known = untrace("--help").stdout
    for command in (["traces"], ["trace", trace_id_of(message)], ["spans"], ["stats"], ["failures"], ["export"],
                    ["store", "info"], ["store", "verify"]):
        if f"\n  {command[0]} " not in known:
            continue
        for where in (["--config", running.config_file], ["--data-dir", running.data_dir]):
            done = untrace(*command, *where, env=environment)
            assert done.returncode == 0, (command, done.stderr)
        done = untrace(*command, "--data-dir", running.data_dir)
        if command != ["store", "info"]:
            assert done.returncode == EX_NOPERM, (command, done.stdout, done.stderr)


def test_encrypted_blocks_are_delivered(agent, destination, to, tmp_path):
    key = new_key(tmp_path / "key", "base64")
    receiving = destination(start=False)
    running = agent([to(receiving)], storage={"encryption": {"key_file": key}})
    first = telling(40)
    running.accept(first)
    running.kill()  # with everything still to be delivered
    receiving.start()
    running.start()
    second = telling(40)
    running.accept(second)
    receiving.wait_for(otlp.ids_of(first) | otlp.ids_of(second))


def test_a_plain_store_is_encrypted_from_then_on(agent, tmp_path):
    running = agent()
    before = otlp.request(3, service="walrus")
    running.accept(before)
    running.stop()
    key = new_key(tmp_path / "key")
    running.config["storage"] = {"encryption": {"key_file": key}}
    running.start()
    assert "the store is encrypted from block 2 on" in running.log()
    after = telling()
    running.accept(after)
    for message in (before, after):
        check_stored(running.data_dir, message, UNTRACE_KEY_FILE=str(key))
    running.stop()
    raw = (running.data_dir / "store.mdb").read_bytes()
    assert b"walrus" in raw and [text for text in TEXTS if text in raw] == []


def rekey(running, key, *arguments, **options):
    return untrace("store", "rekey", "--config", running.config_file, "--new-key-file", key, *arguments, **options)


def check_rekeyed(running, messages, old, new):
    for message in messages:
        check_stored(running.data_dir, message, UNTRACE_KEY_FILE=str(new))
    done = untrace("traces", "--data-dir", running.data_dir, env={**os.environ, "UNTRACE_KEY_FILE": str(old)})
    assert done.returncode == EX_NOPERM and "is not the one" in done.stderr


def test_the_key_changes_while_the_agent_runs(agent, destination, to, tmp_path):
    old, new = new_key(tmp_path / "old"), new_key(tmp_path / "new")
    receiving = destination()
    running = agent([to(receiving)], storage={"encryption": {"key_file": old}})
    messages = [telling(), telling()]
    running.accept(messages[0])
    done = rekey(running, new, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["by_agent"] is True
    running.accept(messages[1])
    receiving.wait_for(otlp.ids_of(messages[0]) | otlp.ids_of(messages[1]))
    check_rekeyed(running, messages, old, new)
    running.kill()
    running.start(wait=False)  # the configuration still names the old key
    assert running.wait() == EX_NOPERM
    running.config["storage"] = {"encryption": {"key_file": new}}
    running.start()
    messages.append(telling())
    running.accept(messages[2])
    check_rekeyed(running, messages, old, new)
    done = untrace("store", "info", "--config", running.config_file, "--json")
    assert json.loads(done.stdout)["data_keys"] == 2
    assert "encryption      on, 2 data keys\n" in untrace("store", "info", "--config", running.config_file).stdout
    # The file is written anew, and its keys go with it.
    done = untrace("store", "compact", "--config", running.config_file)
    assert done.returncode == 0, done.stderr
    messages.append(telling())
    running.accept(messages[3])
    receiving.wait_for(otlp.ids_of(messages[3]))
    check_rekeyed(running, messages, old, new)
    raw = (running.data_dir / "store.mdb").read_bytes()
    assert [text for text in TEXTS if text in raw] == []


def test_the_key_changes_without_an_agent(agent, tmp_path):
    old, new = new_key(tmp_path / "old"), new_key(tmp_path / "new")
    running = agent(storage={"encryption": {"key_file": old}})
    message = telling()
    running.accept(message)
    running.stop()
    done = rekey(running, new)
    assert done.returncode == 0, done.stderr
    told = done.stdout
    assert f"now the one in {new}; storage.encryption must lead to it" in told
    done = rekey(running, new, env={**os.environ, "UNTRACE_KEY_FILE": str(new)})
    assert (done.returncode, done.stdout) == (0, told)  # true of the same key as well
    check_rekeyed(running, [message], old, new)
    # The old key no longer changes anything.
    done = rekey(running, old)
    assert done.returncode == EX_NOPERM and f"the key in {old} is not the one" in done.stderr
    # With the key from the environment it does.
    done = untrace("store", "rekey", "--data-dir", running.data_dir, "--new-key-file", old,
                   env={**os.environ, "UNTRACE_KEY_FILE": str(new)})
    assert done.returncode == 0, done.stderr
    check_rekeyed(running, [message], new, old)


def test_what_is_no_key_is_refused_before_anything_is_asked(agent, tmp_path):
    key = new_key(tmp_path / "key")
    running = agent(storage={"encryption": {"key_file": key}})
    running.accept(telling())
    short = tmp_path / "short"
    short.write_bytes(b"tops3cret")
    done = rekey(running, short)
    assert done.returncode == EX_CONFIG and "found 9 bytes, expected 32 bytes" in done.stderr
    assert "tops3cret" not in done.stderr
    assert rekey(running, tmp_path / "none").returncode == EX_NOINPUT
    plain = agent()
    plain.accept(telling())
    done = rekey(plain, key)
    assert done.returncode == EX_CONFIG and "not encrypted" in done.stderr


def test_check_looks_at_the_key(agent, tmp_path):
    key = new_key(tmp_path / "key")
    quiet = agent(start=False, storage={"encryption": {"key_file": key}})
    quiet.config_file.write_text(json.dumps(quiet.config, default=str))
    done = untrace("check", "--config", quiet.config_file)
    assert done.returncode == 0 and f"with the key in {key}" in done.stdout and done.stderr == ""
    key.chmod(0o644)
    done = untrace("check", "--config", quiet.config_file)
    assert done.returncode == 0 and "open to others (mode 644)" in done.stderr
    key.write_bytes(b"short")
    done = untrace("check", "--config", quiet.config_file)
    assert done.returncode == EX_CONFIG and "holds no key" in done.stderr

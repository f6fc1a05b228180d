"""The kill tests: under load, SIGKILL at random moments, many rounds; whatever was acknowledged is delivered, and the store
fits together."""

import itertools
import os
import random
import threading
import time

import pytest

import otlp
import wire
from agent import untrace

ROUNDS = int(os.environ.get("KILL_ROUNDS", "200"))
CLIENTS = 3
LIFE_MS_MAX = 200


class Client(threading.Thread):
    """Posts on one connection until the agent is gone; .acknowledged holds the ids of what was answered with 200."""

    def __init__(self, port, number):
        super().__init__(daemon=True)
        self.port, self.number = port, number
        self.acknowledged = set()
        self.errors = []

    def run(self):
        try:
            with wire.Connection(self.port) as connection:
                while True:
                    message = otlp.request(random.choice((1, 3, 8)), payload=random.choice((0, 500)))
                    body = message.SerializeToString()
                    connection.send(wire.request(body))
                    answer = connection.response()
                    if answer.status == 200:
                        self.acknowledged |= otlp.ids_of(message)
                    else:
                        self.errors.append(answer)
        except (OSError, wire.Closed):
            pass


@pytest.mark.timeout(60 + ROUNDS * 3)
def test_a_kill_at_any_moment_loses_nothing_that_was_acknowledged(agent, collector, authority, to, capsys):
    seed = int(os.environ.get("KILL_SEED", str(random.randrange(2**32))))
    random.seed(seed)
    receiving = collector()
    under_test = agent([to(receiving, tls={"ca_file": authority.cert}, batch={"max_delay": "5ms"})], start=False,
                       storage={"max_size": "1GiB"})
    acknowledged, while_starting = set(), 0
    for number in range(ROUNDS):
        if number % 8 == 7:  # some die before they are ready
            under_test.start(wait=False)
            time.sleep(random.uniform(0, 0.02))
            under_test.kill()
            while_starting += 1
            continue
        under_test.start()
        clients = [Client(under_test.port, i) for i in range(CLIENTS)]
        for client in clients:
            client.start()
        time.sleep(random.uniform(0, LIFE_MS_MAX) / 1000)
        assert under_test.running(), under_test.log()
        under_test.kill()
        for client in clients:
            client.join(30)
            assert not client.is_alive() and not client.errors, client.errors
            acknowledged |= client.acknowledged
    under_test.start()
    last = otlp.request(1)
    under_test.accept(last)
    acknowledged |= otlp.ids_of(last)
    try:
        receiving.agent.wait_for(acknowledged)
    finally:
        receiving.agent.read()
        missing = len(acknowledged - receiving.agent.spans.keys())
        with capsys.disabled():
            print(f"\nkill test, seed {seed}: {ROUNDS} kills ({while_starting} before ready), {len(acknowledged)} spans acknowledged, "
                  f"{missing} lost, {receiving.agent.duplicates()} duplicates at the Collector")


STORE_ROUNDS = max(3, ROUNDS // 8)


class Operator(threading.Thread):
    """Cleans up and compacts in turn until the agent is gone."""

    def __init__(self, config_file):
        super().__init__(daemon=True)
        self.config_file, self.gone, self.done = config_file, threading.Event(), 0

    def run(self):
        commands = itertools.cycle((("cleanup", "--older-than", "100ms"), ("compact",)))
        while not self.gone.is_set():
            ended = untrace("store", *next(commands), "--config", self.config_file)
            self.done += ended.returncode == 0


@pytest.mark.timeout(60 + STORE_ROUNDS * 10)
def test_a_kill_amid_cleanup_eviction_and_compaction_leaves_a_store_that_verifies(agent, capsys):
    seed = int(os.environ.get("KILL_SEED", str(random.randrange(2**32))))
    random.seed(seed)
    under_test = agent(start=False, storage={"max_size": "4MiB"})
    operations = 0
    for _ in range(STORE_ROUNDS):
        under_test.start()
        clients = [Client(under_test.port, i) for i in range(CLIENTS)]
        operator = Operator(under_test.config_file)
        for thread in (*clients, operator):
            thread.start()
        time.sleep(random.uniform(0.05, 0.4))
        assert under_test.running(), under_test.log()
        operator.gone.set()
        under_test.kill()
        for thread in (*clients, operator):
            thread.join(30)
            assert not thread.is_alive()
        operations += operator.done
        checked = untrace("store", "verify", "--config", under_test.config_file)
        assert checked.returncode == 0, checked.stdout + checked.stderr
    assert operations > 0
    # What is acknowledged now is there after one more kill.
    under_test.start()
    last = otlp.request(3)
    under_test.accept(last)
    under_test.kill()
    for trace_id in {trace for trace, _ in otlp.ids_of(last)}:
        shown = untrace("trace", trace_id, "--config", under_test.config_file)
        assert shown.returncode == 0, shown.stderr
    with capsys.disabled():
        print(f"\nstore kill test, seed {seed}: {STORE_ROUNDS} kills, {operations} cleanups and compactions ended before them")

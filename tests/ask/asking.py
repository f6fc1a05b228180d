#!/usr/bin/env python3
"""Asks the program random questions over random spans, and compares each answer with the reference.

usage: asking.py [--questions N] [--seed SEED] [--only QUESTION] [--state STATE]
"""

import argparse
import json
import os
import random
import re
import shlex
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e")]

import questions  # noqa: E402
import reference as ref  # noqa: E402
from agent import Agent, untrace  # noqa: E402
from nasty_spans import Maker  # noqa: E402

STATES = ["plain", "encrypted", "cleaned", "evicted", "evicting"]
LIMIT = ["--limit", "100000"]
NUMBER = re.compile(r'"n":(\d+)')
UTC = {**os.environ, "TZ": "UTC"}


class Wrong(AssertionError):
    """An answer that is not the one of the reference."""


class Store:
    """A data directory in one of STATES, and the spans that are in it. While it is "evicting", more come and the oldest
    leave."""

    def __init__(self, folder, state, seed):
        rng = random.Random(f"{seed}/{state}")
        self.state = state
        self.in_order = state != "cleaned"
        self.together = state != "evicted"  # a small ring has small blocks
        storage = {}
        if state == "encrypted":
            key = folder / "master.key"
            key.write_bytes(rng.randbytes(32))
            key.chmod(0o600)
            storage["encryption"] = {"key_file": str(key)}
        if state in ("evicted", "evicting"):
            storage["max_spans"] = 500
        self.agent = Agent(folder, storage=storage).start()
        self.maker = Maker(rng, 1_780_000_000_000_000_000)
        self.spans = self.maker.spans
        bodies = []
        for _ in range(30):
            bodies.append(self.maker.request(rng.choice([1, 5, 20, 60])))
            self.agent.accept(bodies[-1])
        self.agent.accept(rng.choice(bodies))  # again: nothing of it is new
        if state == "cleaned":
            self._clean(rng)
        elif state == "evicted":
            self._forget_evicted()
        self.stopped = threading.Event()
        self.sender = threading.Thread(target=self._send) if state == "evicting" else None
        if self.sender:
            self.sender.start()

    def close(self):
        self.stopped.set()
        if self.sender:
            self.sender.join()
        self.agent.close()

    def _send(self):
        while not self.stopped.is_set():
            self.agent.accept(self.maker.request(20))

    def where(self):
        return ["--config", str(self.agent.config_file)]

    def _clean(self, rng):
        """A cleanup by service, which writes blocks anew, new times to live, and a compaction."""
        service = rng.choice(["shop", "p", "日本語"])
        for command in (["cleanup", "--older-than", "0", "--service", service], ["ttl"], ["compact"]):
            done = untrace("store", *command, *self.where())
            assert done.returncode == 0, done.stderr
        self.spans = [span for span in self.spans if ref.service_of(span) != service]

    def _forget_evicted(self):
        """The oldest leave first: what is there is the end of what was sent."""
        kept = set(self.listed(["--oldest"]))
        self.spans = [span for span in self.spans if span.n in kept]
        assert 0 < len(kept) <= 500, len(kept)
        first = self.spans[0].request
        assert all(span.n in kept for span in self.maker.spans if span.request > first)

    def ask(self, *words):
        # A long line may be cut by a limit of the system on one word only.
        done = untrace(*words, *self.where(), env=UTC)
        if done.returncode != 0:
            raise Wrong(f"exit code {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def listed(self, words):
        """The numbers of the spans, in the order of the listing."""
        return [json.loads(line)["attributes"]["n"] for line in self.ask("spans", "--jsonl", *LIMIT, *words).splitlines()]


def compare(what, found, expected):
    if found != expected:
        raise Wrong(f"{what}: found {found!r}, expected {expected!r}")


def compare_sets(store, found, expected):
    missing, extra = set(expected) - set(found), set(found) - set(expected)
    for n in sorted(missing | extra)[:3]:
        print(f"  {'missing' if n in missing else 'not expected'}: {store.maker.spans[n]}")
    compare("spans missing, or too many", (sorted(missing)[:5], sorted(extra)[:5]), ([], []))
    compare("number of spans", len(found), len(expected))


def ask_spans(store, rng, words, expected):
    """One listing, its pages, and the other order."""
    oldest = rng.random() < 0.5
    order = ["--oldest"] if oldest else []
    found = store.listed([*order, *words])
    compare_sets(store, found, [span.n for span in expected])
    requests = [store.maker.spans[n].request for n in found]
    if store.in_order:
        compare("order of requests", requests, sorted(requests, reverse=not oldest))
    if len(found) < 2 or rng.random() < 0.5:
        return
    size, pages, cursor = rng.choice([1, len(found) // 2 + 1, len(found)]), [], []
    while len(pages) < min(len(found), 3 * size):
        answer = json.loads(store.ask("spans", "--json", "--limit", size, *order, *words, *cursor))
        pages += [span["attributes"]["n"] for span in answer["spans"]]
        compare("more", answer["more"], len(pages) < len(found))
        cursor = ["--cursor", answer["cursor"]]
    compare("pages", pages, found[:len(pages)])
    compare("the other order", store.listed([*([] if oldest else ["--oldest"]), *words]), found[::-1])


def compare_sums(what, row, expected):
    for key, value in expected.items():
        if key != "percentiles":
            compare(f"{what}: {key}", row[key], value)
    for key, value in expected.get("percentiles", {}).items():
        if abs(row[key] - value) > value // 64 + 1:
            compare(f"{what}: {key}", row[key], value)


def ask_stats(store, rng, words, expected):
    by = rng.choice(["name", "service", "status", "kind", "attribute:k", "attribute:num", "attribute:service.name"])
    answer = json.loads(store.ask("stats", "--json", "--by", by, *words))
    groups = ref.groups(expected, by)
    compare("groups", sorted(row["label"] for row in answer["groups"]), sorted(groups))
    for row in answer["groups"]:
        compare_sums(row["label"], row, groups[row["label"]])
    compare_sums("total", answer["total"], ref.sums(expected))


def ask_failures(store, rng, words, expected):
    if any(word == "--status" for word in words):
        return
    kind = rng.choice([None, "Timeout", "*", "5*"])
    expected = [span for span in expected if span.status == 2]
    if kind is not None:
        operator = "~" if "*" in kind else "="
        expected = [span for span in expected
                    if ref.has_attribute(span, ("span", "event"), ("error.type", "exception.type"), operator, kind)]
        words = [*words, "--type", kind]
    if not any(word in ("--since", "--until") for word in words):
        words = [*words, "--since", "0"]
    answer = json.loads(store.ask("failures", "--json", "--limit", "1000", *words))
    compare("count", answer["count"], len(expected))
    compare("patterns", {(row["name"], row["message"]): row["count"] for row in answer["patterns"]}, ref.patterns(expected))
    compare_sets(store, [span["attributes"]["n"] for span in answer["failures"]], [span.n for span in expected][:1000])


def ask_traces(store, _, words, expected):
    rows = [json.loads(line) for line in store.ask("traces", "--json", "--limit", "100000", *words).splitlines()]
    wanted = {span.trace_id for span in expected}
    compare("traces", sorted(row["trace_id"] for row in rows), sorted(trace_id.hex() for trace_id in wanted))
    starts = [row["start_ns"] for row in rows]
    compare("order", starts, sorted(starts, reverse=True))
    for row in rows:
        spans = [span for span in store.spans if span.trace_id.hex() == row["trace_id"]]
        expected_row, names = ref.trace_row(spans, store.in_order, store.together)
        compare(f"trace {row['trace_id']}", {key: row[key] for key in expected_row}, expected_row)
        if (row["service"], row["name"]) not in names:
            compare(f"trace {row['trace_id']}: service and name", (row["service"], row["name"]), names)


def ask_meanwhile(store, rng, words, rule):
    """While spans come and leave: what stays is found, nothing that does not match is, and nothing twice."""
    order = ["--oldest"] if rng.random() < 0.5 else []
    before = set(store.listed([]))
    found = store.listed([*order, *words])
    after = set(store.listed([]))
    spans = store.maker.spans
    compare("found twice", sorted(n for n in set(found) if found.count(n) > 1), [])
    compare("found and no match", [spans[n] for n in found if not rule(spans[n])], [])
    compare("missing", [spans[n] for n in before & after if rule(spans[n]) and n not in set(found)], [])
    requests = [spans[n].request for n in found]
    compare("order of requests", requests, sorted(requests, reverse=not order))


ASK = [("spans", ask_spans), ("spans", ask_spans), ("stats", ask_stats), ("failures", ask_failures), ("traces", ask_traces)]


def ask_one(store, seed, number):
    rng = random.Random(f"{seed}/{number}")
    words, rule = questions.conditions(rng, store.spans[:])
    command, ask = rng.choice(ASK)
    try:
        if store.state == "evicting":
            command = "spans"
            ask_meanwhile(store, rng, words, rule)
        else:
            ask(store, rng, words, [span for span in store.spans if rule(span)])
    except Wrong as wrong:
        raise Wrong(f"question {number} of the store that is {store.state}: {command} {shlex.join(words)}\n  {wrong}\n  to repeat:"
                    f" make ask N={number + 1} SEED={seed} STATE={store.state} ONLY={number}") from None


def ask_many(folder, state, seed, numbers):
    """Asks the questions with these numbers. The first wrong answer is raised."""
    folder.mkdir()
    store = Store(folder, state, seed)
    try:
        for number in numbers:
            ask_one(store, seed, number)
    finally:
        store.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--questions", type=int, default=1000)
    parser.add_argument("--seed", default=None)
    parser.add_argument("--only", type=int, default=None)
    parser.add_argument("--state", choices=STATES, default=None)
    given = parser.parse_args()
    seed = given.seed or str(time.time_ns())
    numbers = range(given.questions) if given.only is None else [given.only]
    print(f"seed {seed}")
    for state in [given.state] if given.state else STATES:
        with tempfile.TemporaryDirectory() as folder:
            try:
                ask_many(Path(folder) / state, state, seed, numbers)
            except Wrong as wrong:
                print(wrong)
                sys.exit(1)
        print(f"{state}: {len(numbers)} questions answered as the reference does")


if __name__ == "__main__":
    main()

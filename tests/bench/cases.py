"""The cases of `make bench`. A case is a function of the program to measure; it returns figures by
the names in figures.py. CASES, at the end, has them all in the order in which they run.
"""
import contextlib
import os
import pathlib
import statistics
import subprocess
import time

from processes import Agent, Sink, certificate, folder, sent, wait_for

SPANS = int(os.environ.get("BENCH_SPANS", 600_000))
LARGE_SPANS = int(os.environ.get("BENCH_SPANS", 10_000_000))
REQUESTS = int(os.environ.get("BENCH_REQUESTS", 0))  # of long traces; 0: as each case has it
IDLE_S = int(os.environ.get("BENCH_IDLE_S", 60))

EDGE_STORE_SPANS = 100_000  # that an edge device has from before
EDGE_LOOK_S = 0.25  # asking the agent costs it CPU
SETTLE_S = 5  # until an agent has nothing left to do from its start
MIB = 1 << 20


@contextlib.contextmanager
def running(thing):
    """Stops an agent or a sink at the end."""
    try:
        yield thing
    finally:
        thing.stop()


def start(program):
    """Eleven starts on a new data directory; the start of the process is in."""
    ready, memory = [], []
    for _ in range(11):
        with folder() as place, running(Agent(program, place)) as agent:
            ready.append(agent.ready_ms)
            memory.append(agent.anonymous_kib() / 1024)
    return {"program_bytes": pathlib.Path(program).stat().st_size,
            "ready_ms": statistics.median(ready),
            "idle_anonymous_mib": statistics.median(memory)}


# ---- floods: as fast as answers come ----

def flood_once(program, forward, load, counted):
    with folder() as place, contextlib.ExitStack() as stack:
        sink, config = None, ""
        if forward is not None:
            tls = certificate(place) if forward.get("tls") else None
            sink = stack.enter_context(running(Sink(tls)))
            config = sink.config(forward.get("gzip", False), "{ max_delay: 100ms }")
        agent = stack.enter_context(running(Agent(program, place, config, counted=counted)))
        cpu_s, began = agent.cpu_s(), time.monotonic()
        row = sent(agent.load(**load))
        if sink:
            wait_for("delivery", lambda: sink.spans() >= row["spans"])
            row["end_to_end_spans_per_s"] = row["spans"] / (time.monotonic() - began)
            row["sink_spans"] = sink.spans()
        row["cpu_us_per_span"] = (agent.cpu_s() - cpu_s) * 1e6 / row["spans"]
        row["disk_bytes_per_span"] = agent.disk_bytes() / row["spans"]
        row["peak_anonymous_mib"] = agent.peak_kib / 1024
        return written(agent.calls(), row) if counted else row


def written(calls, row, before=None):
    """What `calls` has counted, for each span and request of a load. before: not counted."""
    more = {name: calls[name] - (before[name] if before else 0) for name in calls}
    return {"written_bytes_per_span": more["bytes"] / row["spans"],
            "writes_per_request": more["writes"] / row["requests"],
            "syncs_per_request": more["syncs"] / row["requests"],
            "synced_writes_per_request": more["synced_writes"] / row["requests"]}


def flood(forward=None, spans=SPANS, counted=False, **load):
    """forward: None, or what the destination has of gzip and tls. counted: a second run counts what
    is written."""
    load = {"spans": spans, **load}

    def case(program):
        row = flood_once(program, forward, load, False)
        if counted:
            row.update(flood_once(program, forward, load, True))
        return row
    return case


# ---- edge devices: a few requests a second ----

def edge(rate, batch, seconds, delivered):
    """Two agents at a time, since neither is busy: one for CPU and answers, one to count what is
    written. Both have spans from before, and batches wait as long as they do by default."""
    spans = rate * batch * seconds

    def case(program):
        with contextlib.ExitStack() as stack:
            sinks = [stack.enter_context(running(Sink())) for _ in range(2 * delivered)]
            agents = []
            for counted in (False, True):
                place = stack.enter_context(folder())
                config = sinks[counted].config() if delivered else ""
                agent = Agent(program, place, config, counted=counted)
                agents.append(stack.enter_context(running(agent)))

            def settle(total):
                wait_for("delivery", lambda: all(sink.spans() >= total for sink in sinks))
                wait_for("marks", lambda: not any(agent.pending() for agent in agents), EDGE_LOOK_S)

            for agent in agents:
                sent(agent.load(EDGE_STORE_SPANS))
            settle(EDGE_STORE_SPANS)
            cpu_s, before = agents[0].cpu_s(), agents[1].calls()
            loads = [agent.load(spans, batch=batch, rate=rate, connections=1) for agent in agents]
            row = [sent(load) for load in loads][0]
            settle(EDGE_STORE_SPANS + spans)
            row["cpu_us_per_span"] = (agents[0].cpu_s() - cpu_s) * 1e6 / spans
            del row["spans_per_s"]
            return {**row, **written(agents[1].calls(), row, before)}
    return case


class Idle:
    """An agent with one destination that has delivered what it had. It sleeps beside the other
    cases, which change nothing of how often it is woken."""

    def __init__(self, program):
        self.stack = contextlib.ExitStack()
        sink = self.stack.enter_context(running(Sink()))
        place = self.stack.enter_context(folder())
        self.agent = self.stack.enter_context(running(Agent(program, place, sink.config())))
        sent(self.agent.load(1000))
        wait_for("delivery", lambda: self.agent.pending() == 0)
        time.sleep(SETTLE_S)
        self.wakeups, self.cpu_s = self.agent.wakeups(), self.agent.cpu_s()
        self.began = time.monotonic()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stack.close()

    def finish(self):
        time.sleep(max(0, IDLE_S - (time.monotonic() - self.began)))
        seconds = time.monotonic() - self.began
        return {"window_s": seconds,
                "wakeups_per_minute": (self.agent.wakeups() - self.wakeups) * 60 / seconds,
                "cpu_ms_per_minute": (self.agent.cpu_s() - self.cpu_s) * 1e3 * 60 / seconds,
                "idle_anonymous_mib": self.agent.anonymous_kib() / 1024}


# ---- stores that have something in them ----

def long_traces(traces, requests):
    """Traces that live for days: every request has one span of each."""
    requests = REQUESTS or requests

    def case(program):
        with folder() as place, running(Agent(program, place, max_size="4GiB")) as agent:
            row = sent(agent.load(requests * traces, batch=traces, traces=traces, keep_traces=True,
                                  connections=1, watch=agent.pid))
            tenths = row.pop("cpu_ms_per_request")
            return {**row, "cpu_ms_first_tenth": tenths[0], "cpu_ms_last_tenth": tenths[-1],
                    "cpu_last_to_first": tenths[-1] / tenths[0], "cpu_ms_tenths": tenths}
    return case


def eviction(mib, batch):
    """A request, which is a commit here, while the store fills and when it evicts as much as comes;
    CPU of the whole agent."""
    def case(program):
        requests = mib * MIB // 1000 // batch  # a tenth to a fifth of the budget
        with folder() as place, running(Agent(program, place, max_size=f"{mib}MiB")) as agent:
            def part(count):
                cpu_s = agent.cpu_s()
                row = sent(agent.load(count * batch, batch=batch, connections=1))
                row["cpu_ms"] = (agent.cpu_s() - cpu_s) * 1e3 / count
                return row

            def evicted():
                return agent.status()["spans_evicted"]

            filling = []
            while True:
                row = part(requests)
                if evicted() > 0:
                    break
                filling.append(row)
            while evicted() < 2 * requests * batch:
                part(requests)
            full = part(2 * requests)
            filling_ms = statistics.mean(row["cpu_ms"] for row in filling)
            return {"cpu_ms_filling": filling_ms, "cpu_ms_full": full["cpu_ms"],
                    "cpu_full_to_filling": full["cpu_ms"] / filling_ms,
                    "p50_ms_filling": statistics.median(row["p50_ms"] for row in filling),
                    "p50_ms_full": full["p50_ms"], "p99_ms_full": full["p99_ms"]}
    return case


LOOKUPS = 200
STARTS = 5


def lookup_ms(agent, trace):
    """The time of a process that shows one trace."""
    began = time.perf_counter()
    done = subprocess.run([agent.program, "trace", trace, "--json", "--data-dir", agent.data],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    took_ms = (time.perf_counter() - began) * 1e3
    if done.returncode != 0 or trace.encode() not in done.stdout:
        raise SystemExit(f"large store: trace {trace} was not found")
    return took_ms


def lookups(agent, traces, small, few):
    """One trace by its id, asked by a process of the command line. The same question to a small
    store is asked in turn; what it takes is the start of the process and the drawing."""
    whole, more = [], []
    for i, trace in enumerate(traces):
        small_ms = lookup_ms(small, few[i % len(few)])
        whole.append(lookup_ms(agent, trace))
        more.append(whole[-1] - small_ms)
    return {"trace_process_ms": statistics.median(whole),
            "trace_by_id_ms": max(statistics.median(more), 0)}


def large_store(program):
    def start_agent(place):
        return running(Agent(program, place, max_size="4GiB"))

    with folder() as place, folder() as small_place:
        with start_agent(place) as agent:
            built = sent(agent.load(LARGE_SPANS, note_traces=LOOKUPS))
        ready = []
        for _ in range(STARTS):
            with start_agent(place) as agent:
                ready.append(agent.ready_ms)
        with start_agent(small_place) as small, start_agent(place) as agent:
            few = sent(small.load(1000, note_traces=10))["traces"]
            row = {"spans": built["spans"], "build_s": built["seconds"],
                   "ready_ms": statistics.median(ready),
                   "idle_anonymous_mib": agent.anonymous_kib() / 1024,
                   "disk_bytes_per_span": agent.disk_bytes() / built["spans"],
                   **lookups(agent, built["traces"], small, few)}
            cpu_s = agent.cpu_s()
            load = sent(agent.load(min(SPANS, LARGE_SPANS // 10)))
            row.update(spans_per_s=load["spans_per_s"],
                       p50_ms=load["p50_ms"], p99_ms=load["p99_ms"],
                       cpu_us_per_span=(agent.cpu_s() - cpu_s) * 1e6 / load["spans"],
                       peak_anonymous_mib=agent.peak_kib / 1024)
        return row


# By name. IDLE runs beside the others; LARGE only when it is asked for.
IDLE = "idle, one destination"
LARGE = "large store"
CASES = {
    "start": start,
    "store only": flood(counted=True),
    "store only, 64 connections": flood(connections=64),
    "store only, gzip in": flood(gzip=True),
    "store only, JSON in": flood(json=True, spans=SPANS // 2),
    "store only, one trace a request": flood(counted=True, traces=1, spans=SPANS // 2),
    "store only, 100 traces a request": flood(counted=True, traces=100, spans=SPANS // 4),
    "forward, plain": flood({}, counted=True),
    "forward, gzip in and out": flood({"gzip": True}, gzip=True),
    "forward, gzip in and out, TLS out": flood({"gzip": True, "tls": True}, gzip=True),
    "edge, 20 x 100, stored": edge(20, 100, 10, False),
    "edge, 20 x 100, delivered": edge(20, 100, 10, True),
    "edge, 2 x 20, stored": edge(2, 20, 20, False),
    "edge, 2 x 20, delivered": edge(2, 20, 20, True),
    "long traces, 64": long_traces(64, 2000),
    "long traces, 3000": long_traces(3000, 100),
    "eviction, 64 MiB": eviction(64, 1600),
    LARGE: large_store,
}

"""An agent with nothing to do sleeps: it wakes at most twice a minute, in all its threads together."""

import re
import time
from pathlib import Path

import otlp
import wire
from waiting import DEADLINE_S, until

WAKES_PER_MIN = 2
WINDOW_S = 10


def wakes(agent):
    """How often a thread of the agent has gone to sleep so far, which is as often as one woke."""
    texts = [path.read_text() for path in Path(f"/proc/{agent.process.pid}/task").glob("*/status")]
    return sum(int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)$", text, re.MULTILINE).group(1)) for text in texts)


def test_an_idle_agent_with_a_destination_sleeps(agent, destination, to):
    peer = destination()
    under_test = agent([to(peer)])
    with wire.Connection(under_test.port) as connection:  # kept, as SDKs do, in both directions
        message = otlp.request(5)
        connection.send(wire.request(message.SerializeToString()))
        assert connection.response().status == 200
        peer.wait_for(otlp.ids_of(message))
        window = {"begin_s": time.monotonic(), "wakes": wakes(under_test)}

        # What the delivery still asks for (its mark, memory given back) comes within seconds, each thing once.
        def slept():
            now_s, now_wakes = time.monotonic(), wakes(under_test)
            if now_wakes - window["wakes"] > WAKES_PER_MIN * WINDOW_S / 60:
                window.update(begin_s=now_s, wakes=now_wakes)
            return now_s - window["begin_s"] >= WINDOW_S
        until(slept, f"{WINDOW_S} s in which the agent sleeps", deadline_s=DEADLINE_S + WINDOW_S)

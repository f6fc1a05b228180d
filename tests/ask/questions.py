"""Random questions: the words of a command line, and the same as a rule over spans."""

import reference as ref
from nasty_spans import KEYS, MESSAGES, NAMES, SECOND, SERVICES

VALUES = ["5", "5.0", "-0", "0", "true", "false", "1e63", "404", "404.5", "9007199254740993", "9223372036854775807",
          "9223372036854775808", "-9223372036854775808", "0.1", "nan", "1" + "0" * 63, "abc", "a*b", "", "x" * 1000, "Timeout", "ab"]
GLOBS = ["*", "?", "5*", "*.?", "a*b", "tr*", "-*", "nan", "inf", "*1*", "1e+63", "", "??", "*x", "T*t"]
NUMBERS = ["0", "5", "-1", "404.5", "1e3", "18446744073709551616", "9223372036854775807", "9007199254740992", "+.5", "5.", "1e400",
           "1" + "0" * 63]


def _glob_of(rng, text):
    """The text, or a pattern that fits it, or nearly."""
    shape = rng.randrange(4)
    if shape == 0 or not text:
        return text or "*"
    at = rng.randrange(len(text))
    return [text[:at] + "?" + text[at + 1:], text[:at] + "*", "*" + text[at:]][shape - 1]


def _term(rng, spans):
    place = rng.choice([None, None, None, "span", "resource", "event", "scope"])
    key = rng.choice(KEYS + ["nosuch", "service.name", "n"])
    operator = rng.choice(["", "=", "=", "!=", "~", "<", "<=", ">", ">="])
    if operator in ("<", "<=", ">", ">="):
        wanted = rng.choice(NUMBERS) if key != "n" else str(rng.randrange(len(spans)))
    elif operator == "~":
        wanted = rng.choice(GLOBS)
    else:
        wanted = "" if operator == "" else rng.choice(VALUES)
    return (["-a", f"{place + ':' if place else ''}{key}{operator}{wanted}"],
            lambda span: ref.has_attribute(span, place, [key], operator, wanted))


def _text(rng, option, values, of):
    wanted = _glob_of(rng, rng.choice(values))
    return [option, wanted], lambda span: ref.fits(wanted, of(span))


def _message(rng):
    text = rng.choice([message for message in MESSAGES if message])
    part = text[rng.randrange(len(text)):] if rng.random() < 0.7 else text.swapcase()
    part = part or text
    return ["--message", part], lambda span: ref.ascii_lower(part) in ref.ascii_lower(span.message)


def _words(rng, option, words, of):
    wanted = rng.sample(words, rng.randrange(1, 3))
    arguments = [option, ",".join(wanted)] if rng.random() < 0.7 else [part for word in wanted for part in (option, word)]
    return arguments, lambda span: of(span) in wanted


def _duration(rng):
    option = rng.choice(["--min-duration", "--max-duration"])
    text, ns = rng.choice([("0s", 0), ("1us", 1000), ("999ns", 999), ("1.5ms", 15 * 10**5), ("100ms", 10**8), ("3s", 3 * SECOND)])
    if option == "--min-duration":
        return [option, text], lambda span: ref.duration_of(span) >= ns
    return [option, text], lambda span: ref.duration_of(span) <= ns


def _time(rng, spans):
    near = rng.choice(spans).start_ns + rng.choice([-1, 0, 0, 1])
    if near < 10**17:  # a number below counts other units
        near = 10**17
    near = min(near, 2**64 - 1)
    if rng.random() < 0.5:
        return ["--since", str(near)], lambda span: span.start_ns >= near
    # The last instant there is ends no range.
    return ["--until", str(near)], lambda span: span.start_ns < near or near == span.start_ns == 2**64 - 1


def _trace(rng, spans):
    trace_id = rng.choice(spans).trace_id.hex()
    form = rng.choice([trace_id, trace_id.upper(), "0x" + trace_id, f"00-{trace_id}-00f067aa0ba902b7-01",
                       f"{trace_id[:8]}-{trace_id[8:12]}-{trace_id[12:16]}-{trace_id[16:20]}-{trace_id[20:]}"])
    return ["--trace", form], lambda span: span.trace_id.hex() == trace_id


def conditions(rng, spans):
    """Words, and a rule."""
    makers = {
        "a": lambda: _term(rng, spans), "a2": lambda: _term(rng, spans), "a3": lambda: _term(rng, spans),
        "service": lambda: _text(rng, "--service", SERVICES, ref.service_of),
        "name": lambda: _text(rng, "--name", NAMES, lambda span: span.name),
        "kind": lambda: _words(rng, "--kind", ref.KINDS, ref.kind_of),
        "status": lambda: _words(rng, "--status", ref.STATUSES, ref.status_of),
        "duration": lambda: _duration(rng), "time": lambda: _time(rng, spans), "trace": lambda: _trace(rng, spans),
        "message": lambda: _message(rng),
        "roots": lambda: (["--roots"], lambda span: not span.parent_id),
        "llm": lambda: (["--llm"], ref.is_call),
    }
    chosen = rng.sample(list(makers), rng.choice([0, 1, 1, 1, 2, 2, 3]))
    made = [makers[name]() for name in chosen]
    words = [word for arguments, _ in made for word in arguments]
    return words, lambda span: all(rule(span) for _, rule in made)

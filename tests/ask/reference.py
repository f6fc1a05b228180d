"""What docs/QUERY.md says, word by word, over spans in Python. No line of it is taken from the program."""

import re
from collections import defaultdict

KINDS = ["unspecified", "internal", "server", "client", "producer", "consumer"]
STATUSES = ["unset", "ok", "error"]
A_YEAR_NS = 365 * 86400 * 10**9
NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")


def kind_of(span):
    return KINDS[span.kind] if span.kind < len(KINDS) else "unspecified"


def status_of(span):
    return STATUSES[span.status] if span.status < len(STATUSES) else "unset"


def service_of(span):
    """None: it has none."""
    for key, value in span.resource:
        if key == "service.name":
            return value if isinstance(value, str) else None
    return None


def duration_of(span):
    return max(0, span.end_ns - span.start_ns)


def number_of(text):
    if len(text.encode()) > 1024 or not NUMBER.fullmatch(text):
        return None
    if re.fullmatch(r"[+-]?[0-9]+", text) and abs(int(text)) < 2**63:
        return int(text)
    return float(text)


def glob(pattern, text):
    parts = {"*": ".*", "?": "."}
    return re.fullmatch("".join(parts.get(char) or re.escape(char) for char in pattern), text, re.DOTALL) is not None


def fits(wanted, text):
    """--service and --name: a pattern where it has * or ?, else a whole value; both are the same rule."""
    return text is not None and glob(wanted, text)


def text_of(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        for digits in (15, 16, 17):
            text = f"{value:.{digits}g}"
            if float(text) == value:
                break
        return text
    return str(value)


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def leaves(value):
    """The elements of arrays in arrays that a term is held against; bytes, maps and empty values are none."""
    if isinstance(value, list):
        for item in value:
            yield from leaves(item)
    elif isinstance(value, (bool, int, float, str)):
        yield value


def equal(value, wanted):
    if is_number(value):
        number = number_of(wanted)
        return number is not None and value == number
    return text_of(value) == wanted


def compares(value, operator, wanted):
    number = value if is_number(value) else number_of(value) if isinstance(value, str) else None
    bound = number_of(wanted)
    if number is None:
        return False
    return {"<": number < bound, "<=": number <= bound, ">": number > bound, ">=": number >= bound}[operator]


def meets(value, operator, wanted):
    if operator == "":
        return True
    if operator == "!=":
        return not any(equal(leaf, wanted) for leaf in leaves(value))
    if operator == "=":
        return any(equal(leaf, wanted) for leaf in leaves(value))
    if operator == "~":
        return any(glob(wanted, text_of(leaf)) for leaf in leaves(value))
    return any(compares(leaf, operator, wanted) for leaf in leaves(value))


def places_of(span):
    return {"span": [span.attributes], "resource": [span.resource], "scope": [span.scope[1]],
            "event": [attributes for _, _, attributes in span.events]}


def has_attribute(span, place, keys, operator, wanted):
    places = places_of(span)
    chosen = [place] if isinstance(place, str) else place or list(places)
    return any(key in keys and meets(value, operator, wanted)
               for name in chosen for attributes in places[name] for key, value in attributes)


def ascii_lower(text):
    return "".join(chr(ord(char) + 32) if "A" <= char <= "Z" else char for char in text)


def is_call(span):
    return any(key.startswith("gen_ai.") for key, _ in span.attributes)


# ---- statistics ----

def group_of(span, by):
    if by == "name":
        return span.name
    if by == "service":
        return service_of(span) or ""
    if by == "status":
        return status_of(span)
    if by == "kind":
        return kind_of(span)
    key = by.removeprefix("attribute:")
    for attributes in (span.attributes, span.resource):
        for other, value in attributes:
            if other == key:
                return "" if value is None else "(bytes)" if isinstance(value, bytes) else "(list)" if isinstance(
                    value, list) else "(map)" if isinstance(value, dict) else (
                    f"{value:.15g}" if isinstance(value, float) else text_of(value))
    return ""


def cut(label):
    """At 256 bytes, between characters."""
    return label.encode()[:256].decode(errors="ignore")


def sums(spans):
    durations = sorted(duration_of(span) for span in spans)
    row = {"count": len(spans), "errors": sum(span.status == 2 for span in spans)}
    if durations:
        row |= {"min_ns": durations[0], "max_ns": durations[-1], "first_start_ns": min(span.start_ns for span in spans),
                "last_start_ns": max(span.start_ns for span in spans)}
        row["percentiles"] = {name: durations[max(0, -(-len(durations) * part // 100) - 1)]
                              for name, part in (("p50_ns", 50), ("p90_ns", 90), ("p99_ns", 99))}
        if sum(durations) < 2**64:
            row["mean_ns"] = sum(durations) // len(durations)
    return row


def groups(spans, by):
    members = defaultdict(list)
    for span in spans:
        members[cut(group_of(span, by))].append(span)
    return {label: sums(spans) for label, spans in members.items()}


def patterns(spans):
    counts = defaultdict(int)
    for span in spans:
        counts[cut(span.name), cut(span.message)] += 1
    return dict(counts)


# ---- traces ----

def has_clock(start_ns):
    return start_ns >= A_YEAR_NS


def earliest(spans):
    """Those that began first; without a clock is later than with one."""
    first = min((not has_clock(span.start_ns), span.start_ns) for span in spans)
    return [span for span in spans if (not has_clock(span.start_ns), span.start_ns) == first]


def trace_row(spans, in_order, together):
    """What a listing says of a trace with these spans, and the pairs of service and name that it may have. in_order:
    spans stand in the store as they arrived; together: those of one request were stored together."""
    roots = [span for span in spans if not span.parent_id]
    timed = [span for span in spans if has_clock(span.start_ns)] or spans
    start_ns = min(span.start_ns for span in timed)
    if not roots:
        shown = earliest(spans)
    elif in_order:
        first = min(span.request for span in roots)
        shown = [span for span in roots if span.request == first]
        shown = earliest(shown) if together else shown
    else:
        shown = roots
    return {"start_ns": start_ns, "duration_ns": max(max(span.start_ns, span.end_ns) for span in timed) - start_ns,
            "status": STATUSES[max(span.status if span.status < len(STATUSES) else 0 for span in spans)],
            "spans": len(spans), "has_root": bool(roots)}, {(service_of(span) or "", span.name) for span in shown}

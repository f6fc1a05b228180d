"""The figures of `make bench`: names, units, goals, and the table."""
import statistics

# By name in bench.json: what it is called in the table, unit, digits. The rest is stored only.
FIGURES = {
    "program_bytes": ("program, stripped", "B", 0),
    "ready_ms": ("ready after start", "ms", 2),
    "idle_anonymous_mib": ("anonymous memory at rest", "MiB", 2),
    "spans_per_s": ("accepted", "spans/s", 0),
    "end_to_end_spans_per_s": ("delivered", "spans/s", 0),
    "cpu_us_per_span": ("CPU", "us/span", 2),
    "json_to_protobuf": ("CPU, JSON against protobuf", "ratio", 2),
    "written_bytes_per_span": ("written", "B/span", 0),
    "syncs_per_request": ("syncs", "/request", 2),
    "p50_ms": ("answer, p50", "ms", 2),
    "p99_ms": ("answer, p99", "ms", 2),
    "disk_bytes_per_span": ("disk", "B/span", 0),
    "peak_anonymous_mib": ("anonymous memory, peak", "MiB", 1),
    "wakeups_per_minute": ("wakeups", "/min", 1),
    "cpu_ms_per_minute": ("CPU", "ms/min", 2),
    "window_s": ("window", "s", 0),
    "cpu_ms_first_tenth": ("CPU, first tenth", "ms/request", 2),
    "cpu_ms_last_tenth": ("CPU, last tenth", "ms/request", 2),
    "cpu_last_to_first": ("last tenth to first", "ratio", 2),
    "cpu_ms_filling": ("CPU, filling store", "ms/commit", 2),
    "cpu_ms_full": ("CPU, full store", "ms/commit", 2),
    "cpu_full_to_filling": ("CPU, full to filling", "ratio", 2),
    "p50_ms_filling": ("answer, filling store, p50", "ms", 2),
    "p50_ms_full": ("answer, full store, p50", "ms", 2),
    "p99_ms_full": ("answer, full store, p99", "ms", 2),
    "trace_process_ms": ("one trace, process and all", "ms", 2),
    "trace_by_id_ms": ("one trace, over a small store", "ms", 2),
    "build_s": ("built in", "s", 0),
}
# What is to be reached; each is a most.
GOALS = {
    ("start", "ready_ms"): 10,
    ("start", "idle_anonymous_mib"): 1,
    ("store only", "cpu_us_per_span"): 3,
    ("store only", "written_bytes_per_span"): 250,
    ("store only", "disk_bytes_per_span"): 150,
    ("store only, JSON in", "json_to_protobuf"): 2,
    ("forward, plain", "cpu_us_per_span"): 5,
    ("forward, plain", "peak_anonymous_mib"): 8,
    ("forward, gzip in and out", "cpu_us_per_span"): 8,
    ("edge, 20 x 100, delivered", "written_bytes_per_span"): 500,
    ("edge, 2 x 20, delivered", "written_bytes_per_span"): 1600,
    ("edge, 2 x 20, delivered", "syncs_per_request"): 1.05,
    ("idle, one destination", "wakeups_per_minute"): 2,
    ("long traces, 64", "cpu_last_to_first"): 1.2,
    ("long traces, 3000", "cpu_last_to_first"): 1.2,
    ("eviction, 64 MiB", "cpu_full_to_filling"): 1.2,
    ("large store", "ready_ms"): 10,
    ("large store", "idle_anonymous_mib"): 4,
    ("large store", "trace_by_id_ms"): 0.3,
}


def median_row(name, rounds):
    """One row of all rounds of a case: the median of each figure, and all of them beside it."""
    row = {"case": name}
    for key in rounds[0]:
        values = [one[key] for one in rounds]
        row[key] = values[0] if isinstance(values[0], list) else statistics.median(values)
    if len(rounds) > 1:
        row["rounds"] = rounds
    return row


def add_json_ratio(rows):
    """JSON in against protobuf in, once both are there."""
    by_name = {row["case"]: row for row in rows}
    json, protobuf = by_name.get("store only, JSON in"), by_name.get("store only")
    if json and protobuf:
        json["json_to_protobuf"] = json["cpu_us_per_span"] / protobuf["cpu_us_per_span"]


def head(reference):
    """reference: what the ratios are against, or None."""
    against = f"{reference:>12}{'ratio':>8}" if reference else ""
    return f"{'':<34}{'unit':<12}{'here':>12}{against}{'goal':>8}"


def lines(row, old):
    """The part of the table for one case. old: the row that it is compared with, or None."""
    yield row["case"]
    for key, (label, unit, digits) in FIGURES.items():
        if key not in row:
            continue
        value, against = row[key], ""
        if old is not None:
            before = old.get(key)
            ratio = f"{value / before:.2f}" if before else "-"
            against = f"{'-' if before is None else format(before, f'.{digits}f'):>12}{ratio:>8}"
        goal = GOALS.get((row["case"], key), "")
        yield f"  {label:<32}{unit:<12}{value:>12.{digits}f}{against}{goal:>8}".rstrip()

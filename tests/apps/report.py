# SPDX-License-Identifier: MIT
"""docs/compatibility.md, from the results of one or more runs of matrix.py."""

import re

HEAD = """\
# Compatibility

Unmodified programs under `belfry run`. This page is written by
`tests/apps/matrix.py --markdown` from runs of the table in
`tests/apps/cases.py`; nothing in it was edited. A dash says that a row was not
run with that version. Latencies and rates are of a small virtual machine with
two cores, busy with other work, that each pair of processes shared: they say
that a program did its work, not how fast Belfry is.
"""

HINTS = {
    "devices": "ibverbs-utils: what is there.",
    "pingpong": "ibverbs-utils: two processes. Figures are microseconds per "
                "iteration.",
    "perftest": "Two processes. Bandwidth tools show size, average MiB/s and "
                "million messages/s, latency tools size and average "
                "microseconds, both of the last line that the client printed.",
    "ucx": "Debian's UCX, two processes: average latency, bandwidth, rate.",
    "mpi": "Open MPI over UCX, every rank under `belfry run`.",
    "pyverbs": "Scripts of ours over the distribution's pyverbs.",
    "devx": "Programs of ours that build commands, WQEs and doorbells "
            "themselves, as NVSHMEM IBGDA does, over libmlx5's DEVX.",
    "rdma-core": "rdma-core's own tests (`tests/` of its source), a module a "
                 "row. Below the table: each test that did not pass.",
}


# What differs from run to run and from machine to machine.
NOISE = ((r"0x[0-9a-f]{9,}", "0x..."),
         (r"\[\d+\.\d+\] \[[^]]*\]\s+\S+\s+(?=UCX)", ""),
         (r"\[[\w-]+:\d+\]\s*", ""), (r" with PID \d+ on node \S+", ""))


def cell(text):
    """Text that a Markdown table can hold."""
    for pattern, better in NOISE:
        text = re.sub(pattern, better, text)
    return text.replace("|", "\\|").replace("\n", " ")


def key(row):
    """What makes rows of two runs the same case."""
    return (row["group"], row["name"], row["run"], row["pairs"],
            tuple(sorted(row["env"].items())))


def settings(row):
    words = [f"`{name}={value}`" for name, value in row["env"].items()
             if not name.startswith("OMPI_")]
    if row["run"]:
        words.append(f"`{row['run']}`")
    if row["pairs"] > 1:
        words.append(f"{row['pairs']} pairs at once")
    return " ".join(words)


def outcome(row):
    if row is None:
        return "-"
    note = row["reason"] or row["figures"]
    if row["result"] == "FAIL":
        return cell(f"**FAIL** {note}")
    return cell(f"{row['result']} {note}").strip()


def versions(runs):
    lines = [f"System: {runs[0]['system']}.", ""]
    lines += ["| package | version |", "|---|---|"]
    lines += [f"| {name} | {version} |" for name, version in
              sorted(runs[0]["packages"].items())]
    return lines


def counts(runs):
    groups = list(dict.fromkeys(row["group"] for row in runs[0]["results"]))
    lines = ["| group | " + " | ".join(
        f"rdma-core {run['library']}" for run in runs) + " |",
        "|---|" + "---|" * len(runs)]
    for group in groups:
        cells = []
        for run in runs:
            rows = [row["result"] for row in run["results"]
                    if row["group"] == group]
            cells.append(", ".join(
                f"{rows.count(word)} {word}" for word in
                ("PASS", "FAIL", "SKIP") if word in rows) or "-")
        lines.append(f"| [{group}](#{group}) | " + " | ".join(cells) + " |")
    return lines


def table(group, runs):
    by_key = [{key(row): row for row in run["results"]} for run in runs]
    keys = list(dict.fromkeys(
        key(row) for run in runs for row in run["results"]
        if row["group"] == group))
    lines = ["| program | settings | " + " | ".join(
        f"rdma-core {run['library']}" for run in runs) + " |",
        "|---|---|" + "---|" * len(runs)]
    for wanted in keys:
        rows = [rows.get(wanted) for rows in by_key]
        row = next(row for row in rows if row)
        lines.append(f"| `{cell(row['name'])}` | {settings(row)} | " +
                     " | ".join(outcome(row) for row in rows) + " |")
    return lines


def reasons(run, group):
    """(word, reason) of single tests that did not pass, and their names."""
    found = {}
    for row in run["results"]:
        if row["group"] != group:
            continue
        for text in row["details"]:
            name, _, reason = text.partition(": ")
            word, _, name = name.partition(" ")
            name = name.replace("tests.", "", 1)
            found.setdefault((word, reason), {})[name] = True
    return found


def details(group, runs):
    """Single tests that failed or were skipped, by reason."""
    lines = []
    for run in runs:
        found = reasons(run, group)
        if found:
            lines += ["", f"Not passed with rdma-core {run['library']}, on one "
                      "of the link layers or both:", ""]
        for (word, reason), names in sorted(found.items()):
            lines.append(f"- {word}: {cell(reason)}: " + ", ".join(
                f"`{name}`" for name in sorted(names)))
    return lines


def markdown(runs):
    lines = [HEAD] + versions(runs) + [""] + counts(runs)
    for group in dict.fromkeys(row["group"] for row in runs[0]["results"]):
        lines += ["", f"## {group}", "", HINTS.get(group, ""), ""]
        lines += table(group, runs) + details(group, runs)
    return "\n".join(lines) + "\n"

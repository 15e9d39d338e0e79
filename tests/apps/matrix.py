#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run other people's RDMA programs under `belfry run`, and say what passed.

    matrix.py --list                      the cases of cases.py, one a line
    matrix.py --group perftest --quick    the selection for CI of one group
    matrix.py --filter 'write_bw.*-a'     cases whose title has a match
    matrix.py --json run44.json           the whole matrix, kept for later
    matrix.py --rdma-core BUILD --json run64.json
                                          with another rdma-core, not installed
    matrix.py --group ucx --update run44.json
                                          a part of it again
    matrix.py --markdown docs/compatibility.md run44.json run64.json

Every case has a directory for its fabric and free TCP ports to itself. Exit
status: 0 all passed, 1 one failed, 77 one could not be run (with the reason).
A case with a known reason (`why`) may fail. Output stays in BUILD/apps/.
"""

import argparse
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cases
import report

HERE = Path(__file__).resolve().parent
TREE = HERE.parent.parent
# The distribution's pyverbs belongs to the distribution's Python.
PYTHON = "/usr/bin/python3"
LISTEN_SECONDS = 15
SKIPPED = 77  # the exit status of a program that says that it cannot run


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--group", action="append", choices=cases.GROUPS)
    parser.add_argument("--filter", metavar="REGEXP", default="")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--build", metavar="DIR", default=os.environ.get(
        "BELFRY_BUILD_DIR", TREE / "build/dev"))
    parser.add_argument("--rdma-core", metavar="DIR",
                        help="build directory of an rdma-core")
    parser.add_argument("--tests", metavar="DIR",
                        help="rdma-core's tests/, unpacked")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--update", metavar="FILE",
                        help="put the results into those of an earlier run")
    parser.add_argument("--markdown", metavar="FILE")
    parser.add_argument("results", nargs="*")
    return parser.parse_args()


def title(case):
    """What names a case in lists and for --filter."""
    words = [f"{name}={value}" for name, value in case.env.items()
             if not name.startswith("OMPI_")]
    words += [case.name] + shlex.split(case.run)
    if case.pairs > 1:
        words.append(f"({case.pairs} pairs)")
    return " ".join(words)


def select(options):
    groups = options.group or cases.GROUPS
    return [case for case in cases.ALL if case.group in groups and
            (case.quick or not options.quick) and
            (case.library or not options.rdma_core) and
            re.search(options.filter, title(case))]


# ------------------------------------------------------------- preparations

def package_versions():
    """Version of each package of the table that is installed."""
    names = sorted({name for case in cases.ALL for name in case.packages} |
                   {"ibverbs-providers", "libucx0", "libopenmpi3"})
    query = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Package} ${Version} ${Status}\n"] + names,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    lines = [line.split() for line in query.stdout.splitlines()]
    return {line[0]: line[1] for line in lines if line[-1] == "installed"}


def system_name():
    for line in Path("/etc/os-release").read_text().splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.split("=")[1].strip('"')
    return "unknown"


def library_version(options, packages):
    """Of rdma-core: of the build that was given, else of the package."""
    if not options.rdma_core:
        return packages.get("ibverbs-providers", "unknown")
    names = Path(options.rdma_core, "lib").glob("libmlx5.so.1.*")
    found = [re.search(r"1\.(\d+)\.(\d+)\.(\d+)$", name.name) for name in names]
    return ".".join(found[0].groups()[1:]) if found and found[0] else "unknown"


def unpack_tests(options, scratch):
    """The tests of rdma-core that the distribution has among its documents."""
    if options.tests:
        return Path(options.tests).resolve()
    if options.rdma_core:
        return Path(options.rdma_core).resolve().parent / "tests"
    tests = scratch / "tests"
    packed = Path("/usr/share/doc/rdma-core/tests")
    if packed.is_dir():
        shutil.copytree(packed, tests)
        if any(tests.glob("*.gz")):
            subprocess.run(["gunzip", "-q"] + [
                str(path) for path in tests.glob("*.gz")], check=True)
    return tests


class Workplace:
    """What all cases of a run share."""

    def __init__(self, options, scratch):
        self.build = Path(options.build).resolve()
        self.belfry = self.build / "bin/belfry"
        self.packages = package_versions()
        self.library = library_version(options, self.packages)
        self.tests = unpack_tests(options, scratch)
        self.logs = self.build / "apps" / self.library
        self.logs.mkdir(parents=True, exist_ok=True)
        self.environment = dict(os.environ)
        if options.rdma_core:
            self.use_library(Path(options.rdma_core).resolve())

    def use_library(self, build):
        """Programs find this build of rdma-core before the installed one."""
        for name, folder in (("PATH", "bin"), ("LD_LIBRARY_PATH", "lib"),
                             ("PYTHONPATH", "python")):
            old = self.environment.get(name)
            self.environment[name] = f"{build / folder}" + (
                f":{old}" if old else "")

    def why_not(self, case):
        """The reason why a case cannot be run here, or None."""
        for package in case.packages:
            if package not in self.packages:
                return f"the package {package} is not installed"
        if "{tests}" in case.client:
            module = case.name
            if not (self.tests / "run_tests.py").exists():
                return "the tests of rdma-core are not at hand"
            if not (self.tests / f"{module}.py").exists():
                return f"this rdma-core has no {module}"
        program = re.search(r"\{bin\}/(\S+)", case.client)
        if program and not (self.build / "bin" / program[1]).exists():
            return f"{program[1]} was not built"
        return None


# --------------------------------------------------------------- processes

def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listening(port):
    """Whether somebody listens on the port, without connecting to it."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            words = line.split()
            if words[3] == "0A" and words[1].endswith(f":{port:04X}"):
                return True
    return False


class Process:
    """A program in a process group of its own, its output in a file."""

    def __init__(self, command, environment, log):
        self.log = log
        with open(log, "w") as output:
            output.write(f"$ {shlex.join(command)}\n")
            output.flush()
            self.child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, env=environment,
                start_new_session=True)

    def wait(self, deadline):
        """The exit status; None when the deadline passed."""
        try:
            return self.child.wait(max(0.01, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return None

    def wait_for_text(self, pattern, deadline):
        while time.monotonic() < deadline and self.child.poll() is None:
            if re.search(pattern, self.output()):
                return True
            time.sleep(0.02)
        return re.search(pattern, self.output()) is not None

    def output(self):
        return Path(self.log).read_text(errors="replace").split("\n", 1)[-1]

    def end(self):
        """End the whole group: politely, as mpirun ends its ranks then."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.child.pid, number)
            except ProcessLookupError:
                break
            # The child itself may be gone before others of its group.
            self.wait(time.monotonic() + 3)
            time.sleep(0.05)
        self.child.wait()


# -------------------------------------------------------------------- cases

class Run:
    """One run of one case."""

    def __init__(self, case, place, fabric):
        self.case = case
        self.place = place
        self.fabric = fabric
        self.environment = {**place.environment, **case.env}
        self.processes = []
        self.deadline = time.monotonic() + case.timeout

    def command(self, text, port):
        """The words of a command of the table, under `belfry run`."""
        run = shlex.join([str(self.place.belfry), "run"] +
                         shlex.split(self.case.run) +
                         ["--fabric", str(self.fabric), "--"])
        if "{run}" not in text:
            text = "{run} " + text
        return shlex.split(text.format(
            run=run, port=port, bin=self.place.build / "bin", apps=HERE,
            python=PYTHON, tests=self.place.tests))

    def start(self, text, port, role):
        name = re.sub(r"[^\w.=-]+", "_", title(self.case)).strip("_")[:120]
        log = self.place.logs / f"{self.case.group}-{name}.{role}.log"
        process = Process(self.command(text, port), self.environment, log)
        self.processes.append(process)
        return process

    def judge_process(self, process, role):
        """None, or why this process is not what was expected."""
        status = process.wait(self.deadline)
        output = process.output()
        if re.search(cases.NEVER, output):
            return f"{role}: {last_line(output)}"
        if status is None:
            return f"{role}: still running after {self.case.timeout} s"
        if status != self.case.expect:
            how = f"exit status {status}" if status >= 0 else (
                f"killed by {signal.Signals(-status).name}")
            return f"{role}: {how}: {last_line(output)}"
        return None

    def run_one(self):
        """A program without a server. Returns (reason, output)."""
        client = self.start(self.case.client, free_port(), "client")
        if self.case.stop:
            if client.wait_for_text(self.case.stop, self.deadline):
                return None, client.output()
            return f"never said '{self.case.stop}'", client.output()
        return self.judge_process(client, "program"), client.output()

    def run_pairs(self):
        """All servers, then all clients. Returns (reason, output)."""
        servers, clients, ports = [], [], []
        for index in range(self.case.pairs):
            port = free_port()
            server = self.start(self.case.server, port, f"server{index}")
            limit = min(self.deadline, time.monotonic() + LISTEN_SECONDS)
            while not listening(port) and server.child.poll() is None:
                if time.monotonic() > limit:
                    return "server: does not listen", server.output()
                time.sleep(0.01)
            servers.append(server)
            ports.append(port)
        for index, port in enumerate(ports):
            clients.append(self.start(self.case.client, port,
                                      f"client{index}"))
        # A server does not end when its client failed: stop at the first.
        for role, group in (("client", clients), ("server", servers)):
            for process in group:
                reason = self.judge_process(process, role)
                if reason:
                    return reason, process.output()
        return None, clients[0].output()

    def run(self):
        """Returns (reason or None, figures, output)."""
        try:
            reason, output = (self.run_pairs if self.case.server
                              else self.run_one)()
        finally:
            for process in self.processes:
                process.end()
        pattern, template = self.case.figures
        found = list(re.finditer(pattern, output))
        if not reason and not found:
            reason = f"no line of results: {last_line(output)}"
        return reason, found[-1].expand(template) if found else "", output


def last_line(output):
    """The last line that says something, for a table."""
    lines = [line.strip() for line in output.splitlines()]
    lines = [line for line in lines if re.search(r"\w", line)]
    return lines[-1][:160] if lines else "(no output)"


def fabric_folder():
    """Where a fabric's rings are memory, if there is such a place."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def fill_result(result, case, reason, figures):
    result["figures"] = figures
    if not reason:
        result["result"] = "PASS"
    elif f"exit status {SKIPPED}" not in reason:
        result["result"] = "FAIL"
        result["known"] = bool(case.why)
    result["reason"] = f"{case.why} ({reason})" if reason and case.why else (
        reason or "")


def run_case(case, place):
    started = time.monotonic()
    result = {"group": case.group, "name": case.name, "run": case.run,
              "env": case.env, "pairs": case.pairs, "figures": "",
              "reason": place.why_not(case), "details": [], "result": "SKIP",
              "known": False}
    if not result["reason"]:
        with tempfile.TemporaryDirectory(
                prefix="belfry-apps-", dir=fabric_folder(),
                ignore_cleanup_errors=True) as fabric:
            reason, figures, output = Run(case, place, fabric).run()
        if reason:
            reason = reason.replace(str(place.build), "BUILD")
        fill_result(result, case, reason, figures)
        result["details"] = re.findall(r"(?m)^(?:FAIL|SKIP) .*$", output)
    result["seconds"] = round(time.monotonic() - started, 1)
    return result


def run_all(selected, place, results):
    """Adds to results, which are of use also when it is interrupted."""
    for case in selected:
        result = run_case(case, place)
        results.append(result)
        text = result["reason"] or result["figures"]
        print(f"{result['result']} {result['seconds']:5.1f} s "
              f"[{case.group}] {title(case)}: {text}", flush=True)


def save(options, place, results):
    """Results to a file, in the order of the table."""
    target = options.update or options.json
    if not target:
        return
    old = []
    if options.update:
        old = json.loads(Path(target).read_text())["results"]
    by_case = {report.key(row): row for row in old + results}
    order = [(case.group, case.name, case.run, case.pairs,
              tuple(sorted(case.env.items()))) for case in cases.ALL]
    Path(target).write_text(json.dumps({
        "system": system_name(), "packages": place.packages,
        "library": place.library,
        "results": [by_case[key] for key in order if key in by_case]},
        indent=1))


def exit_status(results):
    """As ctest reads it; prints the counts, and the reason of a skip."""
    counts = {word: [result for result in results if result["result"] == word]
              for word in ("PASS", "FAIL", "SKIP")}
    print(", ".join(f"{len(rows)} {word}" for word, rows in counts.items()))
    if any(not row["known"] for row in counts["FAIL"]):
        return 1
    for reason in sorted({row["reason"] for row in counts["SKIP"]}):
        print(f"skipped: {reason}")
    # CI installs everything: nothing of its selection may be missing.
    return SKIPPED if counts["SKIP"] else 0


def main():
    options = parse_arguments()
    if options.markdown:
        runs = [json.loads(Path(name).read_text()) for name in options.results]
        Path(options.markdown).write_text(report.markdown(runs))
        return 0
    selected = select(options)
    if options.list:
        for case in selected:
            print(f"[{case.group}] {title(case)}")
        print(f"{len(selected)} cases")
        return 0
    with tempfile.TemporaryDirectory(prefix="belfry-apps-") as scratch:
        place = Workplace(options, Path(scratch))
        if not place.belfry.exists():
            print(f"skipped: {place.belfry} was not built")
            return SKIPPED
        # Ended from outside, it still ends what it has started.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        results = []
        try:
            run_all(selected, place, results)
        finally:
            save(options, place, results)
    return exit_status(results)


if __name__ == "__main__":
    sys.exit(main())

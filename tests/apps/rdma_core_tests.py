#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run one module of rdma-core's own tests, each test with a time limit.

    rdma_core_tests.py TESTS MODULE COMMAND...

TESTS is rdma-core's directory tests/, MODULE one of its test_*.py, COMMAND a
Python, under `belfry run` or not. A test that hangs or crashes fails, and the
rest of the module goes on in a new process. Prints a line a test ("ok ID",
"FAIL ID: reason", "SKIP ID: reason") and "total: ...".

With `--inner TESTS MODULE` it is the process that holds the tests, and reads
the names of those that are over from standard input.
"""

import importlib
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import types
import unittest

SECONDS_EACH = 20
SKIPPED = 77  # exit status, as ctest has it
DEVICE = ["--dev", "mlx5_0"]


# ---------------------------------------------------------------- the inside

def stand_in_for_rdma():
    """The tests ask iproute2's `rdma` for the network device of a port.

    It speaks netlink, where emulated NICs are not; told of no device, the
    tests look into sysfs.
    """
    folder = tempfile.mkdtemp(prefix="belfry-rdma-")
    with open(os.path.join(folder, "rdma"), "w") as script:
        script.write("#!/bin/sh\necho '[]'\n")
    os.chmod(script.name, 0o755)
    os.environ["PATH"] = folder + ":" + os.environ["PATH"]
    return folder


def load(tests, module):
    """The module, without what its package imports beside it."""
    sys.path.insert(0, tests)
    package = types.ModuleType("tests")
    package.__path__ = [tests]
    sys.modules["tests"] = package
    sys.argv[1:] = DEVICE
    importlib.import_module("args_parser").parser.parse_args()
    # Its modules import each other in circles: this way around they can.
    importlib.import_module("tests.utils")
    loaded = importlib.import_module("tests." + module)
    return unittest.defaultTestLoader.loadTestsFromModule(loaded)


def flat(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from flat(test)
        else:
            yield test


def short(text):
    lines = [line.strip() for line in str(text).splitlines()]
    return " ".join(line for line in lines if line)[:200]


class Report(unittest.TestResult):
    """Says what becomes of each test as soon as it is known."""

    def say(self, word, test, reason=""):
        os.write(1, f"\n{word} {test.id()}{reason and ': '}{short(reason)}\n"
                 .encode())

    def startTest(self, test):
        super().startTest(test)
        self.say("begin", test)

    def addSuccess(self, test):
        self.say("ok", test)

    def addSkip(self, test, reason):
        self.say("SKIP", test, reason)

    def addFailure(self, test, error):
        self.say("FAIL", test, f"{error[0].__name__}: {error[1]}")

    addError = addFailure

    def addSubTest(self, test, subtest, error):
        if error:
            self.addFailure(test, error)


def inner(tests, module):
    done = set(sys.stdin.read().split())
    folder = stand_in_for_rdma()
    report = Report()
    suite = [test for test in flat(load(tests, module))
             if test.id() not in done]
    # A class's own set-up is run by a suite only.
    unittest.TestSuite(suite).run(report)
    os.write(1, b"\nend\n")
    shutil.rmtree(folder)
    os._exit(0)  # pyverbs objects in cycles need not be taken down


# --------------------------------------------------------------- the outside

class Module:
    """A module's tests, in as many processes as it takes."""

    def __init__(self, tests, module, command):
        self.command = command + [os.path.abspath(__file__), "--inner",
                                  tests, module]
        self.child = None
        self.results = {}
        self.current = None
        self.text = []

    def start(self):
        self.child = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True)
        self.child.stdin.write("\n".join(self.results).encode())
        self.child.stdin.close()
        os.set_blocking(self.child.stdout.fileno(), False)

    def stop(self, *_):
        """End the child and whatever it started."""
        if self.child:
            try:
                os.killpg(self.child.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.child.wait()

    def lines(self):
        """Lines of the child; None after a while without any, or at its end."""
        selector = selectors.DefaultSelector()
        selector.register(self.child.stdout, selectors.EVENT_READ)
        rest, limit = b"", time.monotonic() + SECONDS_EACH
        while selector.select(max(0, limit - time.monotonic())):
            data = self.child.stdout.read()
            if not data:
                break
            *whole, rest = (rest + data).split(b"\n")
            for line in whole:
                limit = time.monotonic() + SECONDS_EACH
                yield line.decode(errors="replace").strip()
        yield None

    def finish(self, word, name, reason):
        self.results[name] = word
        if self.current == name:
            self.current = None
        print(f"{word} {name}{reason}", flush=True)

    def take(self, line):
        word, _, rest = line.partition(" ")
        name, colon, reason = rest.partition(": ")
        if word == "begin":
            self.current = name
        elif word in ("ok", "FAIL", "SKIP") and name.startswith(
                ("tests.", "setUpClass")):
            if self.results.get(name) != "FAIL":
                self.finish(word, name, colon + reason)
        else:
            self.text.append(line)

    def run_once(self):
        """One process. Returns whether it came to its end."""
        self.start()
        self.text = []
        for line in self.lines():
            if line == "end":
                self.stop()
                return True
            if line is None:
                break
            self.take(line)
        hung = self.child.poll() is None and not self.ended()
        self.stop()
        if self.current:
            reason = f"hangs for {SECONDS_EACH} s" if hung else self.death()
            self.finish("FAIL", self.current, f": {reason}")
            return False
        words = [line for line in self.text if line]
        print(f"FAIL {self.command[-1]}: "
              f"{words[-1] if words else 'no output'}", flush=True)
        self.results[self.command[-1]] = "FAIL"
        return True

    def ended(self):
        try:
            self.child.wait(0.5)
            return True
        except subprocess.TimeoutExpired:
            return False

    def death(self):
        status = self.child.returncode
        words = [line for line in self.text if line]
        how = (f"killed by {signal.Signals(-status).name}" if status < 0
               else f"exit status {status}")
        return f"{how}; {words[-1] if words else 'no output'}"

    def run(self):
        while not self.run_once():
            pass
        words = list(self.results.values())
        print("total: " + ", ".join(
            f"{words.count(word)} {word}" for word in ("ok", "FAIL", "SKIP")))
        if "FAIL" in words:
            return 1
        return 0 if "ok" in words else SKIPPED


def main():
    if sys.argv[1] == "--inner":
        inner(*sys.argv[2:4])
    module = Module(sys.argv[1], sys.argv[2], sys.argv[3:])

    def terminate(*_):
        module.stop()
        os._exit(1)

    signal.signal(signal.SIGTERM, terminate)
    return module.run()


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How many instructions posting takes, by the machine code.

    nvdisasm -c CUBIN | bench/gpu/sass.py

Reads the kernels once_LIBRARY_CALL of bench/gpu/nvshmem_calls.h. For each it
prints the shortest path from the kernel's first instruction to its last on
which the doorbell is rung, through the functions that it calls, and what lies
on that path; beside it how many instructions there are at all. What is the
shortest is known without running it: the queue's counters, the WQE, the record
and the register have to be touched on the way. It is the least that a thread
executes which finds room in the queue and nobody else at it, with the kernel's
own few instructions. "2+1 fences": 2, and 1 under a condition.
"""

import heapq
import re
import sys

# 16-byte segments of what each operation posts. NVSHMEM stores 4 bytes at a
# time, and of an inline WQE no more than it needs.
SEGMENTS = {"put": 3, "p": 3, "atomic": 4, "put_signal": 7}
WORDS = {"put": 12, "p": 11, "atomic": 16, "put_signal": 28}

RECORD = r"STG?\.E\.STRONG\.(SYS|GPU)"
FENCE = r"MEMBAR\.(ALL|SC)\.(SYS|GPU)"
RING = [FENCE, RECORD, FENCE, r".*MMIO.*"]


def ways(operation):
    """What must be passed, in this order."""
    segments = [r"STG?\.E\.128\..*"] * SEGMENTS[operation]
    words = [r"STG?\.E\.STRONG\.SYS"] * WORDS[operation]
    return {
        "belfry unshared": segments + RING,
        "belfry shared": [r"ATOMG?\.E\.CAS\.64\.STRONG\.GPU"] + segments +
                         [r"ATOMG?\.E\.EXCH.*GPU"] + RING,
        "nvshmem": [r"ATOMG?\.E\.ADD\.64\.STRONG\.GPU"] + words +
                   [FENCE, r"ATOMG?\.E\.CAS\.64\.STRONG\.GPU",
                    r"ATOMG?\.E\.CAS\.STRONG\.GPU",
                    r"ATOMG?\.E\.MAX\.64\.STRONG\.GPU", FENCE, RECORD,
                    FENCE, r"STG?\.E\.64\.STRONG\.SYS"],
    }


# Of the instructions on a path.
KINDS = [
    ("fences", r"MEMBAR\.(ALL|SC)\.(SYS|GPU)"),
    ("block fences", r"MEMBAR\.(ALL|SC)\.CTA"),
    ("invalidations", r"CCTL"),
    ("atomics", r"ATOM|RED\b"),
    ("loads", r"LDG?\."),
    ("stores", r"STG?\."),
    ("local", r"(LD|ST)L"),
    ("constants", r"U?LDC"),
]

INSTRUCTION = re.compile(
    r"\s*/\*[0-9a-f]{4,}\*/\s+(@!?U?P\w+\s+)?([A-Z][\w.]*)\s*(.*?)\s*;")
LABEL = re.compile(r"(\.L_\w+):")
TARGET = re.compile(r"\.L_\w+")


class Function:
    """Instructions, and where labels stand among them."""

    def __init__(self):
        self.code = []    # (is_conditional, opcode, operands)
        self.labels = {}
        self.barriers = {}  # of each BSYNC: where its BSSY says to go

    def close(self):
        latest = {}
        for at, (_, opcode, operands) in enumerate(self.code):
            name = operands.split(",")[0]
            if opcode == "BSSY":
                latest[name] = TARGET.search(operands).group()
            elif opcode == "BSYNC" and name in latest:
                self.barriers[at] = self.labels[latest[name]]


def read(lines):
    functions, current = {}, None
    for line in lines:
        if line.startswith(".text."):
            name = line.strip()[len(".text."):-1]
            current = functions.setdefault(name, Function())
            continue
        if current is None:
            continue
        label = LABEL.match(line)
        if label:
            current.labels[label.group(1)] = len(current.code)
        match = INSTRUCTION.match(line)
        if match:
            current.code.append((bool(match.group(1)), match.group(2),
                                 match.group(3)))
    for function in functions.values():
        function.close()
    return functions


def following(functions, place):
    """Where control may go from (function, index, callers)."""
    name, at, callers = place
    function = functions[name]
    is_conditional, opcode, operands = function.code[at]
    onward = (name, at + 1, callers)
    targets = [(name, function.labels[label], callers)
               for label in TARGET.findall(operands)
               if label in function.labels]
    base = opcode.split(".")[0]
    if base == "EXIT":
        return [onward] if is_conditional else []
    if base == "RET":
        back = [callers[-1] + (callers[:-1],)] if callers else []
        return back + ([onward] if is_conditional else [])
    if base == "CALL":
        called = re.search(r"`\(([\w$.]+)\)", operands)
        if called and called.group(1) in functions and len(callers) < 4:
            return [(called.group(1), 0, callers + ((name, at + 1),))]
        return []  # printf, and assertions that fail
    if base in ("BRA", "BRX", "JMP"):
        is_always = not is_conditional and opcode in ("BRA", "BRX", "JMP") \
            and not operands.startswith(("P", "!P", "UP", "!UP"))
        return targets + ([] if is_always else [onward])
    if base == "BSYNC" and at in function.barriers:
        return [(name, function.barriers[at], callers)]
    if base in ("BPT", "KILL"):
        return []
    return [onward]


def shortest(functions, kernel, way):
    """What is on the shortest path that passes all of way, or None."""
    way = [re.compile(step + "$") for step in way]
    queue = [(0, 0, ((kernel, 0, ()), 0), None)]
    came_from, order = {}, 1
    while queue:
        length, _, state, parent = heapq.heappop(queue)
        if state in came_from:
            continue
        came_from[state] = parent
        place, passed = state
        if place[1] >= len(functions[place[0]].code):
            continue
        is_conditional, opcode, _ = functions[place[0]].code[place[1]]
        if passed < len(way) and way[passed].match(opcode):
            passed += 1
        if opcode == "EXIT" and passed == len(way):
            return walk_back(functions, came_from, state)
        for place in following(functions, place):
            order += 1
            heapq.heappush(queue, (length + 1, order, (place, passed), state))
    return None


def walk_back(functions, came_from, state):
    """Pairs (is_conditional, opcode)."""
    opcodes = []
    while state is not None:
        name, at, _ = state[0]
        opcodes.append(functions[name].code[at][:2])
        state = came_from[state]
    return opcodes[::-1]


def all_instructions(functions, kernel):
    """Of a kernel and all that it may call."""
    todo, seen = [kernel], set()
    while todo:
        name = todo.pop()
        if name in seen or name not in functions:
            continue
        seen.add(name)
        for _, opcode, operands in functions[name].code:
            if opcode.startswith("CALL"):
                todo += re.findall(r"`\(([\w$.]+)\)", operands)
    return sum(len(functions[name].code) for name in seen)


def count(path, name, kind):
    """As "2+1 fences": 2, and 1 under a condition that need not hold."""
    conditions = [is_conditional for is_conditional, opcode in path
                  if re.match(kind, opcode)]
    maybe = sum(conditions)
    return "%d%s %s" % (len(conditions) - maybe,
                        "+%d" % maybe if maybe else "", name)


def main():
    functions = read(sys.stdin)
    kernels = sorted(name for name in functions if name.startswith("once_"))
    calls = sorted({name.split("_", 2)[2] for name in kernels})
    for call in calls:
        for who, way in ways(call.rsplit("_", 1)[0]).items():
            kernel = "once_%s_%s" % (who.split()[0], call)
            if kernel not in functions:
                continue
            path = shortest(functions, kernel, way)
            total = all_instructions(functions, kernel)
            if path is None:
                print("%-18s %-15s no path of %d" % (call, who, total))
                continue
            print("%-18s %-15s %4d of %5d instructions: %s"
                  % (call, who, len(path), total,
                     ", ".join(count(path, *kind) for kind in KINDS)))


if __name__ == "__main__":
    main()

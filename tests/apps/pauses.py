#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run a program that is stopped and continued again and again.

Every process of an MPI job that runs so is now and then out of reach for longer
than its peers wait before they send again, as on a machine with too much to do.
"""

import signal
import subprocess
import sys
import time

RUN_S = 0.03
STOP_S = 0.05       # UCX repeats a datagram after 10 ms
PAUSES = 40


def main():
    program = subprocess.Popen(sys.argv[1:])
    for _ in range(PAUSES):
        time.sleep(RUN_S)
        if program.poll() is not None:
            break
        program.send_signal(signal.SIGSTOP)
        time.sleep(STOP_S)
        program.send_signal(signal.SIGCONT)
    status = program.wait()
    return status if status >= 0 else 128 - status


sys.exit(main())

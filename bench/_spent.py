"""Run one command and write down what it took: a process this small starts it, so that its memory is told alone.

A child begins with the peak of the process that starts it; started by a large one (a test run, say), a small child
would be told as large. Arguments: the file the figures go to, a limit in seconds (0: none), then the command.
"""

import json
import os
import signal
import subprocess
import sys
import time

account, limit, command = sys.argv[1], float(sys.argv[2]), sys.argv[3:]
begun = time.perf_counter()
process = subprocess.Popen(command)
signal.signal(signal.SIGALRM, lambda *_: process.kill())
signal.setitimer(signal.ITIMER_REAL, limit)
_, status, usage = os.wait4(process.pid, 0)
signal.setitimer(signal.ITIMER_REAL, 0)
peak = usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
with open(account, "w") as file:
    json.dump(
        {
            "code": os.waitstatus_to_exitcode(status),
            "cpu": usage.ru_utime + usage.ru_stime,
            "wall": time.perf_counter() - begun,
            "peak_mb": round(peak, 1),
        },
        file,
    )

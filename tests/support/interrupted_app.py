"""A WSGI app whose import Ctrl-C interrupts, and which then raises another error, as some extension modules do."""

import os
import signal
import time

try:
    os.kill(os.getppid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(60)
except SystemExit as interruption:
    raise ImportError("initialization failed") from interruption

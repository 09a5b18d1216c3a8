"""The end of a worker's process."""

import atexit
import os
import sys


def end_process() -> None:
    """Ends this process with the status of the SystemExit that is under way, or 1 for another exception.

    Exit handlers run, but the interpreter is not taken apart: native threads,
    such as those of the lake's library, would crash when they come back to it.
    """
    error = sys.exc_info()[1]
    code = error.code if isinstance(error, SystemExit) else int(error is not None)
    # gunicorn's exit statuses are numbers; a text means 1, as in sys.exit
    status = code if isinstance(code, int) else int(code is not None)
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status & 0xFF)

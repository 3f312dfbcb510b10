"""The command ``scr``: parse, call one function, print. What it says stands here; what it does stands below ``scr``.

Importing this loads click and nothing heavier; a command imports what it needs when it runs.
"""

import contextlib
import os
import signal
import sys


def main() -> None:
    """Run the command line and exit with one of the documented codes."""
    try:
        from scr.cli.shadow import refuse_shadowed

        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                # A terminal that cannot show a character shows its code, rather than nothing at all.
                stream.reconfigure(errors="backslashreplace")
        refuse_shadowed("memory_store")
        from scr.cli.app import cli

        cli.main(prog_name="scr")
    except KeyboardInterrupt:
        with contextlib.suppress(OSError):
            print("scr: interrupted", file=sys.stderr)
        os._exit(130)
    except SystemExit as end:
        if end.code == 130:
            # A model that is still writing, or a library half imported, would hold up an ordinary exit.
            with contextlib.suppress(OSError, ValueError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(130)
        # The work is done: an interrupt while libraries are taken down ends the process without a word.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        raise


__all__ = ["main"]

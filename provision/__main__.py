"""`provision` and `python -m provision`: hand over to the command line."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; ends the process with one of DESIGN's exit codes."""
    try:
        from provision.cli import run, stop_signals
    except KeyboardInterrupt:  # so early that nothing has been begun
        print("interrupted", file=sys.stderr)  # noqa: T201
        sys.exit(130)
    stop_signals.install()
    run()


if __name__ == "__main__":
    main()

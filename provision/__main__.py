"""`provision` and `python -m provision`: hand over to the command line."""

from __future__ import annotations


def main() -> None:
    """Run the command line; ends the process with one of DESIGN's exit codes."""
    from provision.cli import run, stop_signals

    stop_signals.install()
    run()


if __name__ == "__main__":
    main()

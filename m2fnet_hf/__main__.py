"""`m2fnet`, also as `python -m m2fnet_hf`, which launchers of several processes start."""

import signal


def main() -> int:
    """Run the command line; outside of a command, too, Ctrl-C ends it without a trace.

    Returns:
        The exit status.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from .cli import main

    return main()


if __name__ == "__main__":
    raise SystemExit(main())

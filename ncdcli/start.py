"""Where the `ncd` command starts, before anything else is imported."""

import signal


def main() -> None:
    """Run `ncd`. Ctrl-C during its imports ends the process at once, without a traceback of what was imported."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from ncdcli.cli.main import main

    main()

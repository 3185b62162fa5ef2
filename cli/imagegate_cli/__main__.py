"""The start of `imagegate`, and of `python -m imagegate_cli`."""

import signal


def run() -> None:
    """Run the command line. Ctrl-C while it is still loaded ends it at once: there is nothing to say yet."""
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    from imagegate_cli.main import main

    signal.signal(signal.SIGINT, before)
    main()


if __name__ == "__main__":
    run()

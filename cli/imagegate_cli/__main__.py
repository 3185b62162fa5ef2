"""`python -m imagegate_cli`: the same as `imagegate`."""

from imagegate_cli.main import main

if __name__ == "__main__":
    main()

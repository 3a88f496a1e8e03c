"""`python -m mailworkers` is the same as the `mailworkers` command."""

from mailworkers.cli import main

if __name__ == "__main__":
    main()

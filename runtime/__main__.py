"""``python -m runtime``: the same as the ``emdata`` program."""

from runtime.cli import main

if __name__ == "__main__":
    main()

"""``python -m proteinweaver`` is the command line."""

from proteinweaver.cli.main import main

if __name__ == "__main__":
    main()

"""`python -m leadscore`: the command line."""

from leadscore.command import main

if __name__ == "__main__":
    main()

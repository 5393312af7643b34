"""Run the command line: ``python -m choicemodel``."""

import sys

from choicemodel.cli import main

if __name__ == "__main__":
    sys.exit(main())

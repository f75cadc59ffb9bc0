"""`python -m localplane`."""

import sys

from localplane.cli import main

if __name__ == "__main__":
    sys.exit(main())

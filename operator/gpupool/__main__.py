"""`python -m gpupool`."""

import sys

from gpupool.cli.main import main

if __name__ == "__main__":
    sys.exit(main())

"""`python -m lictor` is `lictor`."""

import sys

from lictor.cli import main

sys.exit(main())

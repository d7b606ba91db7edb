"""``python -m emlib.cli`` is the `emlib` command."""

import sys

from . import main

sys.exit(main())

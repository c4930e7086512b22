"""`python -m bitskept` is the command `bitskept`."""

import sys

from bitskept.run.command_line import main

sys.exit(main())

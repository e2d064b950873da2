"""How long the fault tests go on: `make test` a short form, `make faults` the full one."""

import os

ROUNDS = int(os.environ.get("FAULT_ROUNDS", "12"))

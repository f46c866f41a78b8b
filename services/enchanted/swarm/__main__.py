# SPDX-License-Identifier: Apache-2.0
"""``python -m enchanted.swarm``: the agents' process, started by the hub, which writes it its order."""

import asyncio
import sys

from enchanted.swarm.agents.process import run

if __name__ == "__main__":
    sys.exit(asyncio.run(run()))

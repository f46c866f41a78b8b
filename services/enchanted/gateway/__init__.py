# SPDX-License-Identifier: Apache-2.0
"""Gateway: the platform over HTTP, for people's browsers and for Git.

It knows the other rooms through their clients alone, so it can see nothing that a caller of theirs could not.
"""

from enchanted.gateway.app import GIT_PATH, WSGIApplication, create_app
from enchanted.gateway.rooms import Rooms
from enchanted.gateway.security import bearer_of
from enchanted.gateway.server import bind, serving

__all__ = ["GIT_PATH", "Rooms", "WSGIApplication", "bearer_of", "bind", "create_app", "serving"]

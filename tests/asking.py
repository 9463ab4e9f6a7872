"""Requests to the servers under test.

`httpx.get` and the like make a client each time, and that reads all certificates of the system: 70 ms of CPU, which a
loop that polls would spend all of its time with. This client is made once. Connections are not kept: a server may have
been started anew since.
"""

from __future__ import annotations

import httpx

ask = httpx.Client(limits=httpx.Limits(max_keepalive_connections=0))

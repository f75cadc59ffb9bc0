"""Free loopback ports that stay free, outside the range of outgoing connections; this machine's address."""

import random
import socket
from pathlib import Path
from typing import Final

from localplane.errors import PlaneError

LOW: Final = 15000
DEFAULT_HIGH: Final = 32000
TRIES: Final = 200
LOOPBACK: Final = "127.0.0.1"
ELSEWHERE: Final = ("192.0.2.1", 9)
"""An address of documentation: nothing is sent there."""


def free_port(taken: frozenset[int] = frozenset()) -> int:
    """A TCP port on 127.0.0.1 nobody listens on now, and not one of `taken`.

    A port below the ephemeral range cannot be grabbed by an outgoing connection while its
    owner is down, so a repaired part finds its port again.

    Raises:
        PlaneError: No free port was found in a bounded number of tries.
    """
    high = _ephemeral_start()
    chooser = random.SystemRandom()
    for _ in range(TRIES):
        port = chooser.randrange(LOW, high)
        if port not in taken and is_free(port):
            return port
    raise PlaneError(f"no free loopback port between {LOW} and {high}")


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def own_address() -> str:
    """The address that this machine has for others: an EndpointSlice holds no loopback address.

    Where there is none but loopback, that one: what needs an EndpointSlice does not come up, and says so.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(ELSEWHERE)
        except OSError:
            return LOOPBACK
        return str(probe.getsockname()[0])


def _ephemeral_start() -> int:
    try:
        start = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError):
        return DEFAULT_HIGH
    return start if start > LOW + 1000 else DEFAULT_HIGH

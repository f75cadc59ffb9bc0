"""What the transport makes of answers, and of none."""

import pytest

from gpupool.errors import Unreachable
from gpupool.kube.auth import Credentials
from gpupool.kube.transport import Transport


async def test_a_client_that_was_closed_opens_no_connection_again() -> None:
    transport = Transport(Credentials("https://127.0.0.1:1"))
    await transport.aclose()
    with pytest.raises(Unreachable, match="closed"):
        await transport.request("GET", "/version")
    assert transport.answers == {("GET", 0): 1}

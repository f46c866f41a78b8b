# SPDX-License-Identifier: Apache-2.0
"""The settings of the test run hold: what they are there to catch is caught."""

from __future__ import annotations

import socket
import warnings

import pytest
from pytest_socket import SocketConnectBlockedError


def test_reaching_out_of_this_machine_is_refused() -> None:
    # A datagram socket sends nothing when it connects, so nothing leaves even if the guard fails.
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outward,
        pytest.raises(SocketConnectBlockedError),
    ):
        outward.connect(("192.0.2.1", 9))


def test_this_machine_can_be_reached() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as c,
    ):
        assert c.getpeername() == server.getsockname()


def test_a_warning_is_an_error() -> None:
    with pytest.raises(DeprecationWarning):
        warnings.warn("old", DeprecationWarning, stacklevel=1)


def test_markers_and_expected_failures_are_strict(pytestconfig: pytest.Config) -> None:
    assert pytestconfig.getini("strict_markers") is True
    assert pytestconfig.getini("strict_xfail") is True
    assert float(pytestconfig.getini("timeout")) > 0

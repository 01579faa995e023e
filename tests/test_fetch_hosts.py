"""Hosts that read as one thing and are asked as another."""

from __future__ import annotations

from unittest.mock import MagicMock, patch

import pytest

from genro_storage.exceptions import StoragePermissionError, StorageValueError
from genro_storage.fetch import fetch


@pytest.mark.parametrize(
    "host", ["169.254.169%2e254", "127.0.0%2e1:8443", "[::1%25lo]", "[fe80::1%eth0]", "%31.2.3.4"]
)
@pytest.mark.parametrize("proxy", [None, "http://127.0.0.1:9"])
def test_a_host_with_a_percent_sign_is_refused(monkeypatch, host, proxy):
    if proxy is not None:
        monkeypatch.setenv("https_proxy", proxy)
    with pytest.raises(StorageValueError, match="Invalid URL"):
        fetch(f"https://{host}/x", bytearray().extend)


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "127.1", "2130706433", "[::1]", "localhost", "a.localhost."]
)
def test_even_a_replaced_urlopen_is_not_sent_to_a_private_address(host):
    with patch("urllib.request.urlopen") as urlopen, pytest.raises(StoragePermissionError):
        fetch(f"http://{host}/x", bytearray().extend)
    urlopen.assert_not_called()


def test_a_replaced_urlopen_is_sent_there_where_the_caller_says_so():
    response = MagicMock()
    response.__enter__.return_value.read.return_value = b"inside"
    got = bytearray()
    with patch("urllib.request.urlopen", return_value=response):
        fetch("http://localhost/x", got.extend, allow_private=True)
    assert got == b"inside"

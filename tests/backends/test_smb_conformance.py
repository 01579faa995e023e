"""Shares of a Samba server keep the contract of a backend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from genro_storage.testing import BackendConformance
from genro_storage.testing.ground import AWKWARD_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.services


class TestSmb(BackendConformance):
    case_sensitive: ClassVar[bool] = False
    #: What Windows cannot open, Samba lists under an invented name: such names are refused.
    refused_names: ClassVar[frozenset[str]] = frozenset(
        name
        for name in AWKWARD_NAMES
        if name == "CON" or name[-1] in ". " or set(name) & set('\\:*?"<>|\n\t')
    )

    @pytest.fixture
    def mount_config(self, smb_place: Mapping[str, Any]) -> Mapping[str, Any]:
        return smb_place

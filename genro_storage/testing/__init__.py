"""The conformance suite that the author of a backend runs; it needs pytest.

A backend's whole test is a fixture and a class line::

    import pytest
    from genro_storage.testing import BackendConformance

    class TestLocal(BackendConformance):
        @pytest.fixture
        def mount_config(self, tmp_path):
            return {"type": "local", "path": str(tmp_path)}

What is asked of a backend follows from the capabilities that it declares, both ways: a declared
one must work, an undeclared one must raise ``StorageUnsupportedError``. What capabilities cannot
say (names that the technology refuses, how fine its clock is) are attributes of the class.
"""

from __future__ import annotations

try:
    import pytest
except ImportError as _missing:
    from ..exceptions import StorageMissingExtraError

    raise StorageMissingExtraError(
        "the conformance suite needs pytest; install it with: pip install pytest"
    ) from _missing

_PARTS = (
    "ground", "reading", "writing", "contract", "listing", "names", "errors", "capability",
    "versions", "permissions", "concurrency", "processes", "transferring",
)  # fmt: skip
# Before they are imported, so that a failing assertion shows its values.
pytest.register_assert_rewrite(*(f"{__name__}.{part}" for part in _PARTS))

from .capability import CapabilityConformance  # noqa: E402
from .concurrency import ConcurrencyConformance  # noqa: E402
from .contract import WriteContractConformance  # noqa: E402
from .errors import ErrorConformance  # noqa: E402
from .ground import AWKWARD_NAMES, Ground, Shelf  # noqa: E402
from .listing import ListingConformance  # noqa: E402
from .names import NameConformance  # noqa: E402
from .permissions import PermissionConformance  # noqa: E402
from .processes import ProcessConformance  # noqa: E402
from .reading import ReadingConformance  # noqa: E402
from .transferring import TransferConformance  # noqa: E402
from .writing import WritingConformance  # noqa: E402

__all__ = ["AWKWARD_NAMES", "BackendConformance", "Ground", "Shelf"]


class BackendConformance(
    ReadingConformance,
    WritingConformance,
    WriteContractConformance,
    ListingConformance,
    TransferConformance,
    NameConformance,
    ErrorConformance,
    CapabilityConformance,
    PermissionConformance,
    ConcurrencyConformance,
    ProcessConformance,
):
    """Everything a backend must do. Subclass it and say in ``mount_config`` what to mount.

    ``mount_config`` is the mapping of a mount without its name. It must lead to a place that is
    empty for each test. Attributes to override where the technology demands it are described in
    :class:`Ground`.
    """

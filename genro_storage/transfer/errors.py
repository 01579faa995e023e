"""What is raised when a copy has gone on past its errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..exceptions import StorageError

if TYPE_CHECKING:
    from .place import Place
    from .report import TransferReport

__all__ = ["StorageTransferError"]


class StorageTransferError(StorageError):
    """Some files were not copied; ``report`` says which and why, and what was copied."""

    def __init__(self, message: str, *, report: TransferReport, node: str | None = None) -> None:
        super().__init__(message, node=node)
        self.report: TransferReport = report

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (self.message, self.report, self.node)

    @classmethod
    def of(cls, report: TransferReport, source: Place, target: Place) -> StorageTransferError:
        """The error for a report with failures.

        The cause is the first of them, so that what people look for there is found.
        """
        first = report.failures[0]
        found = cls(
            f"{source}: {report.failed} of {report.copied + report.failed} files were not copied to "
            f"{target}, the first because: {first.error}",
            report=report,
            node=str(source),
        )
        found.__cause__ = first.error
        return found


def _rebuilt(message: str, report: TransferReport, node: str | None) -> StorageTransferError:
    return StorageTransferError(message, report=report, node=node)

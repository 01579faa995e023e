"""Carrying out a plan that was read from a file: what came after it was made is not replaced."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..exceptions import StorageExistsError
from ..paths import join
from .actions import CopyFile
from .execute import Done, Transfer
from .place import Place
from .rules import UNCOMPARED

if TYPE_CHECKING:
    from ..mount import Mount
    from .actions import Action
    from .compare import Comparison
    from .rules import Decide
    from .terms import Terms

__all__ = ["transfer_of"]


def transfer_of(
    source: Place, target: Place, *, terms: Terms, settle: Decide, comparison: Comparison
) -> Transfer:
    """What carries single actions out on these terms."""
    kind = _PlannedTransfer if terms.as_planned else Transfer
    return kind(source, target, terms=terms, settle=settle, comparison=comparison)


class _PlannedTransfer(Transfer):
    """Believes the plan that a destination is missing only as far as it still is.

    Not where nobody looked at it (``skip="never"``), nor where the path is the content. The rest
    of a ``Transfer`` knows only terms that hold for all files, so that such a file gets another.
    """

    def __init__(
        self,
        source: Place,
        target: Place,
        *,
        terms: Terms,
        settle: Decide | None = None,
        comparison: Comparison | None = None,
    ) -> None:
        super().__init__(source, target, terms=terms, settle=settle, comparison=comparison)
        self._careful = Transfer(
            source,
            target,
            terms=replace(terms, if_absent=True),
            settle=settle,
            comparison=comparison,
        )
        self._careful._stopping = self._stopping

    def attempt(self, action: Action) -> Done:
        """As ``Transfer.attempt``; ``StorageExistsError`` where a file came meanwhile."""
        if (
            not isinstance(action, CopyFile)
            or action.target is not None
            or action.reason == UNCOMPARED
            or self.target.mount.capabilities.path_is_content
        ):
            return super().attempt(action)
        self._careful.listener = self.listener
        done = self._careful.attempt(action)
        if not isinstance(done.error, StorageExistsError):
            return done
        label = self.target.mount.label(join(self.target.path, action.relpath))
        error = StorageExistsError(
            f"{label}: came after the plan was made, and was not replaced; make the plan again",
            node=label,
        )
        error.__cause__ = done.error
        return done._replace(error=error)

    def to(self, mount: Mount) -> Transfer:
        """The same into the same path of another mount."""
        twin = _PlannedTransfer(
            self.source,
            Place(mount, self.target.path),
            terms=self.terms,
            settle=self._settle,
            comparison=self._comparison,
        )
        twin.listener = self.listener
        twin._stopping = twin._careful._stopping = self._stopping
        return twin

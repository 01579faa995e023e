"""Two import-linter contracts that list what is allowed, so that nothing new slips through.

The contract types that import-linter ships refuse to name a module that does not exist (yet);
these two apply from the day on which the module is there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from importlinter import Contract, ContractCheck, fields, output

if TYPE_CHECKING:
    from grimp import ImportGraph


def _inside(module: str, packages: list[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


class OnlyImportsContract(Contract):
    """``modules`` import nothing of ``package`` but each other and ``may_import``."""

    type_name = "only_imports"

    # import-linter replaces these descriptors by the configured values.
    package: Any = fields.StringField()
    modules: Any = fields.ListField(subfield=fields.StringField())
    may_import: Any = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:  # noqa: ARG002
        """Collect every direct import that is not on the list."""
        pure = {f"{self.package}.{name}" for name in self.modules}
        allowed = pure | {f"{self.package}.{name}" for name in self.may_import}
        illegal = [
            f"{module} imports {imported}"
            for module in sorted(pure & set(graph.modules))
            for imported in sorted(graph.find_modules_directly_imported_by(module) - allowed)
            if _inside(imported, [self.package])
        ]
        return ContractCheck(kept=not illegal, metadata={"illegal": illegal})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Name each import and what would have been allowed."""
        for line in check.metadata["illegal"]:
            output.print_error(f"{line}; allowed: {', '.join(self.may_import)}")


class OnlyImportersContract(Contract):
    """``modules`` (with what is inside them) are imported only by themselves and ``importers``."""

    type_name = "only_importers"

    modules: Any = fields.ListField(subfield=fields.StringField())
    importers: Any = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:  # noqa: ARG002
        """Collect every direct import by a module that is not on the list."""
        illegal = [
            f"{importer} imports {module}"
            for module in sorted(graph.modules)
            if _inside(module, self.modules)
            for importer in sorted(graph.find_modules_that_directly_import(module))
            if not _inside(importer, [*self.modules, *self.importers])
        ]
        return ContractCheck(kept=not illegal, metadata={"illegal": illegal})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Name each import and who would have been allowed."""
        for line in check.metadata["illegal"]:
            output.print_error(f"{line}; allowed importers: {', '.join(self.importers)}")

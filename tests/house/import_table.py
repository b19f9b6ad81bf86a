"""The contract type `table` of import-linter: who may import whom, line by line, and nothing else.

Each line of `allowed` reads `IMPORTER: IMPORTED IMPORTED ...` with packages or modules right below the root packages,
or root packages themselves; `everyone` names what all lines may import as well. Only direct imports count. A package
that has no line is an error, so a new one is entered before it is used; a line may name what does not exist yet.
"""

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class TableContract(Contract):
    """Of our own packages, what a line does not list is forbidden."""

    everyone = fields.ListField(subfield=fields.StringField(), required=False)
    only = fields.ListField(subfield=fields.StringField(), required=False)
    allowed = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        table = self._table()
        forbidden: dict[tuple[str, str], list[str]] = {}
        unlisted: set[str] = set()
        for importer in sorted(graph.modules):
            part = _part(importer, table)
            if part is None:
                unlisted.add(importer)
                continue
            for imported in sorted(graph.find_modules_directly_imported_by(importer)):
                target = _part(imported, table) or imported
                if imported == "daemon":  # the version
                    continue
                if target != part and not any(f"{target}.".startswith(f"{name}.") for name in table[part]):
                    details = graph.get_import_details(importer=importer, imported=imported)
                    lines = ", ".join(str(detail["line_number"]) for detail in details)
                    forbidden.setdefault((part, target), []).append(f"{importer} -> {imported} (line {lines})")
        return ContractCheck(
            kept=not forbidden and not unlisted, metadata={"forbidden": forbidden, "unlisted": sorted(unlisted)}
        )

    def render_broken_contract(self, check: ContractCheck) -> None:
        for module in check.metadata["unlisted"]:
            output.print_error(f"{module} has no line in the table of who may import whom")
        for (part, target), imports in check.metadata["forbidden"].items():
            output.print_error(f"{part} may not import {target}:")
            for found in imports:
                output.print_error(f"  {found}")
            output.new_line()

    def _table(self) -> dict[str, set[str]]:
        """What each part may import; `only` are the parts that `everyone` does not hold for."""
        table: dict[str, set[str]] = {}
        for line in self.allowed:
            part, _, imported = str(line).partition(":")
            table[part] = {*imported.split(), *(() if part in (self.only or ()) else self.everyone or ())}
        return table


def _part(module: str, table: dict[str, set[str]]) -> str | None:
    """The line that holds for a module: of its nearest package that has one, the root package `daemon` apart."""
    while module not in table:
        module, _, _ = module.rpartition(".")
        if module in ("", "daemon"):
            return None
    return module

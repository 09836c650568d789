"""The text of `leadscore audit`."""

import io
import tomllib
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from commands.terminal.audit import audit_summary, audit_table
from crm.project import Project, load_project
from features.leaks.audit import AttributeAudit, Audit
from features.leaks.check import Finding, Verdict
from features.leaks.cost import CostOfLeavingOut


def project(folder: Path, columns: str = "") -> Project:
    (folder / "leadscore.toml").write_text(
        'project.name = "acme"\nleads = {source = "leads.csv", outcome = "won"}\n'
        f"learn = {{won = [true], lost = [false]}}\n[columns]\n{columns}"
    )
    return load_project(folder)


def audited(*names: str, verdict: Verdict = Verdict.FINE, found: bool = False) -> Audit:
    findings = (Finding("LS104", Verdict.LEAK, "It ranks."),) if found else ()
    line = None if verdict is Verdict.FINE else "known_later = []"
    return Audit(tuple(AttributeAudit(name, verdict, findings, line) for name in names))


def test_audit_without_leaks_says_so(tmp_path: Path) -> None:
    acme = project(tmp_path)
    assert list(audit_summary(audited("a"), {}, acme)) == ["No leaks found in 1 column."]
    assert list(audit_summary(audited("a", "b"), {}, acme)) == ["No leaks found in 2 columns."]


def test_vouched_columns_are_named_as_an_exception(tmp_path: Path) -> None:
    lines = list(audit_summary(audited("a", "b", found=True), {}, project(tmp_path)))
    assert lines == ["No leaks found in 2 columns, except 2 in known_in_time."]


def test_columns_that_were_not_audited_are_counted_by_reason(tmp_path: Path) -> None:
    acme = project(tmp_path)
    unaudited = {"known_later": ["a", "b"], "ignore": ["c"]}
    assert next(audit_summary(audited("d"), unaudited, acme)) == (
        "3 columns were not audited, because [columns] of leadscore.toml keeps them out of the "
        "model: 2 in known_later, 1 in ignore."
    )
    assert next(audit_summary(audited("d"), {"known_later": ["a"]}, acme)) == (
        "1 column was not audited, because [columns] of leadscore.toml keeps it out of the "
        "model: 1 in known_later."
    )


def test_several_suspects_are_one_list_that_keeps_the_old_entries(tmp_path: Path) -> None:
    acme = project(tmp_path, 'known_later = ["old"]')
    lines = list(audit_summary(audited("a", 'b "c"', verdict=Verdict.SUSPECT), {}, acme))
    (line,) = [line for line in lines if line.startswith("  ")]
    assert tomllib.loads(line) == {"known_later": ["old", "a", 'b "c"']}


def test_cost_of_a_suspect_stands_next_to_its_evidence_with_a_warning(tmp_path: Path) -> None:
    cost = CostOfLeavingOut(1848, True, 0.871, 0.858, 0.412, 0.431)
    audit = audited("a", verdict=Verdict.SUSPECT, found=True)
    with_cost = Audit(tuple(replace(attribute, cost=cost) for attribute in audit.attributes))
    console = Console(width=200, file=io.StringIO(), record=True)
    console.print(audit_table(with_cost))
    assert (
        "Leaving it out costs: ROC AUC 0.871 → 0.858, log loss 0.412 → 0.431 on the newest 1,848 "
        "leads." in console.export_text()
    )
    warning = "A leak looks useful as well"
    assert any(warning in line for line in audit_summary(with_cost, {}, project(tmp_path)))
    assert not any(warning in line for line in audit_summary(audit, {}, project(tmp_path)))

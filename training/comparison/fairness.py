"""Checks whether today's records can compare versions fairly."""

from crm.project import Project
from crm.records import Records
from models.card import question_in_words, question_of, same_question
from models.scorer import LeadScorer
from training.comparison.held_out import Contender


def unfair_reasons(contender: Contender, records: Records, project: Project) -> list[str]:
    """Return why today's records cannot evaluate a version fairly, and what to do.

    Parameters
    ----------
    contender : Contender
    records : Records
        Today's records.
    project : Project

    Returns
    -------
    list of str
        One or more sentences for each reason; empty if the records can evaluate it fairly.
    """
    reasons = []
    version, scorer = contender.version, contender.scorer
    predicted, wanted = scorer.card.question, question_of(project, records.has_times)
    if not same_question(predicted, wanted):
        reasons.append(
            f"Version {version} predicts {question_in_words(predicted)}, but the project file now "
            f"asks for {question_in_words(wanted)}. Restore [learn], or compare versions that were "
            "trained with the new [learn]."
        )
    if not contender.recognises_leads(records):
        reasons.append(
            f"The leads have no id, only row numbers, and version {version} learned from another "
            "table than today's, so the leads it has seen cannot be recognised. Name [leads] "
            "lead_id and train again. Without ids, versions can be compared only on the table "
            "that they learned from."
        )
    missing = missing_inputs(scorer, records)
    if missing:
        reasons.append(
            f"Version {version} learned from {', '.join(missing)}, which today's records lack, so "
            "it would be evaluated without inputs that it needs. Add them to the export again. If "
            "models must do without them, keep them in the export and name them in [columns] "
            "ignore. If they are gone for good, overrule the gates with `--force` and a reason."
        )
    return reasons


def missing_inputs(scorer: LeadScorer, records: Records) -> list[str]:
    """Return the columns and tables that a model reads and that are absent or empty today."""
    leads = records.leads
    columns = [
        f"`{column}`"
        for column in scorer.pipeline.columns
        if column not in leads.columns or leads[column].isna().all()
    ]
    tables = dict.fromkeys(feature.table for feature in scorer.pipeline.features)
    return columns + [f"the table {name}" for name in tables if getattr(records, name) is None]

"""Measures how often the attributes of leads are missing or unseen, for the model card."""

from datetime import datetime
from typing import Final

import numpy as np
import pandas as pd

from crm.arrays import Ints
from crm.cells import read_column
from crm.records import Records
from crm.times import NOT_A_TIME, microseconds
from features.attributes.target import TargetAttribute
from features.moments import Moments
from features.pipeline import FeaturePipeline
from features.times import cell_time
from models.attribute_changes import AttributeShare, attribute_changes
from models.attribute_counts import AttributeTallier

NEWEST_SHARE: Final = 0.1  # of the leads, which are compared with the older ones


def learned_shares(
    pipeline: FeaturePipeline, records: Records, moments: Moments
) -> list[AttributeShare]:
    """Return the shares of the leads of some moments, each as of its last moment."""
    last = np.full(len(records.leads), NOT_A_TIME)
    np.maximum.at(last, moments.lead, moments.as_of)
    rows = np.unique(moments.lead)
    return attribute_shares(pipeline, records.leads.iloc[rows], last[rows])


def attribute_shares(
    pipeline: FeaturePipeline, leads: pd.DataFrame, as_of: int | Ints
) -> list[AttributeShare]:
    """Return the shares of missing and unseen values among some leads, column by column.

    Parameters
    ----------
    pipeline : FeaturePipeline
    leads : DataFrame, n rows
    as_of : int, or ndarray of int64, shape (n,)
        Microseconds since 1970 UTC. Later dates count as missing.
    """
    tallier = AttributeTallier(pipeline)
    tally = tallier.tally(pipeline.matrix(leads, as_of=as_of), tallier.cells_to_read(leads))
    unseen = {
        column: count / tally.n
        for column, count in zip(tallier.columns, tally.unseen.tolist(), strict=True)
    }
    for attribute in pipeline.attributes:
        if isinstance(attribute, TargetAttribute):
            words = pd.Series(read_column(leads[attribute.column], attribute.word, object))
            n_once = int((words[words != ""].value_counts() == 1).sum())
            unseen[attribute.column] = max(unseen[attribute.column], n_once / tally.n)
    return [
        AttributeShare(column, tally.n, count / tally.n, unseen[column])
        for column, count in zip(tallier.columns, tally.missing.tolist(), strict=True)
    ]


def newest_lead_notes(pipeline: FeaturePipeline, records: Records, now: datetime) -> list[str]:
    """Return a sentence for each column that the newest leads lack, or that has new values.

    The newest tenth of the leads by creation is compared with the older leads, mature or not. So a
    column that is no longer exported shows before its leads are old enough to learn from.
    """
    if not records.has_times:
        return []
    created = microseconds(records.leads["created_at"])
    order = np.argsort(created, kind="stable")
    n_newest = int(NEWEST_SHARE * len(order))
    if n_newest == 0:
        return []
    older, newest = np.sort(order[:-n_newest]), np.sort(order[-n_newest:])
    as_of = cell_time(now)
    tallier = AttributeTallier(pipeline)
    newest_leads = records.leads.iloc[newest]
    matrix = pipeline.matrix(newest_leads, as_of=as_of)
    tally = tallier.tally(matrix, tallier.cells_to_read(newest_leads))
    shares = attribute_shares(pipeline, records.leads.iloc[older], as_of)
    first = pd.Timestamp(int(created[newest].min()), unit="us").date().isoformat()
    return [
        change.sentence(f"the newest {n_newest:,} leads, created since {first}", "the older leads")
        for change in attribute_changes(tallier.columns, tally, shares)
    ]

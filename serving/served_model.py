"""The model that answers, with values that are computed from it once."""

from collections.abc import Set
from dataclasses import dataclass
from functools import cached_property

from crm.outcomes import meanings
from models.artifact import SHOWN_DIGITS
from models.scorer import LeadScorer
from models.worklist import NeutralOrders
from serving.payloads.answers import ModelIdentity
from serving.payloads.flat_lead import names_by_identifier


@dataclass(frozen=True)
class ServedModel:
    """The model that answers.

    Attributes
    ----------
    scorer : LeadScorer
    version : str
        The registry's version, as callers see it.
    digest : str
        The digest of the model's files.
    """

    scorer: LeadScorer
    version: str
    digest: str

    @cached_property
    def known_columns(self) -> Set[str]:
        """The CRM's names of the columns that the model knows, in the model's order."""
        pipeline = self.scorer.pipeline
        left_out = [entry.column for entry in pipeline.left_out]
        return dict.fromkeys([*pipeline.columns, *left_out, *self.scorer.roles.values()]).keys()

    @cached_property
    def names_by_identifier(self) -> dict[str, str]:
        """The CRM's names of columns, by the names that a flow can write."""
        return names_by_identifier(self.known_columns)

    @cached_property
    def neutral_orders(self) -> NeutralOrders:
        """The orders of leads in the control group."""
        return NeutralOrders.of_model(self.scorer.card, self.scorer.scale)

    @cached_property
    def outcome_words(self) -> dict[str, str]:
        """The meaning of each outcome value; empty if the card does not list all of them."""
        label = self.scorer.card.question
        if not {"lost", "open"} <= label.keys():
            return {}
        return meanings(label["won"], label["lost"], label["open"])

    @cached_property
    def identity(self) -> ModelIdentity:
        """The model's identity, as the body of every answer contains it."""
        card = self.scorer.card
        return ModelIdentity(card.name, self.version, self.short_digest, bool(card.simulated))

    @property
    def short_digest(self) -> str:
        """The first digits of the digest."""
        return self.digest[:SHOWN_DIGITS]

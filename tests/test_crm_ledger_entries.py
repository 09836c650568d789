import pytest

from crm.ledger.entries import Batch, LeadOverview, NewestEvents, SentLead
from tests.made_calls import shadow_of
from tests.test_crm_ledger import CALL, ENTRY, score_of

SENT = SentLead("L1", None, {})


def test_length_of_a_batch_counts_the_rows_of_all_tables() -> None:
    scores = [score_of("L1", number) for number in range(5)]
    shadows = [shadow_of(score, "d2") for score in scores[:4]]
    batch = Batch(scores, [(SENT, 0)] * 3, [CALL] * 2, [ENTRY], shadow_scores=shadows)
    assert len(batch) == 5 + 4 + 3 + 2 + 1


@pytest.mark.parametrize(
    ("sent", "counts", "is_empty"),
    [
        (None, (0, 0, 0), True),
        (SENT, (0, 0, 0), False),
        (None, (1, 0, 0), False),
        (None, (0, 1, 0), False),
        (None, (0, 0, 1), False),
    ],
)
def test_overview_is_empty_without_any_row(
    sent: SentLead | None, counts: tuple[int, int, int], is_empty: bool
) -> None:
    events = [NewestEvents(count, ()) for count in counts]
    assert LeadOverview(sent, *events).is_empty is is_empty

"""The question about leads of several pipelines, in a draft."""

from pathlib import Path

import numpy as np
import pytest

from tests.made_drafts import choose, draft_of, flat_leads, without_line_breaks

N_LEADS = 400
NUMBERS = np.arange(N_LEADS)


@pytest.mark.parametrize(
    ("column", "leads", "customers"),
    [
        ("Pipeline", "New Business", "Renewal"),
        ("Deal - Pipeline", "Neugeschäft", "Vertragsverlängerung"),
        ("Record Type", "Sales", "Support"),
        ("Opportunity Type", "New Business", "Existing Business"),
        ("Type d'opportunité", "Nouveau client", "Renouvellement"),
        ("パイプライン", "新規", "更新"),
    ],
)
def test_renewals_among_the_leads_are_asked_about(
    tmp_path: Path, column: str, leads: str, customers: str
) -> None:
    kinds = choose(NUMBERS % 5 == 0, customers, leads)
    text = without_line_breaks(draft_of(tmp_path, flat_leads(**{column: kinds})).text)
    counted = f'"{leads}" (320 rows, 25% won), "{customers}" (80 rows, 25% won)'
    assert f'CHECK: "{column}" has several kinds of business: {counted}' in text
    assert f'If "{customers}" is not about leads' in text


@pytest.mark.parametrize(
    ("column", "first", "second"),
    [
        ("Pipeline", "North", "South"),
        ("Type", "Company", "Person"),
        ("Source", "Renewal", "Web"),
        ("Pipeline", "Renewal", "Renewal"),
    ],
)
def test_kinds_of_leads_are_not_asked_about(
    tmp_path: Path, column: str, first: str, second: str
) -> None:
    kinds = choose(NUMBERS % 5 == 0, first, second)
    assert "kinds of business" not in draft_of(tmp_path, flat_leads(**{column: kinds})).text


def test_pipelines_with_clearly_different_shares_of_wins_are_asked_about(tmp_path: Path) -> None:
    kinds = choose((NUMBERS % 4 == 0) | (NUMBERS % 8 == 1), "B2B", "B2C")
    text = without_line_breaks(draft_of(tmp_path, flat_leads(Pipeline=kinds)).text)
    assert '"B2C" (250 rows, 0% won), "B2B" (150 rows, 67% won).' in text
    assert "If one of them is not about leads, leave it out of the export." in text

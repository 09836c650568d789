"""Tests of leads that reached the best grade: which ones are told, when, and how."""

import datetime
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from crm.ledger.entries import Batch, GivenScore
from crm.ledger.ledger import Ledger
from crm.ledger.risen import newest_number, risen_leads
from crm.project import Project
from features.times import cell_time
from notifying.best_grade import GradeLook, look_for_best_grade
from notifying.lead_names import lead_name
from notifying.notify import notify
from notifying.outbox import Outbox
from tests.made_ledgers import new_database
from tests.made_notifications import NOW, notifying_project
from tests.made_receivers import Receiver, receiver
from tests.test_notifying_messages import code_block

HERE = Path(__file__).resolve().parent.parent
MINUTE = datetime.timedelta(minutes=1)
GRADES = {"A": 71, "B": 58, "D": 20}
NONE = GradeLook(0, 0, None)
_numbers = iter(range(10**9))


def given(lead_id: str, grade: str, at: datetime.datetime = NOW, **changes: Any) -> GivenScore:
    """Return a score that was given at a time."""
    made: dict[str, Any] = {
        "lead_id": lead_id,
        "score_id": f"s{next(_numbers)}",
        "as_of": cell_time(at),
        "probability": 0.5,
        "score": GRADES[grade],
        "grade": grade,
        "model": "acme",
        "version": "3",
        "digest": "d3",
        "reasons": [],
        "request_id": "r",
        "recorded_at": cell_time(at),
        "lane": "treated",
        "start": 50.0,
        "points": {"demo": GRADES[grade] - 50.0},
    }
    return GivenScore(**made | changes)


class Watched:
    """A project with a ledger, a webhook and a clock."""

    def __init__(self, project: Project, ledger: Ledger, hook: Receiver) -> None:
        self.project, self.ledger, self.hook, self.now = project, ledger, hook, NOW

    def give(self, *scores: GivenScore) -> None:
        for score in scores:
            self.ledger.add_batch(Batch(scores=[score]), 0)

    def look(self, minutes: float = 1) -> GradeLook:
        """Look after some minutes."""
        self.now += minutes * MINUTE
        with Outbox(self.project.folder / "notifications.db") as outbox:
            return look_for_best_grade(self.project, self.ledger, outbox, self.now)

    def told(self, minutes: float = 1) -> list[str]:
        """Look, deliver, and return the leads that were told."""
        n_before = len(self.hook.received)
        look = self.look(minutes)
        notify(self.project, [], self.now)
        leads = [
            lead["lead"] for body in self.hook.bodies[n_before:] for lead in body["data"]["leads"]
        ]
        assert look.n_leads == len(leads)
        return leads


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    with receiver() as hook, Ledger("sqlite:///ledger.db", tmp_path) as ledger:
        project = notifying_project(tmp_path, monkeypatch, webhook=hook)
        yield Watched(project, ledger, hook)


def test_first_look_tells_nothing_of_the_past(watched: Watched) -> None:
    watched.give(given("L1", "A"))
    assert watched.look() == NONE
    assert watched.told() == []
    watched.give(given("L1", "A"))
    assert watched.told() == []


def test_risen_and_new_leads_are_told_once(watched: Watched) -> None:
    watched.give(given("L1", "B"), given("L2", "A"), given("L3", "B"))
    watched.look()
    watched.give(given("L1", "A"), given("L2", "A"), given("L3", "D"), given("L4", "A"))
    assert watched.told() == ["L1", "L4"]
    assert watched.told() == []
    watched.give(given("L1", "A"), given("L4", "A"))
    assert watched.told() == []


def test_newest_score_counts(watched: Watched) -> None:
    watched.look()
    watched.give(given("L1", "A"), given("L1", "B"), given("L2", "D"), given("L2", "A"))
    assert watched.told() == ["L2"]


def test_dip_between_two_looks_is_not_told(watched: Watched) -> None:
    watched.give(given("L1", "A"))
    watched.look()
    watched.give(given("L1", "B"), given("L1", "A"))
    assert watched.told(minutes=60) == []


@pytest.mark.parametrize("minutes", [1, 60])
def test_lead_that_fell_and_rose_again_is_told_again(watched: Watched, minutes: int) -> None:
    watched.look()
    watched.give(given("L1", "A"))
    assert watched.told(minutes) == ["L1"]
    watched.give(given("L1", "B"))
    told = [watched.told(minutes) for _ in range(7)]
    watched.give(given("L1", "A"))
    assert [*told, watched.told(minutes)] == [[]] * 7 + [["L1"]]


def test_scores_that_are_committed_late_are_found(watched: Watched) -> None:
    watched.look()
    watched.give(given("L1", "A"), given("L2", "A"), given("L3", "B"))
    engine = watched.ledger.database.engine
    with engine.begin() as connection:  # the numbers are given before the commit
        (row,) = connection.exec_driver_sql("SELECT * FROM scores WHERE lead_id = 'L1'").fetchall()
        connection.exec_driver_sql("DELETE FROM scores WHERE lead_id = 'L1'")
    assert watched.told() == ["L2"]
    marks = ", ".join("?" * len(row))
    with engine.begin() as connection:
        connection.exec_driver_sql(f"INSERT INTO scores VALUES ({marks})", tuple(row))
    assert watched.told() == ["L1"]
    assert watched.told() == []


def test_forms_of_an_id_are_one_lead(watched: Watched) -> None:
    watched.give(given("00Q5g000001AbCDEA0", "A"))
    watched.look()
    watched.give(given("00Q5g000001AbCD", "A"), given("7", "A"), given("7.0", "A"))
    assert watched.told() == ["7.0"]


def test_scores_of_past_moments_do_not_count(watched: Watched) -> None:
    watched.look()
    past = cell_time(NOW - datetime.timedelta(days=1, seconds=1))
    watched.give(given("L1", "A", as_of=past), given("L2", "A", as_of=past + 10**6))
    watched.give(given("L3", "B"))
    assert watched.told() == ["L2"]
    watched.give(given("L3", "A"), given("L3", "B", as_of=past))
    assert watched.told() == ["L3"]


def test_control_group_is_counted_and_not_told(watched: Watched) -> None:
    watched.look()
    watched.give(given("L1", "A", lane="control"), given("L2", "A", lane=None), given("L3", "A"))
    look = watched.look()
    assert (look.n_leads, look.n_control) == (2, 1)
    assert watched.look() == GradeLook(0, 0, NOW + 2 * MINUTE)
    notify(watched.project, [], NOW)
    (body,) = watched.hook.bodies
    assert [lead["lead"] for lead in body["data"]["leads"]] == ["L2", "L3"]


def test_replaced_ledger_begins_anew(watched: Watched, tmp_path: Path) -> None:
    watched.give(given("L1", "B"), given("L2", "B"))
    watched.look()
    watched.ledger.close()
    for path in tmp_path.glob("ledger.db*"):
        path.unlink()
    with Ledger("sqlite:///ledger.db", tmp_path) as watched.ledger:
        watched.give(given("L3", "A"))
        assert watched.look() == NONE
        watched.give(given("L4", "A"))
        assert watched.told() == ["L4"]


def test_message_names_the_first_ten_leads_and_counts_all(watched: Watched) -> None:
    watched.look()
    watched.give(*(given(f"L{number}", "A", score=65 + number % 30) for number in range(60)))
    assert watched.look().n_leads == 60
    notify(watched.project, [], NOW)
    (body,) = watched.hook.bodies
    assert body["title"] == "60 leads reached grade A since 09:31 UTC"
    lines = body["text"].splitlines()
    assert lines[0] == "L29: score 94 (first score); demo +21"
    assert lines[10:] == ["… and 50 more leads."]
    assert len(body["data"]["leads"]) == 50
    assert body["data"]["count"] == 60
    scores = [lead["score"] for lead in body["data"]["leads"]]
    assert scores == sorted(scores, reverse=True)
    jsonschema.validate(body, json.loads(code_block("json", '"$schema"')))
    assert len(watched.hook.received[0].body) < 20_000


def test_ten_leads_are_all_shown(watched: Watched) -> None:
    watched.look()
    watched.give(*(given(f"L{number}", "A") for number in range(10)))
    watched.look()
    notify(watched.project, [], NOW)
    (body,) = watched.hook.bodies
    assert len(body["text"].splitlines()) == 10
    assert "more lead" not in body["text"]


def test_message_explains_the_change(watched: Watched) -> None:
    before = {"demo": 2.0, "age of the lead": 1.0, "ada@acme.com": -3.0}
    after = {"demo": 14.0, "age of the lead": -2.0, "ada@acme.com": 6.25, "small": 0.2}
    watched.give(given("L1", "B", points=before), given("L2", "B", digest="d2", version="2"))
    watched.look()
    watched.give(given("L1", "A", points=after), given("L2", "A"), given("L4", "A", points=None))
    watched.look(minutes=24 * 60)
    notify(watched.project, [], NOW)
    (body,) = watched.hook.bodies
    assert body["title"] == "3 leads reached grade A since 02 Mar, 09:31 UTC"
    assert body["text"].splitlines() == [
        "L1: score 71 (before: 58, B); demo +12, (e-mail address) +9, age of the lead -3",
        "L2: score 71 (before: 58, B); the new model +13",
        "L4: score 71 (first score)",
    ]
    first, second, third = body["data"]["leads"]
    assert first == {
        "lead": "L1",
        "is_hash": False,
        "score": 71,
        "grade": "A",
        "version": "3",
        "as_of": "2026-03-02T09:30:00+00:00",
        "before": {
            "score": 58, "grade": "B", "version": "3", "as_of": "2026-03-02T09:30:00+00:00",
        },
        "changes": [
            {"signal": "demo", "points": 12.0},
            {"signal": "(e-mail address)", "points": 9.25},
            {"signal": "age of the lead", "points": -3.0},
            {"signal": "small", "points": 0.2},
        ],
    }  # fmt: skip
    assert second["changes"] == [{"signal": "the new model", "points": 13.0}]
    assert (third["before"], third["changes"]) == (None, [])
    jsonschema.validate(body, json.loads(code_block("json", '"$schema"')))


HOSTILE = [
    "ada@acme.com", "ADA@ACME.COM ", "mailto:ada@acme.com", "+49 30 1234567", "0049301234567",
    "030/1234567", "(415) 555-1000", "4155551000", "415-555-1000", "491511234567", "L 4155551000",
    "lead-4155551000", "tel:4155551000", "Ada Lovelace", "ada", "ada.lovelace", "ada1990",
    "L12ada", "Lovelace 1", "٠٣٠١٢٣٤٥٦٧", "00301234567", "004930123456789", "１２３４５６７８",
    "DE812345678", "", " ", "<!channel>", "7\n8", "1.5",
]  # fmt: skip
HARMLESS = [
    "1", "42", "123456", "000123456", "42.0", "L1", "L-0001", "LD000042", "lead_17", "Deal 9",
    "00Q5g000001AbCD", "00Q5g000001AbCDEA0", "7d2c1e0a-5b1f-4c7a-9a3e-0c1d2e3f4a5b",
    "{7D2C1E0A-5B1F-4C7A-9A3E-0C1D2E3F4A5B}", "507f1f77bcf86cd799439011", "0" * 32,
]  # fmt: skip


def test_only_ids_that_cannot_be_personal_are_sent() -> None:
    key = bytes(range(32))
    assert [lead_id for lead_id in HOSTILE if not lead_name(lead_id, key)[1]] == []
    assert [lead_name(lead_id, key) for lead_id in HARMLESS] == [(i, False) for i in HARMLESS]
    hashes = {lead_name(lead_id, key)[0] for lead_id in HOSTILE}
    assert all(len(name) == 17 and name[0] == "#" for name in hashes)
    assert lead_name("ada@acme.com", key) == lead_name("ADA@acme.com", key)
    assert lead_name("ada@acme.com", key) != lead_name("ada@acme.com", bytes(32))


def test_long_numbers_are_ids_if_the_project_says_so() -> None:
    key = bytes(32)
    sent = [lead_id for lead_id in HOSTILE if not lead_name(lead_id, key, True)[1]]
    assert sent == [
        "0049301234567", "4155551000", "491511234567", "L 4155551000", "lead-4155551000",
        "00301234567", "004930123456789", "DE812345678",
    ]  # fmt: skip


def test_hostile_records_leak_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = ["Ada Lovelace", "ada@acme.com", "+49 30 1234567", "Acme Ltd", "12 Main Street"]
    with (
        receiver() as hook,
        receiver() as slack,
        receiver(202) as teams,
        Ledger("sqlite:///ledger.db", tmp_path) as ledger,
    ):
        project = notifying_project(tmp_path, monkeypatch, webhook=hook, slack=slack, teams=teams)
        watched = Watched(project, ledger, hook)
        watched.look()
        watched.give(
            *(
                given(
                    lead_id,
                    "A",
                    reasons=[{"text": " ".join(values), "points": 9.0}],
                    request_id="ada@acme.com",
                    points={"ada@acme.com": 9.0, "activity: call +49 30 1234567": 8.0},
                    warnings=[{"code": "unseen", "column": "Ada Lovelace"}],
                )
                for lead_id in HOSTILE
                if lead_id
            )
        )
        watched.look()
        delivery = notify(project, [], NOW)
    assert delivery.sent == {"webhook": 1, "slack": 1, "teams": 1}
    for server in (hook, slack, teams):
        text = json.dumps(server.bodies[0], ensure_ascii=False)
        for personal in [*values, *(i.strip() for i in HOSTILE if len(i.strip()) > 4)]:
            assert personal not in text
        assert "(e-mail address) +9" in text or '"(e-mail address)", "points": 9.0' in text


def test_two_processes_tell_each_lead_once(watched: Watched, tmp_path: Path) -> None:
    watched.look()
    watched.give(*(given(f"L{number}", "A") for number in range(40)))
    command = [sys.executable, "-m", "leadscore", "notify", "--json", "-p", str(tmp_path)]
    processes = [
        subprocess.Popen(command, cwd=HERE, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    facts = [json.loads(process.communicate(timeout=120)[0]) for process in processes]
    assert sorted(fact["leads"] for fact in facts) == [0, 40]
    assert [len(body["data"]["leads"]) for body in watched.hook.bodies] == [40]
    assert [fact["problems"] for fact in facts] == [[], []]


def test_leads_are_found_again_if_the_outbox_could_not_store_them(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.look()
    watched.give(given("L1", "A"))
    with monkeypatch.context() as patched:

        def fail(*_: object) -> bool:
            raise OSError("full")

        patched.setattr(Outbox, "_add", fail)
        with pytest.raises(Exception, match="cannot be used"):
            watched.look()
    assert watched.told() == ["L1"]


def test_leads_are_found_in_postgresql(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiver() as hook, Ledger(new_database(postgres_url)) as ledger:
        project = notifying_project(tmp_path, monkeypatch, webhook=hook)
        watched = Watched(project, ledger, hook)
        watched.give(given("L1", "B"), given("L2", "A"))
        watched.look()
        watched.give(given("L1", "A"), given("L2", "A"), given("L3", "A"), given("L4", "B"))
        assert watched.told() == ["L1", "L3"]
        assert watched.told() == []


def test_many_scores_are_read_in_pieces(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crm.ledger.risen.ROWS_AT_ONCE", 3)
    monkeypatch.setattr("crm.ledger.risen.FORMS_AT_ONCE", 2)
    watched.give(*(given(f"L{number}", "B") for number in range(5)))
    before = newest_number(watched.ledger.database)
    watched.give(*(given(f"L{number}", "A") for number in range(9)))
    newest = newest_number(watched.ledger.database)
    risen = risen_leads(watched.ledger.database, "A", before, newest)
    assert [lead.score.lead_id for lead in risen] == [f"L{number}" for number in range(9)]
    assert [lead.before.grade if lead.before else None for lead in risen] == ["B"] * 5 + [None] * 4
    assert [lead.number for lead in risen] == list(range(before + 1, newest + 1))
    fewer = risen_leads(watched.ledger.database, "A", before, newest - 1)
    assert len(fewer) == 8

"""Tests of notifications against real receivers: each event once, and nothing lost."""

import datetime
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from crm.errors import SourceError
from notifying.delivery import Delivery
from notifying.event import check_event, check_id
from notifying.messages import Message
from notifying.notify import draft_of, notify, send_test
from notifying.outbox import Outbox, message_id
from tests.made_notifications import NOW, SECRET, event, notifying_project, set_variables
from tests.made_receivers import CLOSE, HANG, Receiver, Reply, receiver

HERE = Path(__file__).resolve().parent.parent
DAY = datetime.timedelta(days=1)
# Notifies of events with the numbers of its arguments, and prints what was delivered.
SENDER = """
import sys
from crm.project import load_project
from notifying.notify import notify
from tests.made_notifications import NOW, event
numbers = [int(number) for number in sys.argv[2].split(",")]
print(notify(load_project(sys.argv[1]), [event(number) for number in numbers], NOW))
"""


def ids(server: Receiver) -> list[str]:
    return [received.id for received in server.received]


def sender(folder: Path, numbers: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", SENDER, str(folder / "leadscore.toml"), numbers],
        cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_event_reaches_each_target_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with receiver() as hook, receiver() as slack, receiver(202) as teams:
        project = notifying_project(tmp_path, monkeypatch, webhook=hook, slack=slack, teams=teams)
        first = notify(project, [event(1), event(2)], NOW)
        second = notify(project, [event(2), event(1)], NOW + DAY)
    assert first == Delivery({"webhook": 2, "slack": 2, "teams": 2}, {}, ())
    assert second == Delivery()
    assert [len(server.received) for server in (hook, slack, teams)] == [2, 2, 2]
    assert [body["data"]["version"] for body in hook.bodies] == ["1", "2"]
    assert len(set(ids(hook))) == 2


def test_project_without_targets_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = notifying_project(tmp_path, monkeypatch)
    assert notify(project, [event()], NOW) == Delivery()
    assert [path.name for path in tmp_path.iterdir()] == ["leadscore.toml"]


def test_other_kinds_are_not_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with receiver() as hook:
        project = notifying_project(tmp_path, monkeypatch, 'on = ["check"]', webhook=hook)
        notify(project, [event(), check_event("LM201", "Are chances true?", "3", NOW, {})], NOW)
    assert [body["type"] for body in hook.bodies] == ["check"]


def test_what_was_not_delivered_is_delivered_by_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiver(404, 200) as hook, receiver() as slack:
        project = notifying_project(tmp_path, monkeypatch, webhook=hook, slack=slack)
        first = notify(project, [event(1), event(2)], NOW)
        second = notify(project, [event(3)], NOW)
    assert (first.sent, first.waiting) == ({"slack": 2}, {"webhook": 2})
    assert first.problems == (
        "webhook (localhost): it answered 404. What waits is sent by the next run.",
    )
    assert second == Delivery({"webhook": 3, "slack": 1}, {}, ())
    assert [body["data"]["version"] for body in hook.bodies] == ["1", "1", "2", "3"]
    assert ids(hook)[0] == ids(hook)[1]
    assert len(slack.received) == 3


def test_dead_target_does_not_keep_others_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiver(HANG) as hook, receiver() as slack:
        project = notifying_project(tmp_path, monkeypatch, webhook=hook, slack=slack)
        delivery = notify(project, [event()], NOW, seconds=0.5)
    assert (delivery.sent, delivery.waiting) == ({"slack": 1}, {"webhook": 1})
    assert "did not answer" in delivery.problems[0]


def test_refused_message_is_not_sent_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with receiver(Reply(400, body=b"invalid_blocks"), 200) as slack:
        project = notifying_project(tmp_path, monkeypatch, slack=slack)
        first = notify(project, [event(1), event(2)], NOW)
        second = notify(project, [event(1)], NOW)
    assert (first.sent, first.waiting) == ({"slack": 1}, {})
    assert first.problems == (
        "slack (localhost) does not accept a message (promoted): it answered 400: invalid_blocks. "
        "It is not sent again.",
    )
    assert second == Delivery()


def test_rate_limit_pauses_a_target_until_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiver(Reply(429, {"Retry-After": "600"}), 200) as slack:
        project = notifying_project(tmp_path, monkeypatch, slack=slack)
        first = notify(project, [event(1), event(2)], NOW)
        early = notify(project, [], NOW + datetime.timedelta(seconds=599))
        late = notify(project, [], NOW + datetime.timedelta(seconds=600))
    assert (first.sent, first.waiting, len(first.problems)) == ({}, {"slack": 2}, 1)
    assert early == Delivery({}, {"slack": 2}, ())
    assert late == Delivery({"slack": 2}, {}, ())
    assert len(slack.received) == 3


def test_failures_within_a_run_are_tried_again_with_the_same_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiver(CLOSE, Reply(503, {"Retry-After": "0"}), 200) as hook:
        project = notifying_project(tmp_path, monkeypatch, webhook=hook)
        assert notify(project, [event()], NOW).sent == {"webhook": 1}
    assert len(ids(hook)) == 3
    assert len(set(ids(hook))) == 1


def test_messages_are_given_up_after_a_week(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiver(404) as hook:
        project = notifying_project(tmp_path, monkeypatch, webhook=hook)
        notify(project, [event()], NOW)
        week = 7 * DAY
        assert notify(project, [], NOW + week).waiting == {"webhook": 1}
        late = notify(project, [], NOW + week + datetime.timedelta(seconds=1))
    assert late == Delivery(
        {}, {}, ("webhook: 1 message not delivered within 7 days was given up.",)
    )
    with Outbox(tmp_path / "notifications.db") as outbox:
        assert outbox.count_waiting() == {}


def test_check_is_told_again_after_it_was_fine_or_after_30_days(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiver() as hook:
        project = notifying_project(tmp_path, monkeypatch, webhook=hook)

        def look(day: int, says_act: bool, version: str = "3") -> int:
            at = NOW + day * DAY
            events = [check_event("LM201", "Are chances true?", version, at, {})]
            settled = [] if says_act else [check_id("LM201", version)]
            return sum(
                notify(project, events if says_act else [], at, settled=settled).sent.values()
            )

        told = [look(0, True), look(1, True), look(29, True), look(30, True), look(31, True)]
        told += [look(32, False), look(33, True), look(34, True), look(34, True, version="4")]
    assert told == [1, 0, 0, 1, 0, 0, 1, 0, 1]
    assert len(set(ids(hook))) == 4


@pytest.mark.parametrize(
    ("variable", "key", "of", "other"),
    [("SLACK_URL", "slack", "slack", "webhook"), ("HOOK_SECRET", "secret", "webhook", "slack")],
)
def test_missing_variable_is_named_and_the_others_are_told(
    variable: str,
    key: str,
    of: str,
    other: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with receiver() as hook, receiver() as slack:
        project = notifying_project(tmp_path, monkeypatch, webhook=hook, slack=slack)
        value = os.environ[variable]
        monkeypatch.delenv(variable)
        first = notify(project, [event()], NOW)
        monkeypatch.setenv(variable, value)
        second = notify(project, [], NOW)
    assert (first.sent, first.waiting) == ({other: 1}, {of: 1})
    assert first.problems == (
        f"leadscore.toml: `{key}` in [notify]: The project file uses ${{{variable}}}, which is not "
        "set. Set the variable.",
    )
    assert second == Delivery({of: 1}, {}, ())


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("SLACK_URL", "http://example.com/SECRET", "`slack` in [notify]: The address is not enc"),
        ("SLACK_URL", "SECRET", "`slack` in [notify]: The address is not valid."),
        ("HOOK_SECRET", "SECRET!", "`secret` in [notify]: The secret is not in Base64."),
        ("HOOK_SECRET", "whsec_U0VDUkVU", "`secret` in [notify]: The secret has 6 bytes."),
        ("HOOK_SECRET", " ", "`secret` in [notify]: The secret is empty."),
    ],
)  # fmt: skip
def test_problems_with_variables_do_not_contain_them(
    name: str, value: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiver() as hook, receiver() as slack:
        project = notifying_project(tmp_path, monkeypatch, webhook=hook, slack=slack)
        monkeypatch.setenv(name, value)
        delivery = notify(project, [event()], NOW)
    assert len(delivery.problems) == 1
    assert problem in delivery.problems[0]
    assert value.strip() not in delivery.problems[0] or not value.strip()
    assert sum(delivery.sent.values()) == 1


def test_two_processes_send_each_event_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiver() as hook, receiver() as slack:
        notifying_project(tmp_path, monkeypatch, webhook=hook, slack=slack)
        numbers = ",".join(map(str, range(12)))
        processes = [sender(tmp_path, numbers) for _ in range(2)]
        for process in processes:
            _, errors = process.communicate(timeout=120)
            assert (process.returncode, errors) == (0, "")
    assert Counter(ids(hook)).most_common(1)[0][1] == 1
    assert (len(hook.received), len(slack.received)) == (12, 12)


@pytest.mark.parametrize("is_answered", [True, False])
def test_kill_before_bookkeeping_repeats_one_message_with_its_id(
    is_answered: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[int] = []

    def kill(_: object) -> int | str:
        os.kill(process.pid, signal.SIGKILL)
        process.wait(60)
        killed.append(process.pid)
        return 200 if is_answered else CLOSE

    with receiver(200, kill, 200) as hook:
        project = notifying_project(tmp_path, monkeypatch, webhook=hook)
        process = sender(tmp_path, "1,2,3")
        process.communicate(timeout=120)
        assert process.returncode == -signal.SIGKILL
        assert len(hook.received) == 2
        delivery = notify(project, [event(1), event(2), event(3)], NOW)
    assert len(killed) == 1
    assert delivery == Delivery({"webhook": 2}, {}, ())
    assert [body["data"]["version"] for body in hook.bodies] == ["1", "2", "2", "3"]
    assert ids(hook)[1] == ids(hook)[2]


def full(connect: Callable[..., sqlite3.Connection]) -> Callable[..., sqlite3.Connection]:
    """Return a function that opens databases which cannot grow."""

    def opened(*arguments: object, **named: object) -> sqlite3.Connection:
        connection = connect(*arguments, **named)
        if arguments[0] != ":memory:":
            connection.execute("PRAGMA max_page_count = 1")
        return connection

    return opened


def test_full_outbox_sends_events_once_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiver() as hook:
        project = notifying_project(tmp_path, monkeypatch, webhook=hook)
        big = event(1, text="x" * 9_000)
        notify(project, [], NOW)
        monkeypatch.setattr(sqlite3, "connect", full(sqlite3.connect))
        first = notify(project, [big], NOW)
        monkeypatch.undo()
        set_variables(monkeypatch, webhook=hook)
        second = notify(project, [big], NOW)
    assert first.sent == {"webhook": 1}
    assert first.problems == (
        f"{tmp_path}/notifications.db, which keeps notifications, cannot be used: "
        "database or disk is full.",
    )
    assert second.sent == {"webhook": 1}  # nothing could be remembered, so the id is the same
    assert len(set(ids(hook))) == 1


FULL_DISK = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
"""


def test_full_disk_sends_nothing_twice_from_the_outbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiver(404, 200) as hook:
        project = notifying_project(tmp_path, monkeypatch, webhook=hook)
        notify(project, [event(1)], NOW)
        code = FULL_DISK + SENDER.replace("[event(number) for number in numbers]", "[]")
        result = subprocess.run(
            [sys.executable, "-B", "-c", code, str(tmp_path / "leadscore.toml"), "0"],
            cwd=HERE, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
        assert "which keeps notifications, cannot be used" in result.stdout
        assert len(hook.received) == 1
        assert notify(project, [], NOW) == Delivery({"webhook": 1}, {}, ())
    assert len(hook.received) == 2


@pytest.mark.parametrize("content", [b"not a database, but long enough to look like one" * 9, None])
def test_outbox_that_cannot_be_used_is_a_warning(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiver(404) as hook, receiver() as slack:
        more = 'outbox = "state/notifications.db"'
        project = notifying_project(tmp_path, monkeypatch, more, webhook=hook, slack=slack)
        if content is not None:
            (tmp_path / "state").mkdir()
            (tmp_path / "state" / "notifications.db").write_bytes(content)
        delivery = notify(project, [event()], NOW)
    assert (delivery.sent, delivery.waiting) == ({"slack": 1}, {})
    assert (
        "state/notifications.db, which keeps notifications, cannot be used" in delivery.problems[0]
    )
    assert delivery.problems[-1] == (
        "webhook: 1 of these notifications could not be kept, and are lost."
    )
    assert len(delivery.problems) == 3


def test_outbox_of_a_later_version_is_not_used(tmp_path: Path) -> None:
    with Outbox(tmp_path / "n.db"):
        pass
    connection = sqlite3.connect(tmp_path / "n.db")
    connection.execute("PRAGMA user_version = 9")
    connection.close()
    with pytest.raises(SourceError, match="was written by another version of leadscore"):
        Outbox(tmp_path / "n.db")


def test_outbox_is_private_and_forgets_what_was_delivered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiver() as hook:
        project = notifying_project(tmp_path, monkeypatch, webhook=hook)
        notify(project, [event()], NOW)
    path = tmp_path / "notifications.db"
    assert path.stat().st_mode & 0o777 == 0o600
    connection = sqlite3.connect(path)
    counts = [
        connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        for table in ("messages", "waiting", "told")
    ]
    connection.close()
    assert counts == [0, 0, 1]


def test_ids_are_forgotten_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with receiver() as hook:
        project = notifying_project(tmp_path, monkeypatch, webhook=hook)
        told = [
            sum(notify(project, [event()], NOW + day * DAY).sent.values())
            for day in (0, 400, 402, 403)
        ]
    assert told == [1, 0, 0, 1]


def test_test_messages_say_what_came_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        receiver(Reply(200, body=b"ok")) as slack,
        receiver(Reply(403, body=b"no SECRET-PART-OF-PATH")) as hook,
    ):
        project = notifying_project(tmp_path, monkeypatch, webhook=hook, slack=slack)
        answers, problems = send_test(project, NOW)
    said = {target.name: (answer.result, answer.said) for target, answer in answers.items()}
    assert said == {
        "webhook": ("wrong address", "it answered 403: no …"),
        "slack": ("delivered", "it answered 200: ok"),
    }
    assert problems == []
    assert hook.bodies[0]["type"] == "test"
    assert [path.name for path in tmp_path.iterdir()] == ["leadscore.toml"]


def test_secrets_are_in_no_file_and_no_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    with receiver(404) as hook, receiver(500) as slack:
        project = notifying_project(tmp_path, monkeypatch, webhook=hook, slack=slack)
        delivery = notify(project, [event()], NOW, seconds=0.5)
    shown = f"{delivery} {project!r} {project.notify} {caplog.text} {project.text}"
    for path in tmp_path.iterdir():
        shown += path.read_bytes().decode("latin-1")
    assert "notifications.db" in [path.name for path in tmp_path.iterdir()]
    for secret in ("SECRET-PART-OF-PATH", SECRET, SECRET.removeprefix("whsec_")):
        assert secret not in shown


def test_message_ids_differ_between_projects_and_have_no_full_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = notifying_project(tmp_path, monkeypatch)
    message = draft_of(project, event()).message
    assert message.id.startswith("evt_")
    assert "." not in message.id
    assert message.id != message_id("promoted 1", NOW.isoformat())
    assert Message.decoded(message.encoded()) == message
    assert json.loads(message.encoded())["timestamp"] == "2026-03-02T09:30:00+00:00"

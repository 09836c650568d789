"""Writes a simulated B2B CRM with known probabilities, for the demo, tests and benchmarks.

Nothing in it is real: no company, no person, no result. `crm.simulation.drawing` draws every table
from the effects in `crm.simulation.effects`, so a model can be compared with the true probability.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal

import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from crm.errors import ConfigError
from crm.files import whole_files
from crm.simulation.drawing import chunks
from crm.simulation.world import HORIZON_DAYS, Simulation

_MARK = "SIMULATED by leadscore: no company, person or result in this folder is real."
_TABLES = ("leads", "activities", "stages", "outcomes", "truth")


def simulate(
    settings: Simulation,
    folder: Path,
    *,
    file_format: Literal["csv", "parquet"] = "csv",
    on_chunk: Callable[[int, int], None] | None = None,
) -> dict[str, Path]:
    """Write a simulated CRM: five tables, a README.txt and a leadscore.toml.

    Tables are drawn and written some thousand leads at a time, so any number of leads needs
    little memory. The files appear in `folder` when all are complete; after an error the old
    files are still there. All times come from the settings, never from the machine's clock.

    Parameters
    ----------
    settings : Simulation
        What to simulate.
    folder : Path
        The folder to write to, created if it is absent. An earlier simulation is replaced.
    file_format : {"csv", "parquet"}
        Format of the tables.
    on_chunk : callable, optional
        Called as `on_chunk(n_done, n_leads)` after each chunk.

    Returns
    -------
    dict of str to Path
        The files of leads, activities, stages, outcomes and truth (`lead_id` and
        `true_probability`, the probability at creation of a win within 90 days).

    Raises
    ------
    ConfigError
        If the format is unknown, or `folder` contains files of these names that no
        simulation wrote.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = simulate(Simulation(leads=500), Path(folder))
    ...     header = files["truth"].read_text().splitlines()[0]
    >>> list(files), header
    (['leads', 'activities', 'stages', 'outcomes', 'truth'], 'lead_id,true_probability')
    """
    if file_format not in ("csv", "parquet"):
        raise ConfigError(
            f"`file_format` is {file_format!r}. Expected 'csv' or 'parquet'. Pass one."
        )
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file. Expected a folder. Choose another name.")
    files = {table: f"{table}.{file_format}" for table in _TABLES}
    # README.txt is moved first and the project file last. After a crash between them, the folder
    # is known as a simulation and can be written again.
    names = ["README.txt", *files.values(), "leadscore.toml"]
    former = _former_simulation(folder)
    foreign = [name for name in names if (folder / name).exists() and name not in former]
    if foreign:
        raise ConfigError(
            f"{folder} already contains {', '.join(foreign)}, not written by a simulation. "
            "Expected an empty folder or an earlier simulation. Choose another folder."
        )
    folder.mkdir(parents=True, exist_ok=True)
    with whole_files(folder, names) as made:
        paths = {table: made / name for table, name in files.items()}
        _write_tables(settings, paths, on_chunk or (lambda done, total: None))
        (made / "README.txt").write_text(_readme(settings, names), encoding="utf-8")
        project = _PROJECT.format(mark=_MARK, ext=file_format)
        (made / "leadscore.toml").write_text(project, encoding="utf-8")
    for name in former - set(names):
        (folder / name).unlink(missing_ok=True)
    return {table: folder / name for table, name in files.items()}


def _former_simulation(folder: Path) -> set[str]:
    """Return the names of the files that an earlier simulation wrote into a folder."""
    readme = folder / "README.txt"
    if not readme.is_file():
        return set()
    first, *lines = readme.read_text(encoding="utf-8", errors="replace").splitlines() or [""]
    if first != _MARK:
        return set()
    ours = {"README.txt", "leadscore.toml"}
    ours |= {f"{table}.{ending}" for table in _TABLES for ending in ("csv", "parquet")}
    return {name for name in ours if f"- {name}" in lines}


def _write_tables(
    settings: Simulation, paths: dict[str, Path], on_chunk: Callable[[int, int], None]
) -> None:
    with ExitStack() as stack:
        writers: dict[str, Any] = {}
        for done, chunk in chunks(settings):
            for table, path in paths.items():
                if table not in writers:
                    writers[table] = stack.enter_context(_writer(path, chunk[table].schema))
                writers[table].write_table(chunk[table])
            on_chunk(done, settings.leads)


def _writer(path: Path, schema: Any) -> Any:
    if path.suffix == ".parquet":
        return pq.ParquetWriter(path, schema)
    unquoted = pa_csv.WriteOptions(quoting_style="none", quoting_header="none")
    return pa_csv.CSVWriter(path, schema, write_options=unquoted)


def _readme(settings: Simulation, names: list[str]) -> str:
    values = {f.name: getattr(settings, f.name) for f in fields(settings)}
    values["drifts"] = ", ".join(map(str, settings.drifts))
    # The settings that change the world in other ways are listed if they are used.
    unused = {name for name in ("drifts", "seasonality", "surge_at") if not values[name]}
    chosen = "\n".join(f"  {name} = {values[name]}" for name in values if name not in unused)
    listed = "\n".join(f"- {name}" for name in names)
    return (
        f"{_MARK}\n\nA CRM export as of {settings.as_of:%Y-%m-%d %H:%M} UTC, drawn with:\n"
        f"{chosen}\n\n"
        "The truth table contains what no CRM knows: the probability, at a lead's creation, of\n"
        f"a win within {HORIZON_DAYS} days. It is for checking a model, never for training one.\n\n"
        f"Files:\n{listed}\n"
    )


_PROJECT = """\
# {mark}
# How leadscore reads this export: where each table is, and what its columns are.

[project]
name = "demo"
simulated = true

# One row per lead. Columns that are not named here are attributes.
[leads]
source = "leads.{ext}"
lead_id = "lead_id"
created_at = "created_at"

# What happened with leads, and when: mails opened, pages viewed, calls, meetings.
[activities]
source = "activities.{ext}"
lead_id = "lead_id"
type = "type"
occurred_at = "occurred_at"
activity_id = "activity_id"
content = "content"
channel = "channel"
value = "value"

# The stages of the funnel that each lead entered.
[stages]
source = "stages.{ext}"
lead_id = "lead_id"
stage = "stage"
entered_at = "entered_at"

# How leads ended. A lead without a row is still open.
[outcomes]
source = "outcomes.{ext}"
lead_id = "lead_id"
outcome = "outcome"
closed_at = "closed_at"
amount = "amount"
reason = "reason"

# What is learned: the chance of a win within 90 days, from leads as they were at these ages in
# days, so that old leads are scored well too. The newest fifth of the leads is the test set.
[learn]
won = ["won"]
lost = ["lost"]
horizon_days = 90
moments_days = [0, 7, 30]
test_share = 0.2
seed = 0

[columns]
# Texts that mean that nothing is known.
nothing = ["unknown", "-", "Select"]
# Personal data and names, which are not features.
ignore = ["email", "company_name"]
# Sales fills contract_type when a deal is won. A model that uses it would look perfect and be
# useless on new leads, where it is always empty. The simulation contains it to show this.
known_later = ["contract_type"]
# Not a feature; used to compare how the model treats groups of people.
sensitive = ["age_band"]

[report]
# The amounts of the wins and the budgets are in euros.
currency = "EUR"
"""

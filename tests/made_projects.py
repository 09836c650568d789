"""Made-up project files."""

FOUR_TABLES = """
[project]
name = "acme"
[leads]
source = "leads.csv"
lead_id = "Id"
created_at = "Created"
[activities]
source = "activities.csv"
[stages]
source = "stages.csv"
[outcomes]
source = "outcomes.csv"
"""
LEDGER_ALONE = """
[project]
name = "acme"
[leads]
source = "ledger"
lead_id = "Id"
created_at = "Created"
"""
LEDGER = """
[ledger]
url = "sqlite:///ledger.db"
"""
WON_AND_LOST = """
[learn]
won = ["won"]
lost = ["lost"]
"""

# One table: the outcome is a column of the leads.
ONE_TABLE = """
[project]
name = "acme"
[leads]
source = "leads.csv"
outcome = "won"
[learn]
won = ["yes"]
lost = ["no"]
[columns]
nothing = ["n/a"]
"""


def project_of_tables(*tables: str) -> str:
    """Return a project file of these tables beside the leads, with a horizon of 30 days."""
    sources = "".join(f'{table} = {{source = "{table}.csv"}}\n' for table in ("leads", *tables))
    learn = 'learn = {won = ["won"], lost = ["lost"], horizon_days = 30}\n'
    return f'project.name = "acme"\n{sources}{learn}'

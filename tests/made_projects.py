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

"""Calls the service through the generated client, and prints what it answered as JSON."""

import datetime
import json
import sys
import time

import leadscore_client as leadscore  # type: ignore[import-not-found]

url, key, lead_id = sys.argv[1:]
configuration = leadscore.Configuration(host=url, api_key={"apiKey": key})
at = datetime.datetime(2025, 2, 20, 9, 30, tzinfo=datetime.UTC)
attributes = {"budget_eur": 12345678.91, "crm_number": 3000000000}
with leadscore.ApiClient(configuration) as client:
    api = leadscore.LeadscoreApi(client)
    flat = api.score_lead(
        leadscore.FlatLead(lead_id=lead_id, created_at=at, budget_eur=12345678.91)
    )
    lead = leadscore.LeadPayload(lead_id=lead_id, created_at=at, attributes=attributes)
    scored = api.score_leads(leadscore.ScoreRequest(leads=[lead]))
    activity = leadscore.ActivityItem(
        lead_id=lead_id, activity_id="3000000000", type="call", occurred_at=at, value=12345678.91
    )
    activities = api.keep_activities(leadscore.ActivitiesRequest(activities=[activity]))
    outcome = leadscore.OutcomeItem(
        lead_id=lead_id, outcome_id="3000000000", outcome="won", closed_at=at, amount=12345678.91
    )
    outcomes = api.keep_outcomes(leadscore.OutcomesRequest(outcomes=[outcome]))
    stored = api.show_lead(leadscore.LeadRequest(lead_id=lead_id))
    for _ in range(50):
        if len(stored.history) == 2:
            break
        time.sleep(0.1)
        stored = api.show_lead(leadscore.LeadRequest(lead_id=lead_id))
    described = api.describe_model({})

kept = stored.outcomes[0]
seen = {
    "lead_id": scored.scores[0].lead_id,
    "score": scored.scores[0].score,
    "flat_score": flat.score,
    "model": flat.model,
    "card": described.model.name,
    "accepted": activities.accepted + outcomes.accepted,
    "outcome_id": kept.outcome_id,
    "amount": kept.amount,
    "closed_at": kept.closed_at.isoformat(),
    "budget": stored.attributes["budget_eur"],
    "number": stored.attributes["crm_number"],
    "last_score": stored.last_score.score,
}
print(json.dumps(seen))

// Calls the service through the generated client, and prints what it answered as JSON.
import { Configuration, LeadscoreApi } from "./src/index";

declare const process: { argv: string[] };

async function main(): Promise<void> {
  const [url, key, id] = process.argv.slice(2);
  const api = new LeadscoreApi(new Configuration({ basePath: url, apiKey: key }));
  const at = new Date("2025-02-20T09:30:00Z");

  const flat = await api.scoreLead({
    flatLead: { leadId: id, createdAt: at, budgetEur: 12345678.91 },
  });
  const attributes = { budget_eur: 12345678.91, crm_number: 3000000000 };
  const lead = { leadId: id, createdAt: at, attributes };
  const scored = await api.scoreLeads({ scoreRequest: { leads: [lead] } });
  const activity = { leadId: id, type: "call", occurredAt: at, activityId: "3000000000" };
  const activities = await api.keepActivities({
    activitiesRequest: { activities: [{ ...activity, value: 12345678.91 }] },
  });
  const outcome = { leadId: id, outcomeId: "3000000000", outcome: "won", closedAt: at };
  const outcomes = await api.keepOutcomes({
    outcomesRequest: { outcomes: [{ ...outcome, amount: 12345678.91 }] },
  });
  let stored = await api.showLead({ leadRequest: { leadId: id } });
  for (let i = 0; i < 50 && stored.history.length < 2; i++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    stored = await api.showLead({ leadRequest: { leadId: id } });
  }
  const described = await api.describeModel({ body: {} });

  const kept = stored.outcomes[0];
  const seen = {
    lead_id: scored.scores[0].leadId,
    score: scored.scores[0].score,
    flat_score: flat.score,
    model: flat.model,
    card: described.model.name,
    accepted: activities.accepted + outcomes.accepted,
    outcome_id: kept.outcomeId,
    amount: kept.amount,
    closed_at: kept.closedAt?.toISOString(),
    budget: stored.attributes?.budget_eur,
    number: stored.attributes?.crm_number,
    last_score: stored.lastScore?.score,
  };
  console.log(JSON.stringify(seen));
}

main();

// Calls the service through the generated client, and prints what it answered as JSON.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	leadscore "example.com/leadscore/client"
)

func must[T any](answer T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return answer
}

func main() {
	url, key, id := os.Args[1], os.Args[2], os.Args[3]
	configuration := leadscore.NewConfiguration()
	configuration.Servers = leadscore.ServerConfigurations{{URL: url}}
	configuration.AddDefaultHeader("X-API-Key", key)
	api := leadscore.NewAPIClient(configuration).LeadscoreAPI
	ctx := context.Background()
	at := must(time.Parse(time.RFC3339, "2025-02-20T09:30:00Z"))

	flatLead := leadscore.NewFlatLead()
	flatLead.SetLeadId(id)
	flatLead.SetCreatedAt(at)
	flatLead.SetBudgetEur(12345678.91)
	flat, _, err := api.ScoreLead(ctx).FlatLead(*flatLead).Execute()
	must(flat, err)

	lead := leadscore.NewLeadPayload()
	lead.SetLeadId(id)
	lead.SetCreatedAt(at)
	lead.SetAttributes(map[string]interface{}{
		"budget_eur": 12345678.91, "crm_number": int64(3000000000),
	})
	request := leadscore.NewScoreRequest([]leadscore.LeadPayload{*lead})
	scored, _, err := api.ScoreLeads(ctx).ScoreRequest(*request).Execute()
	must(scored, err)

	activity := leadscore.NewActivityItem(id, "call", at)
	activity.SetActivityId("3000000000")
	activity.SetValue(12345678.91)
	activities, _, err := api.KeepActivities(ctx).ActivitiesRequest(
		*leadscore.NewActivitiesRequest([]leadscore.ActivityItem{*activity})).Execute()
	must(activities, err)

	outcome := leadscore.NewOutcomeItem(id, "won")
	outcome.SetOutcomeId("3000000000")
	outcome.SetClosedAt(at)
	outcome.SetAmount(12345678.91)
	outcomes, _, err := api.KeepOutcomes(ctx).OutcomesRequest(
		*leadscore.NewOutcomesRequest([]leadscore.OutcomeItem{*outcome})).Execute()
	must(outcomes, err)

	stored, _, err := api.ShowLead(ctx).LeadRequest(*leadscore.NewLeadRequest(id)).Execute()
	must(stored, err)
	for i := 0; i < 50 && len(stored.History) < 2; i++ {
		time.Sleep(100 * time.Millisecond)
		stored, _, err = api.ShowLead(ctx).LeadRequest(*leadscore.NewLeadRequest(id)).Execute()
		must(stored, err)
	}
	described, _, err := api.DescribeModel(ctx).Body(map[string]interface{}{}).Execute()
	must(described, err)

	kept := stored.Outcomes[0]
	seen := map[string]interface{}{
		"lead_id":    scored.Scores[0].GetLeadId(),
		"score":      scored.Scores[0].GetScore(),
		"flat_score": flat.Score,
		"model":      flat.Model,
		"card":       described.Model.Name,
		"accepted":   activities.Accepted + outcomes.Accepted,
		"outcome_id": kept.OutcomeId,
		"amount":     kept.GetAmount(),
		"closed_at":  kept.GetClosedAt().UTC().Format(time.RFC3339),
		"budget":     stored.Attributes["budget_eur"],
		"number":     stored.Attributes["crm_number"],
		"last_score": stored.LastScore.Get().Score,
	}
	fmt.Println(string(must(json.Marshal(seen))))
}

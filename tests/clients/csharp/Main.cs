using System;
using System.Collections.Generic;
using System.Linq;
using System.Net.Http;
using System.Threading;
using Leadscore;
using Newtonsoft.Json;

/// <summary>Calls the service through the generated client, and prints what it answered.</summary>
public static class Program
{
    public static void Main(string[] arguments)
    {
        string url = arguments[0], key = arguments[1], id = arguments[2];
        var http = new HttpClient();
        http.DefaultRequestHeaders.Add("X-API-Key", key);
        var api = new LeadscoreClient(http) { BaseUrl = url };
        var at = DateTimeOffset.Parse("2025-02-20T09:30:00Z");

        var flatLead = new FlatLead { Lead_id = id, Created_at = at, Budget_eur = 12345678.91 };
        var flat = api.ScoreLeadAsync(flatLead).Result;
        var lead = new LeadPayload { Lead_id = id, Created_at = at };
        lead.Attributes = new Dictionary<string, object>
        {
            ["budget_eur"] = 12345678.91,
            ["crm_number"] = 3000000000,
        };
        var scored = api.ScoreLeadsAsync(new ScoreRequest { Leads = new[] { lead } }).Result;
        var activity = new ActivityItem
        {
            Lead_id = id,
            Activity_id = "3000000000",
            Type = "call",
            Occurred_at = at,
            Value = 12345678.91,
        };
        var activities = api.KeepActivitiesAsync(
            new ActivitiesRequest { Activities = new[] { activity } }
        ).Result;
        var outcome = new OutcomeItem
        {
            Lead_id = id,
            Outcome_id = "3000000000",
            Outcome = "won",
            Closed_at = at,
            Amount = 12345678.91,
        };
        var outcomes = api.KeepOutcomesAsync(
            new OutcomesRequest { Outcomes = new[] { outcome } }
        ).Result;
        var stored = api.ShowLeadAsync(new LeadRequest { Lead_id = id }).Result;
        for (int i = 0; i < 50 && stored.History.Count < 2; i++)
        {
            Thread.Sleep(100);
            stored = api.ShowLeadAsync(new LeadRequest { Lead_id = id }).Result;
        }

        var kept = stored.Outcomes.First();
        var seen = new Dictionary<string, object>
        {
            ["lead_id"] = scored.Scores.First().Lead_id,
            ["score"] = scored.Scores.First().Score,
            ["flat_score"] = flat.Score,
            ["model"] = flat.Model,
            ["card"] = api.DescribeModelAsync(new NoFields()).Result.Model.Name,
            ["accepted"] = activities.Accepted + outcomes.Accepted,
            ["outcome_id"] = kept.Outcome_id,
            ["amount"] = kept.Amount,
            ["closed_at"] = kept.Closed_at.Value.UtcDateTime.ToString("o"),
            ["budget"] = stored.Attributes["budget_eur"],
            ["number"] = stored.Attributes["crm_number"],
            ["last_score"] = stored.Last_score.Score,
        };
        Console.WriteLine(JsonConvert.SerializeObject(seen));
    }
}

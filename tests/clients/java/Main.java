import com.fasterxml.jackson.databind.ObjectMapper;
import java.time.OffsetDateTime;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.openapitools.client.ApiClient;
import org.openapitools.client.api.LeadscoreApi;
import org.openapitools.client.model.*;

/** Calls the service through the generated client, and prints what it answered as JSON. */
public class Main {
  public static void main(String[] arguments) throws Exception {
    String url = arguments[0], key = arguments[1], id = arguments[2];
    ApiClient client = new ApiClient();
    client.updateBaseUri(url);
    client.setRequestInterceptor(request -> request.header("X-API-Key", key));
    LeadscoreApi api = new LeadscoreApi(client);
    OffsetDateTime at = OffsetDateTime.parse("2025-02-20T09:30:00Z");

    FlatAnswer flat =
        api.scoreLead(new FlatLead().leadId(id).createdAt(at).budgetEur(12345678.91));
    LeadPayload lead = new LeadPayload().leadId(id).createdAt(at);
    lead.attributes(Map.of("budget_eur", 12345678.91, "crm_number", 3000000000L));
    ScoreAnswer scored = api.scoreLeads(new ScoreRequest().leads(List.of(lead)));
    ActivityItem activity = new ActivityItem().leadId(id).type("call").occurredAt(at);
    StoredAnswer activities =
        api.keepActivities(
            new ActivitiesRequest()
                .activities(List.of(activity.activityId("3000000000").value(12345678.91))));
    OutcomeItem outcome = new OutcomeItem().leadId(id).outcomeId("3000000000").outcome("won");
    StoredAnswer outcomes =
        api.keepOutcomes(
            new OutcomesRequest().outcomes(List.of(outcome.closedAt(at).amount(12345678.91))));
    LeadAnswer stored = api.showLead(new LeadRequest().leadId(id));
    for (int i = 0; i < 50 && stored.getHistory().size() < 2; i++) {
      Thread.sleep(100);
      stored = api.showLead(new LeadRequest().leadId(id));
    }

    Map<String, Object> seen = new LinkedHashMap<>();
    seen.put("lead_id", scored.getScores().get(0).getLeadId());
    seen.put("score", scored.getScores().get(0).getScore());
    seen.put("flat_score", flat.getScore());
    seen.put("model", flat.getModel());
    seen.put("card", api.describeModel(Map.of()).getModel().getName());
    seen.put("accepted", activities.getAccepted() + outcomes.getAccepted());
    seen.put("outcome_id", stored.getOutcomes().get(0).getOutcomeId());
    seen.put("amount", stored.getOutcomes().get(0).getAmount());
    seen.put("closed_at", stored.getOutcomes().get(0).getClosedAt().toInstant().toString());
    seen.put("budget", stored.getAttributes().get("budget_eur"));
    seen.put("number", stored.getAttributes().get("crm_number"));
    seen.put("last_score", stored.getLastScore().getScore());
    System.out.println(new ObjectMapper().writeValueAsString(seen));
  }
}

<?php
// Calls the service through the generated client, and prints what it answered as JSON.

require '/usr/share/php/GuzzleHttp/autoload.php';
spl_autoload_register(function (string $class): void {
    $file = __DIR__ . '/lib/' . str_replace(['Leadscore\\', '\\'], ['', '/'], $class) . '.php';
    if (is_file($file)) {
        require $file;
    }
});

use Leadscore\Model;

[, $url, $key, $id] = $argv;
$configuration = Leadscore\Configuration::getDefaultConfiguration();
$configuration->setHost($url)->setApiKey('X-API-Key', $key);
$api = new Leadscore\Api\LeadscoreApi(new GuzzleHttp\Client(), $configuration);
$at = new DateTime('2025-02-20T09:30:00Z');

$flat = $api->scoreLead(
    new Model\FlatLead(['lead_id' => $id, 'created_at' => $at, 'budget_eur' => 12345678.91])
);
$lead = new Model\LeadPayload(['lead_id' => $id, 'created_at' => $at]);
$lead->setAttributes(['budget_eur' => 12345678.91, 'crm_number' => 3000000000]);
$scored = $api->scoreLeads(new Model\ScoreRequest(['leads' => [$lead]]));
$activity = new Model\ActivityItem(['lead_id' => $id, 'activity_id' => '3000000000']);
$activity->setType('call')->setOccurredAt($at)->setValue(12345678.91);
$activities = $api->keepActivities(new Model\ActivitiesRequest(['activities' => [$activity]]));
$outcome = new Model\OutcomeItem(['lead_id' => $id, 'outcome_id' => '3000000000']);
$outcome->setOutcome('won')->setClosedAt($at)->setAmount(12345678.91);
$outcomes = $api->keepOutcomes(new Model\OutcomesRequest(['outcomes' => [$outcome]]));
$stored = $api->showLead(new Model\LeadRequest(['lead_id' => $id]));
for ($i = 0; $i < 50 && count($stored->getHistory()) < 2; $i++) {
    usleep(100000);
    $stored = $api->showLead(new Model\LeadRequest(['lead_id' => $id]));
}

$kept = $stored->getOutcomes()[0];
echo json_encode([
    'lead_id' => $scored->getScores()[0]->getLeadId(),
    'score' => $scored->getScores()[0]->getScore(),
    'flat_score' => $flat->getScore(),
    'model' => $flat->getModel(),
    'card' => $api->describeModel(new stdClass())->getModel()->getName(),
    'accepted' => $activities->getAccepted() + $outcomes->getAccepted(),
    'outcome_id' => $kept->getOutcomeId(),
    'amount' => $kept->getAmount(),
    'closed_at' => $kept->getClosedAt()->format(DATE_ATOM),
    'budget' => $stored->getAttributes()['budget_eur'],
    'number' => $stored->getAttributes()['crm_number'],
    'last_score' => $stored->getLastScore()->getScore(),
]), "\n";

//! What endpoints are sent. It depends on the alert alone, so that every attempt sends the same bytes.

use chrono::{DateTime, SecondsFormat, Utc};
use domain::TenantId;
use domain::alert_watch::WatchKind;
use policies::{Alert, ApprovalAlert, BudgetAlert, ConditionAlert};
use serde_json::{Value, json};
use uuid::Uuid;

/// The threshold in percent from which an alert is critical.
const CRITICAL_PERCENT: u16 = 100;

/// An alert with what all forms of it need.
pub(super) struct Message<'a> {
    /// The id of the delivery.
    pub(super) id: Uuid,
    pub(super) tenant: &'a TenantId,
    pub(super) alert: &'a Alert,
}

impl Message<'_> {
    /// One sentence that says what happened.
    pub(super) fn summary(&self) -> String {
        match self.alert {
            Alert::ThresholdCrossed(of) => {
                let BudgetAlert { budget, period, threshold_percent, used, limit, unit, .. } = of;
                format!("Budget {budget}: {used} of {limit} {unit} used in {period}, at least {threshold_percent} %")
            }
            Alert::ConditionRaised(of) => {
                let again = if of.number > 1 { format!(" (sent for the {}. time)", of.number) } else { String::new() };
                format!("Budget {}: {} in {}{again}", of.budget, condition(of), of.period)
            }
            Alert::ApprovalRequested(of) => {
                let ApprovalAlert { budget, amount, unit, .. } = of;
                let until = time(of.expires_at);
                format!("Budget {budget}: approve {amount} {unit} more for a call that it refused, until {until}?")
            }
            Alert::Test { .. } => "This is a test of an endpoint for alerts of Apex".to_owned(),
        }
    }

    fn at(&self) -> DateTime<Utc> {
        match self.alert {
            Alert::ThresholdCrossed(of) => of.at,
            Alert::ConditionRaised(of) => of.at,
            Alert::ApprovalRequested(of) => of.at,
            Alert::Test { at } => *at,
        }
    }

    fn timestamp(&self) -> String {
        self.at().to_rfc3339_opts(SecondsFormat::Micros, true)
    }

    /// The fields of the alert by name, without its type and time.
    fn data(&self) -> Value {
        let mut data = json!(self.alert);
        if let Some(members) = data.as_object_mut() {
            members.remove("type");
            members.remove("at");
            members.insert("tenant".to_owned(), json!(self.tenant));
        }
        data
    }

    /// The body by the Standard Webhooks specification.
    pub(super) fn webhook(&self) -> String {
        json!({ "type": json!(self.alert)["type"], "timestamp": self.timestamp(), "data": self.data() }).to_string()
    }

    /// The body of an incoming webhook of Slack.
    pub(super) fn slack(&self) -> String {
        // Characters that Slack gives a meaning.
        let text = self.summary().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        json!({ "text": text }).to_string()
    }

    /// The body of a workflow of Microsoft Teams: an adaptive card.
    pub(super) fn teams(&self) -> String {
        let facts: Vec<_> =
            self.facts().into_iter().map(|(title, value)| json!({ "title": title, "value": value })).collect();
        let card = json!({
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard",
            "version": "1.4",
            "body": [
                { "type": "TextBlock", "text": self.summary(), "wrap": true, "weight": "Bolder" },
                { "type": "FactSet", "facts": facts },
            ],
        });
        let content_type = "application/vnd.microsoft.card.adaptive";
        json!({ "type": "message", "attachments": [{ "contentType": content_type, "content": card }] }).to_string()
    }

    /// An event of the Events API (version 2) of PagerDuty. The id makes a second one of the same alert no second incident.
    pub(super) fn pager_duty(&self, routing_key: &str) -> String {
        let severity = match self.alert {
            Alert::ThresholdCrossed(of) if of.threshold_percent >= CRITICAL_PERCENT => "critical",
            Alert::ConditionRaised(of) if is_critical(of.condition) => "critical",
            Alert::ThresholdCrossed(_) | Alert::ConditionRaised(_) | Alert::ApprovalRequested(_) => "warning",
            Alert::Test { .. } => "info",
        };
        // PagerDuty takes up to 1024 characters.
        let summary: String = self.summary().chars().take(1024).collect();
        json!({
            "routing_key": routing_key,
            "event_action": "trigger",
            "dedup_key": self.id,
            "payload": {
                "summary": summary,
                "source": format!("apex/{}", self.tenant),
                "severity": severity,
                "timestamp": self.timestamp(),
                "custom_details": self.data(),
            },
        })
        .to_string()
    }

    /// The subject and the text of a mail.
    pub(super) fn mail(&self) -> (String, String) {
        let facts: String = self.facts().into_iter().map(|(title, value)| format!("{title}: {value}\n")).collect();
        (self.summary(), format!("{}.\n\n{facts}", self.summary()))
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let mut facts = vec![("Tenant", self.tenant.to_string()), ("Time", self.timestamp())];
        match self.alert {
            Alert::ThresholdCrossed(of) => facts.extend([
                ("Budget", format!("{} ({})", of.budget, of.budget_id)),
                ("Period", of.period.clone()),
                ("Threshold", format!("{} %", of.threshold_percent)),
                ("Used", format!("{} {}", of.used, of.unit)),
                ("Limit", format!("{} {}", of.limit, of.unit)),
            ]),
            Alert::ConditionRaised(of) => facts.extend([
                ("Budget", format!("{} ({})", of.budget, of.budget_id)),
                ("Period", of.period.clone()),
                ("Condition", of.condition.as_str().to_owned()),
                ("Observed", format!("{} {}", of.observed, of.unit)),
                ("Compared with", format!("{} {}", of.reference, of.unit)),
            ]),
            Alert::ApprovalRequested(of) => {
                let known = [
                    Some(("Budget", format!("{} ({})", of.budget, of.budget_id))),
                    Some(("Approval", of.approval_id.to_string())),
                    of.agent_id.map(|agent| ("Agent", agent.to_string())),
                    of.model.as_ref().map(|model| ("Model", model.to_string())),
                    Some(("Asked for", format!("{} {}", of.amount, of.unit))),
                    Some(("Answer by", time(of.expires_at))),
                ];
                facts.extend(known.into_iter().flatten());
            }
            Alert::Test { .. } => {}
        }
        facts.push(("Message", self.id.to_string()));
        facts
    }
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// What holds, in words.
fn condition(of: &ConditionAlert) -> String {
    let ConditionAlert { observed, reference, unit, .. } = of;
    match of.condition {
        WatchKind::Exhausted => format!("nothing is left, {observed} of {reference} {unit} charged and reserved"),
        WatchKind::BurnRateFast | WatchKind::BurnRateSlow => {
            format!("spent too fast, {observed} {unit} in a time that may have {reference}")
        }
        WatchKind::Forecast => format!("{observed} {unit} forecast for its end, the limit is {reference}"),
        WatchKind::Anomaly => format!("the last hour cost {observed} {unit}, at most {reference} expected"),
        WatchKind::Unpriced => format!("{observed} {unit} without a price"),
        WatchKind::Assumed => format!("{observed} {unit} assumed, as what was used is not known"),
        WatchKind::NoData => format!("nothing charged for {observed} {unit}"),
    }
}

/// Whether calls are refused, or soon will be.
fn is_critical(condition: WatchKind) -> bool {
    match condition {
        WatchKind::Exhausted | WatchKind::BurnRateFast => true,
        WatchKind::BurnRateSlow
        | WatchKind::Forecast
        | WatchKind::Anomaly
        | WatchKind::Unpriced
        | WatchKind::Assumed
        | WatchKind::NoData => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::BudgetId;

    fn alert(threshold_percent: u16) -> Alert {
        Alert::ThresholdCrossed(BudgetAlert {
            at: DateTime::from_timestamp(1_700_000_000, 0).unwrap(),
            budget_id: BudgetId(Uuid::from_u128(7)),
            budget: "R&D <all>".to_owned(),
            period: "2023-11".to_owned(),
            threshold_percent,
            used: "8.1".to_owned(),
            limit: "10".to_owned(),
            unit: "USD".to_owned(),
            terms_version: Some(1),
            position: 42,
        })
    }

    fn parsed(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_webhook_has_the_form_of_the_specification_and_the_same_bytes_each_time() {
        let (tenant, alert) = ("acme".parse().unwrap(), alert(80));
        let message = Message { id: Uuid::from_u128(1), tenant: &tenant, alert: &alert };
        assert_eq!(
            parsed(&message.webhook()),
            json!({
                "type": "budget.threshold_crossed",
                "timestamp": "2023-11-14T22:13:20.000000Z",
                "data": {
                    "tenant": "acme", "budget_id": "00000000-0000-0000-0000-000000000007", "budget": "R&D <all>",
                    "period": "2023-11", "threshold_percent": 80, "used": "8.1", "limit": "10", "unit": "USD",
                    "terms_version": 1, "position": 42,
                },
            })
        );
        assert_eq!(message.webhook(), message.webhook());
        let test = Alert::Test { at: DateTime::UNIX_EPOCH };
        let test = parsed(&Message { alert: &test, ..message }.webhook());
        assert_eq!((&test["type"], &test["data"]), (&json!("alert_endpoint.test"), &json!({ "tenant": "acme" })));
    }

    #[test]
    fn other_services_get_what_they_take() {
        let tenant = "acme".parse().unwrap();
        for (percent, severity) in [(80, "warning"), (100, "critical")] {
            let alert = alert(percent);
            let message = Message { id: Uuid::from_u128(1), tenant: &tenant, alert: &alert };
            let event = parsed(&message.pager_duty("tea"));
            assert_eq!(event["payload"]["severity"], severity);
            assert_eq!((&event["routing_key"], &event["event_action"]), (&json!("tea"), &json!("trigger")));
            assert_eq!(event["dedup_key"], "00000000-0000-0000-0000-000000000001");
            let text = parsed(&message.slack())["text"].as_str().unwrap().to_owned();
            assert!(text.starts_with("Budget R&amp;D &lt;all&gt;: 8.1 of 10 USD used in 2023-11"), "{text}");
            let card = parsed(&message.teams());
            assert_eq!(card["attachments"][0]["content"]["type"], "AdaptiveCard");
            let (subject, text) = message.mail();
            assert!(subject.contains("R&D <all>") && text.contains("Limit: 10 USD"), "{subject} {text}");
        }
    }

    #[test]
    fn a_request_for_approval_says_what_is_asked_for_and_until_when() {
        let at = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let alert = Alert::ApprovalRequested(ApprovalAlert {
            at,
            approval_id: Uuid::from_u128(9).into(),
            budget_id: BudgetId(Uuid::from_u128(7)),
            budget: "R&D".to_owned(),
            agent_id: None,
            model: domain::Name::new("m").ok(),
            amount: "4".to_owned(),
            unit: "USD".to_owned(),
            expires_at: at,
            position: 42,
        });
        let tenant: TenantId = "acme".parse().unwrap();
        let message = Message { id: Uuid::from_u128(1), tenant: &tenant, alert: &alert };
        let expected = "Budget R&D: approve 4 USD more for a call that it refused, until 2023-11-14T22:13:20Z?";
        assert_eq!(message.summary(), expected);
        let webhook = parsed(&message.webhook());
        assert_eq!(webhook["type"], "budget.approval_requested");
        assert_eq!(webhook["data"]["approval_id"], Uuid::from_u128(9).to_string());
        assert_eq!(parsed(&message.pager_duty("key"))["payload"]["severity"], "warning");
        let (_, text) = message.mail();
        assert!(text.contains("Asked for: 4 USD") && text.contains("Model: m") && !text.contains("Agent:"), "{text}");
    }

    #[test]
    fn a_condition_is_said_in_every_form() {
        let at = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let of = |condition: WatchKind, number| {
            Alert::ConditionRaised(ConditionAlert {
                at,
                budget_id: BudgetId(Uuid::from_u128(7)),
                budget: "R&D".to_owned(),
                period: "A/B".to_owned(),
                condition,
                number,
                observed: "31.5".to_owned(),
                reference: "20".to_owned(),
                unit: "USD".to_owned(),
                terms_version: 3,
                position: 42,
            })
        };
        let tenant: TenantId = "acme".parse().unwrap();
        for condition in WatchKind::ALL {
            let alert = of(condition, 1);
            let message = Message { id: Uuid::from_u128(1), tenant: &tenant, alert: &alert };
            let webhook = parsed(&message.webhook());
            assert_eq!(webhook["type"], "budget.condition_raised");
            assert_eq!(webhook["data"]["condition"], condition.as_str());
            assert!(
                message.summary().starts_with("Budget R&D: ") && message.summary().contains("31.5"),
                "{condition:?}"
            );
            let severity = parsed(&message.pager_duty("key"))["payload"]["severity"].clone();
            assert_eq!(severity == "critical", is_critical(condition), "{condition:?}");
            assert!(message.mail().1.contains(&format!("Condition: {}", condition.as_str())));
        }
        let again = of(WatchKind::Forecast, 3);
        let message = Message { id: Uuid::from_u128(1), tenant: &tenant, alert: &again };
        let expected = "Budget R&D: 31.5 USD forecast for its end, the limit is 20 in A/B (sent for the 3. time)";
        assert_eq!(message.summary(), expected);
    }
}

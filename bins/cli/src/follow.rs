//! Logs of actions, and waiting for a workflow's end.

use std::time::Duration;

use bootcode_api::OperatorClient;
use serde_json::Value;

use crate::{
    error::{CliError, say},
    show::{self, text},
};

/// Between two looks at a workflow that has not moved.
const PAUSE: Duration = Duration::from_millis(500);
const ENDED: [&str; 5] = ["Succeeded", "Failed", "TimedOut", "Cancelled", "Expired"];

/// Prints the logs of a workflow's actions, attempt by attempt.
pub(crate) async fn logs(
    client: &OperatorClient,
    workflow: &str,
    only: Option<&str>,
    follow: bool,
) -> Result<(), CliError> {
    let mut shown = Shown::default();
    loop {
        let status = status(client, workflow).await?;
        let actions = status["actions"].as_array().cloned().unwrap_or_default();
        if let Some(only) = only
            && !actions.iter().any(|action| text(&action["name"]) == only)
        {
            let known = actions.iter().map(|action| text(&action["name"])).collect::<Vec<_>>().join(", ");
            return Err(CliError::NoAction { workflow: workflow.to_owned(), action: only.to_owned(), known });
        }
        for action in &actions {
            let name = text(&action["name"]);
            if only.is_some_and(|only| only != name) {
                continue;
            }
            for attempt in 1..=action["attempt"].as_u64().unwrap_or(0) {
                shown.print(client, workflow, &name, u32::try_from(attempt).unwrap_or(u32::MAX)).await?;
            }
        }
        if !follow || ENDED.contains(&text(&status["state"]).as_str()) {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// How far each attempt's log was printed.
#[derive(Default)]
struct Shown {
    offsets: std::collections::HashMap<(String, u32), u64>,
    last: Option<(String, u32)>,
}

impl Shown {
    async fn print(
        &mut self,
        client: &OperatorClient,
        workflow: &str,
        action: &str,
        attempt: u32,
    ) -> Result<(), CliError> {
        let key = (action.to_owned(), attempt);
        loop {
            let from = self.offsets.get(&key).copied().unwrap_or(0);
            let page = client.action_log(workflow, action, attempt, from, false).await?;
            if page.bytes.is_empty() {
                return Ok(());
            }
            if self.last.as_ref() != Some(&key) {
                show::line(&format!("--- {action}, attempt {attempt}"))?;
                self.last = Some(key.clone());
            }
            show::bytes(&page.bytes)?;
            self.offsets.insert(key.clone(), page.next);
        }
    }
}

/// Waits for a workflow's end.
pub(crate) async fn wait(client: &OperatorClient, workflow: &str) -> Result<(), CliError> {
    let mut told = String::new();
    loop {
        let status = status(client, workflow).await?;
        let state = text(&status["state"]);
        // What is waited for, on the other stream: nobody should wait for a release that is theirs to give.
        let now = describe(workflow, &status);
        if now != told && !ENDED.contains(&state.as_str()) {
            say(&now);
            told = now;
        }
        if state == "Succeeded" {
            return show::line(&format!("{workflow} is Succeeded"));
        }
        if ENDED.contains(&state.as_str()) {
            let reason = text(&status["reason"]);
            return Err(CliError::NotSucceeded { workflow: workflow.to_owned(), state, reason });
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn describe(workflow: &str, status: &Value) -> String {
    let (state, reason) = (text(&status["state"]), text(&status["reason"]));
    let hint = if state == "Held" && !reason.contains("bootcode release") {
        format!("; `bootcode release {workflow}` lets it go on")
    } else {
        String::new()
    };
    let colon = if reason.is_empty() { "" } else { ": " };
    format!("{workflow} is {state}{colon}{reason}{hint}")
}

async fn status(client: &OperatorClient, workflow: &str) -> Result<Value, CliError> {
    let mut document = client.one("Workflow", workflow, false).await?;
    Ok(document["status"].take())
}

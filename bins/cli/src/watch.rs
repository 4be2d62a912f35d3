//! What changes of workflows and machines, as it happens.

use std::{io, time::Duration};

use bootcode_api::{
    ClientError, OperatorClient,
    routes::{Change, News},
};
use serde_json::json;

use crate::{
    arguments::Format,
    error::{CliError, say},
    show,
};

/// Between two tries to reach a server that went away.
const PAUSE: Duration = Duration::from_secs(1);

/// Prints changes as they come, over restarts of the server.
pub(crate) async fn watch(client: &OperatorClient, format: Format) -> Result<(), CliError> {
    // A server that is not there at the start is an error; afterwards it is waited for.
    let mut from = client.watch(None).await?.revision;
    say("watching; Ctrl-C ends it");
    let mut is_away = false;
    loop {
        let News { revision, missed, changes } = match client.watch(Some(from)).await {
            Ok(news) => news,
            Err(error) if may_come_back(&error) => {
                if !is_away {
                    say(&format!("{error}; trying again until it is back"));
                    is_away = true;
                }
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        if is_away {
            say("the server is back");
            is_away = false;
        }
        if missed {
            say(
                "some changes were missed: `bootcode get workflow` and `bootcode get hardware` show how it is now",
            );
        }
        for change in &changes {
            match format {
                Format::Table => show::line(&human(change))?,
                Format::Json => show::line(&json!(change).to_string())?,
                Format::Yaml => show::value(&json!([change]), Format::Yaml)?,
            }
        }
        from = revision;
    }
}

/// Whether a server that answered before may do so again.
fn may_come_back(error: &ClientError) -> bool {
    match error {
        ClientError::Connect { source, .. } => source.kind() != io::ErrorKind::PermissionDenied,
        ClientError::Broken { .. } => true,
        ClientError::Problem(problem) => problem.status() == 503,
        _ => false,
    }
}

/// `16:49:03  Workflow/install  ActionStarted     wipe #1 on node-1`.
fn human(change: &Change) -> String {
    let id = format!("{}/{}", change.kind, change.name);
    let line =
        format!("{}  {id:<24}  {:<17}  {}", change.at.strftime("%H:%M:%S"), change.change, change.detail);
    line.trim_end().to_owned()
}

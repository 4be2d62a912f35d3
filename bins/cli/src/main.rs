//! `bootcode`, the operator's command.

mod arguments;
mod connection;
mod describe;
mod diff;
mod documents;
mod error;
mod faults;
mod follow;
mod image;
mod preview;
mod render;
mod resolved;
mod show;
mod terminal;
mod timeline;
mod unknown;
mod watch;

use std::{io, process::ExitCode};

use arguments::{Arguments, Command, Format, Subject};
use bootcode_api::{OperatorClient, routes::Applied};
use bootcode_core::document::{Kind, Plan};
use clap::Parser as _;
use error::CliError;
use terminal::Form;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            // Help and version are no errors; all else is a wrong command line.
            return if error.use_stderr() { ExitCode::from(error::USAGE) } else { ExitCode::SUCCESS };
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(source) => return CliError::Runtime { source }.report(false),
    };
    let applies = matches!(arguments.command, Command::Apply { .. } | Command::Adopt { .. });
    let interruptible = async {
        tokio::select! {
            // The command first: what it reads before it asks a server, as standard input, the signal ends by itself.
            biased;
            ended = run(arguments) => ended,
            // Where no handler can be had, the signal ends the program by itself.
            Ok(()) = tokio::signal::ctrl_c() => Err(CliError::Interrupted),
        }
    };
    match runtime.block_on(interruptible) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(applies),
    }
}

async fn run(arguments: Arguments) -> Result<(), CliError> {
    let client = connection::client(&arguments)?;
    match arguments.command {
        Command::Diff { paths, format, exit_code } => {
            let files = documents::collect(&paths)?;
            let plan = documents::answered(client.diff(&files).await, &files)?;
            if plan == Plan::default() {
                return Err(CliError::NoDocuments);
            }
            faults::warn(&plan.warnings.0, &files);
            diff::show(&plan, format, Form::of(&io::stdout()))?;
            if exit_code && !plan.diff.is_empty() { Err(CliError::Differs) } else { Ok(()) }
        }
        Command::Apply { paths } => {
            let files = documents::collect(&paths)?;
            let applied = documents::answered(client.apply(&files).await, &files)?;
            if applied == Applied::default() {
                return Err(CliError::NoDocuments);
            }
            faults::warn(&applied.warnings.0, &files);
            show::applied(&applied)
        }
        Command::Validate { paths } => documents::validate(&paths),
        Command::Render { paths, workflow, format } => {
            render::render(&paths, workflow.as_deref(), format, Form::of(&io::stdout()))
        }
        Command::Schema => show::value(&bootcode_core::document::schema(), Format::Json),
        Command::Get { kind: Subject::Unknown, name, selector, format, .. } => {
            unknown::get(&client, name.as_deref(), selector.as_ref(), format).await
        }
        Command::Describe { kind: Subject::Unknown, name } => unknown::describe(&client, &name).await,
        Command::Adopt { mac, name, ip, profile, dry_run, format } => {
            unknown::adopt(&client, mac, &unknown::Wanted { name, ip, profile }, dry_run, format).await
        }
        Command::Describe { kind: Subject::Document(kind), name } => {
            describe::describe(&client, kind, &name).await
        }
        Command::Get { kind: Subject::Document(kind), name: Some(name), format, resolved, .. } => {
            let document = client.one(kind.name(), &name, resolved).await?;
            match format {
                format if resolved && kind == Kind::Hardware => resolved::show(document, format),
                Format::Table if kind == Kind::Workflow => describe::workflow_status(&document["status"]),
                Format::Table => show::table(kind, std::slice::from_ref(&document)),
                format => show::value(&document, format),
            }
        }
        Command::Get { kind: Subject::Document(kind), name: None, selector, format, .. } => {
            let mut items = client.list(kind.name()).await?.items;
            items.retain(|item| selector.as_ref().is_none_or(|selector| selector.fits(item)));
            match format {
                Format::Table => show::table(kind, &items),
                format => show::value(&items.into(), format),
            }
        }
        Command::PreviewBoot { client: asking, format } => {
            preview::preview(&client, asking, format, Form::of(&io::stdout())).await
        }
        Command::Image(command) => image::image(&client, command).await,
        Command::Delete { kind, name } => {
            client.delete(kind.name(), &name).await?;
            show::line(&format!("deleted {kind}/{name}"))
        }
        Command::Logs { workflow, action, follow } => {
            follow::logs(&client, &workflow, action.as_deref(), follow).await
        }
        Command::Timeline { hardware, follow, format } => {
            timeline::show(&client, &hardware, follow, format).await
        }
        Command::Watch { format } => watch::watch(&client, format).await,
        Command::Release { workflow } => command(&client, &workflow, "release").await,
        Command::Cancel { workflow } => command(&client, &workflow, "cancel").await,
        Command::Retry { workflow } => command(&client, &workflow, "retry").await,
        Command::Wait { workflow } => follow::wait(&client, &workflow).await,
    }
}

async fn command(client: &OperatorClient, workflow: &str, command: &str) -> Result<(), CliError> {
    let status = client.command(workflow, command).await?;
    let state = status.get("state").and_then(serde_json::Value::as_str).unwrap_or("unknown");
    show::line(&format!("{workflow} is {state}"))
}

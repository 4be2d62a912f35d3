//! `bootcode-worker`: claims actions from a server and runs them as containers on this machine.

mod args;
mod failure;
mod start;

use std::process::ExitCode;

use bootcode_worker::agent::Ending;
use clap::Parser as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{args::Args, failure::Failure};

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Where the message cannot be written there is nobody to read it.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(failure::USAGE) } else { ExitCode::SUCCESS };
        }
    };
    // Lines for a serial console: it has its own clock and no colours.
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false)
        .without_time()
        .with_max_level(if args.verbose { tracing::Level::DEBUG } else { tracing::Level::INFO })
        .init();
    match run(args) {
        Ok(Ending::Stopped) => ExitCode::SUCCESS,
        Ok(ending @ Ending::Restart) => {
            tracing::info!("{ending}");
            ExitCode::SUCCESS
        }
        Ok(ending) => {
            tracing::error!("{ending}");
            ExitCode::from(failure::NOPERM)
        }
        Err(failure) => {
            tracing::error!("{failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

#[tokio::main]
async fn run(args: Args) -> Result<Ending, Failure> {
    let stop = CancellationToken::new();
    let watcher = tokio::spawn(stop_on_signal(stop.clone())?);
    let ending = start::work(args, stop).await;
    watcher.abort();
    ending
}

/// Cancels at the first SIGTERM or SIGINT.
fn stop_on_signal(stop: CancellationToken) -> Result<impl Future<Output = ()>, Failure> {
    let fault = |source| Failure::Signals { source };
    let mut terminate = signal(SignalKind::terminate()).map_err(fault)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(fault)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        stop.cancel();
    })
}

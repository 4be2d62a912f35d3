//! `bootcode-server`: the command line, the log and the signals around [`bootcode_server::Server`].

use std::{path::PathBuf, process::ExitCode};

use bootcode_core::yaml;
use bootcode_server::{Config, Override, Server, ServerError};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Turns machines with nothing but firmware and a network card into ones that run what their owner declared.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    /// The configuration.
    #[arg(long, default_value = "bootcode.yaml")]
    config: PathBuf,
    /// Checks the configuration and the documents of its directories, and exits.
    #[arg(long)]
    check: bool,
    /// Prints the configuration with everything resolved, and exits.
    #[arg(long)]
    print_config: bool,
    /// Another value for one key; wins over the environment's BOOTCODE_KEY, which wins over the file.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<Override>,
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(64) } else { ExitCode::SUCCESS };
        }
    };
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("BOOTCODE_LOG")
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info")),
        )
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .init();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bootcode-server: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(arguments: Arguments) -> Result<(), ServerError> {
    let mut overrides =
        Override::from_environment(std::env::vars()).map_err(|e| ServerError::Config(e.into()))?;
    overrides.extend(arguments.overrides);
    let config = Config::load(&arguments.config, &overrides)?;
    if arguments.print_config {
        let tree = serde_json::to_value(&config).unwrap_or_default();
        print!("{}", yaml::to_string(&tree).unwrap_or_default());
        return Ok(());
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(ServerError::Runtime)?;
    runtime.block_on(async {
        let server = Server::builder(config).build()?;
        if arguments.check {
            return server.check().await;
        }
        let cancel = CancellationToken::new();
        let stop = cancel.clone();
        let mut terminate = signal(SignalKind::terminate()).map_err(ServerError::Runtime)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(ServerError::Runtime)?;
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::info!("stopping");
            stop.cancel();
        });
        server.run(cancel).await
    })
}

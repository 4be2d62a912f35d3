//! `bootcode-server`: the command line, the log and the signals around [`bootcode_server::Server`].

mod descriptors;

use std::{io::Write as _, path::PathBuf, process::ExitCode};

use bootcode_core::yaml;
use bootcode_server::{Config, Override, Server, ServerError};
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// An apply of a whole fleet takes many times what the fleet does afterwards. This one gives it back within seconds; glibc's keeps it, for
/// what lives on stands in between.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Turns machines with nothing but firmware and a network card into ones that run what their owner declared.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// The configuration.
    #[arg(long, default_value = "bootcode.yaml", global = true)]
    config: PathBuf,
    /// Checks the configuration, the documents of its directories and the store's file, and exits.
    #[arg(long)]
    check: bool,
    /// Prints the configuration with everything resolved, and exits.
    #[arg(long)]
    print_config: bool,
    /// Another value for one key; wins over the environment's BOOTCODE_KEY, which wins over the file.
    #[arg(long = "set", value_name = "KEY=VALUE", global = true)]
    overrides: Vec<Override>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Copies the store to a new file, while the server runs or not.
    ///
    /// To restore: stop the server, put the copy in the place of bootcode.sqlite in `data_dir`, remove bootcode.sqlite-wal and
    /// bootcode.sqlite-shm beside it, start the server. It holds every open workflow until `bootcode release`.
    Backup {
        /// The file; it must not exist.
        file: PathBuf,
    },
    /// Makes the server certificates for `api.tls` and `http.tls`, by an authority of its own that is made the first time.
    ///
    /// All are kept in `data_dir`. Operators (`bootcode --ca-file`) and machines trust ca.pem there; it lasts ten years, the certificates 800 days. Run it
    /// again for other names or another 800 days: a running server takes the new certificates by itself, and nobody has to trust anew.
    Ca {
        /// A name or address that operators and machines call the server by; may be repeated. Without it: this host's name, localhost, and the addresses of `interfaces`.
        #[arg(long = "name", value_name = "NAME")]
        names: Vec<String>,
    },
    /// Gives operators tokens for `api.tls` and `api.loopback`, and takes them away.
    #[command(subcommand)]
    Token(Token),
}

#[derive(Debug, Subcommand)]
enum Token {
    /// Makes an operator a token and prints it, this one time.
    Add {
        /// Whose it is: stands in the server's log with what its bearer changes.
        name: String,
    },
    /// Shows who has one, and since when.
    List,
    /// Takes an operator's token away, at once.
    Rm {
        /// Whose.
        name: String,
    },
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(64) } else { ExitCode::SUCCESS };
        }
    };
    let filter = match std::env::var("BOOTCODE_LOG") {
        Ok(filter) => match EnvFilter::try_new(&filter) {
            Ok(filter) => filter,
            Err(error) => {
                eprintln!(
                    "bootcode-server: BOOTCODE_LOG: `{filter}` is no filter: {error}; write info, or debug"
                );
                return ExitCode::from(64);
            }
        },
        Err(_) => EnvFilter::new("info"),
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        // Whoever reads the log may go away; that must not end a task.
        .log_internal_errors(false)
        .init();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "bootcode-server: {}", error.told());
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(arguments: Arguments) -> Result<(), ServerError> {
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    let variables: Vec<(String, String)> =
        std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect();
    for name in Override::unknown_of_environment(variables.iter().map(|(name, _)| name.clone())) {
        tracing::warn!("the variable {name} sets no key of the configuration and is ignored");
    }
    let mut overrides = Override::from_environment(variables).map_err(|e| ServerError::Config(e.into()))?;
    overrides.extend(arguments.overrides);
    let config = Config::load(&arguments.config, &overrides)?;
    if arguments.print_config {
        let tree = serde_json::to_value(&config).unwrap_or_default();
        print(&yaml::to_string(&tree).unwrap_or_default());
        return Ok(());
    }
    if arguments.check {
        let documents = Server::builder(config).build()?.check()?;
        print(&format!("{} and its {documents} documents are valid\n", arguments.config.display()));
        return Ok(());
    }
    match &arguments.command {
        Some(Command::Ca { names }) => return certify(&config, names.clone()),
        Some(Command::Token(command)) => return token(&config, command),
        Some(Command::Backup { .. }) | None => {}
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(ServerError::Runtime)?;
    if let Some(Command::Backup { file }) = arguments.command {
        runtime.block_on(Server::backup(&config, &file))?;
        print(&format!("{} is a copy of the store\n", file.display()));
        return Ok(());
    }
    descriptors::raise(config.http.connections.total);
    runtime.block_on(async {
        let server = Server::builder(config).build()?;
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

fn certify(config: &Config, names: Vec<String>) -> Result<(), ServerError> {
    let made = Server::certify(config, names)?;
    let authority = if made.new_authority { "a new authority" } else { "the authority of before" };
    let (names, until, file) = (made.names.join(", "), made.until, made.authority.display());
    print(&format!(
        "certificates for {names}\nuntil {until}, by {authority}; operators and machines trust them by {file}\n"
    ));
    Ok(())
}

fn token(config: &Config, command: &Token) -> Result<(), ServerError> {
    let tokens = Server::tokens(config)?;
    match command {
        Token::Add { name } => print(&format!("{}\n", tokens.add(name)?.reveal())),
        Token::List => {
            for issued in tokens.list()? {
                print(&format!("{}  {:.0}\n", issued.name, issued.at));
            }
        }
        Token::Rm { name } => {
            tokens.remove(name)?;
            print(&format!("{name} has no token any more\n"));
        }
    }
    Ok(())
}

/// Prints; a reader that went away, as `head` does, is no failure.
fn print(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

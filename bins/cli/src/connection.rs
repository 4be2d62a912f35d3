//! How the server is reached, by the command line: a socket, or TCP with a token.

use std::{fs, path::Path};

use bootcode_api::{
    Endpoint, OperatorClient,
    client::{Trust, TrustError},
};
use bootcode_core::secret::Secret;

use crate::{arguments::Arguments, error::CliError};

/// A client with what the command line gives it to show and to trust.
pub(crate) fn client(arguments: &Arguments) -> Result<OperatorClient, CliError> {
    let mut client = OperatorClient::new(arguments.server.clone());
    // Who may use the socket is a matter of its permissions; a token would mean nothing there.
    if matches!(arguments.server, Endpoint::Unix { .. }) {
        return Ok(client);
    }
    if let Some(file) = &arguments.token_file {
        client = client.token(token(file)?);
    }
    if matches!(arguments.server, Endpoint::Https { .. }) {
        client = client.trust(trust(arguments.ca_file.as_deref())?);
    }
    Ok(client)
}

fn token(file: &Path) -> Result<Secret, CliError> {
    let text = Secret::new(fs::read_to_string(file).map_err(|source| unread(file, source))?);
    let token = text.reveal().trim();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        let message = format!(
            "--token-file: {} holds no token: one word, as `bootcode-server token add` prints it",
            file.display()
        );
        return Err(CliError::Access { message });
    }
    Ok(Secret::new(token.to_owned()))
}

fn trust(file: Option<&Path>) -> Result<Trust, CliError> {
    let Some(file) = file else {
        let system = |error: TrustError| CliError::Access { message: error.to_string() };
        return Trust::of_system().map_err(system);
    };
    let pem = fs::read(file).map_err(|source| unread(file, source))?;
    Trust::of_pem(&pem)
        .map_err(|error| CliError::Access { message: format!("--ca-file: {}: {error}", file.display()) })
}

fn unread(file: &Path, source: std::io::Error) -> CliError {
    CliError::Unread { file: file.to_owned(), source }
}

//! The addresses of the configured interfaces.

use std::net::Ipv4Addr;

use crate::{config::Config, error::ServerError};

/// What operators may call this host by: its name, `localhost`, and its addresses.
///
/// # Errors
/// As [`addresses`].
pub(crate) fn names(config: &Config) -> Result<Vec<String>, ServerError> {
    let mut names: Vec<String> = nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .into_iter()
        .filter(|name| !name.is_empty() && name != "localhost")
        .collect();
    names.extend(["localhost", "127.0.0.1", "::1"].map(str::to_owned));
    names.extend(addresses(config)?.iter().map(ToString::to_string));
    Ok(names)
}

/// Our addresses as machines may be told them: `advertise`, else those of the interfaces, in their order.
///
/// # Errors
/// [`ServerError::Interfaces`] where an interface is missing, has no address, or the system does not tell.
pub(crate) fn addresses(config: &Config) -> Result<Vec<Ipv4Addr>, ServerError> {
    let failed = |message: String| ServerError::Interfaces { message };
    let all: Vec<_> = nix::ifaddrs::getifaddrs().map_err(|error| failed(error.to_string()))?.collect();
    let mut addresses = Vec::new();
    for name in &config.interfaces {
        let own = all.iter().filter(|interface| interface.interface_name == *name);
        if own.clone().next().is_none() {
            let mut known: Vec<&str> =
                all.iter().map(|interface| interface.interface_name.as_str()).collect();
            known.sort_unstable();
            known.dedup();
            return Err(failed(format!(
                "there is no network interface `{name}`; this host has {}",
                known.join(", ")
            )));
        }
        let before = addresses.len();
        addresses
            .extend(own.filter_map(|interface| Some(interface.address.as_ref()?.as_sockaddr_in()?.ip())));
        if addresses.len() == before && config.advertise.is_none() {
            let message = format!(
                "`{name}` has no IPv4 address; give it one (`ip address add ADDRESS/PREFIX dev {name}`) or say `advertise:`"
            );
            return Err(failed(message));
        }
    }
    Ok(config.advertise.map_or(addresses, |advertise| vec![advertise]))
}

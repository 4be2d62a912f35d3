//! What a Network's `dhcp.mode` makes of a query.

pub(crate) mod authoritative;
pub(crate) mod proxy;

//! TFTP: RFC 1350 with the options of RFC 2347, 2348, 2349 and 7440, for reading.

mod bind_error;
mod channel;
mod driver;
mod metrics;
mod netascii;
mod options;
mod packet;
mod rtt;
mod sender;
mod server;
mod session;
mod socket;
mod terms;

pub use bind_error::BindError;
pub use metrics::TftpMetrics;
pub use netascii::to_netascii;
pub use options::Options;
pub use packet::{ErrorCode, Mode, Packet, PacketError, Request};
pub use sender::{Outcome, Sender, Transmit};
pub use server::TftpServer;
pub use terms::Terms;

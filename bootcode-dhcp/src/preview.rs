//! What a client would be told, for an operator: a client's own bytes in, words out. What decides between is the server's.

mod options;
mod remedy;
mod request;
mod words;

pub(crate) use self::{
    options::shown as option,
    remedy::{nak, remedy},
    request::request,
    words::{client, destination, standing, unknown},
};

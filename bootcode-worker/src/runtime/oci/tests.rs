//! Manifests, layers, and a real `crun`.

use super::{
    layer::unpack_layer,
    manifest::{Document, Found},
    registry::PullError,
};

mod layers;
mod manifests;

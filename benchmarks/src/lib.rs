//! How fast the gateway is, what each feature costs, how cost grows.

pub mod compare;
pub mod control;
pub mod gate;
pub mod goals;
pub mod machine;
pub mod packet;
pub mod page;
mod plot;
pub mod record;
pub mod statistics;

//! Checkout and diff beside the real `ostree`: same tree, same options, same result.

#![allow(
    clippy::disallowed_methods,
    reason = "tests arrange and look at trees by other means than the code"
)]

mod checkout;
mod checkout_random;
mod checkout_work;
mod diff;
mod random;
mod snapshot;
mod support;

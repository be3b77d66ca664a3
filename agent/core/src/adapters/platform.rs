//! A Linux machine as a platform: real files, real keys in files, the real network.

use std::path::Path;
use std::sync::Arc;

use super::clock::SystemClock;
use super::home::HomeDir;
use super::https::HttpsConnector;
use super::linux::LinuxProbe;
use super::software_keys::SoftwareKeys;
use crate::ports::{EventSink, Platform, StoreError};

/// Takes the directory `home` for this process and brings everything that the agent needs on
/// Linux.
///
/// # Errors
///
/// [`StoreError::Busy`] where another process has the directory.
pub fn linux_platform(home: &Path, events: Arc<dyn EventSink>) -> Result<Platform, StoreError> {
    let clock = Arc::new(SystemClock);
    Ok(Platform {
        home: Arc::new(HomeDir::open(home)?),
        clock: clock.clone(),
        keys: Arc::new(SoftwareKeys::open(&home.join("keys"))),
        probe: Arc::new(LinuxProbe::of_this_machine()),
        connector: Arc::new(HttpsConnector::new(clock)),
        events,
    })
}

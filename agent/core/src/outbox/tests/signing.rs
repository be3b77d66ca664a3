//! Whether the key store signs with the enrolled key.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use candour_wire::Sensitive;

use super::world::{Handset, declaration};
use crate::adapters::memory::{MemoryKeys, MemoryStore};
use crate::outbox::{Outbox, OutboxError};
use crate::ports::{KeyError, KeyStore};

/// Has one key and signs with another.
struct Mixed {
    shown: Arc<MemoryKeys>,
    signs: MemoryKeys,
    asked: AtomicU32,
}

impl KeyStore for Mixed {
    fn public_key(&self) -> Result<Option<Vec<u8>>, KeyError> {
        self.shown.public_key()
    }

    fn create(&self) -> Result<Vec<u8>, KeyError> {
        self.shown.create()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.signs.sign(message)
    }

    fn wrap(&self, secret: &Sensitive<Vec<u8>>) -> Result<Vec<u8>, KeyError> {
        self.shown.wrap(secret)
    }

    fn unwrap(&self, wrapped: &[u8]) -> Result<Sensitive<Vec<u8>>, KeyError> {
        self.shown.unwrap(wrapped)
    }

    fn destroy(&self) -> Result<(), KeyError> {
        self.shown.destroy()
    }
}

#[test]
fn a_key_store_that_signs_with_another_key_queues_nothing_however_often_it_is_asked() {
    let handset = Handset::new();
    let keys = Arc::new(Mixed {
        shown: handset.keys.clone(),
        signs: MemoryKeys::new(),
        asked: AtomicU32::new(0),
    });
    keys.signs.create().unwrap();
    let mut outbox = Outbox::open(
        Box::new(MemoryStore::new()),
        keys.clone(),
        handset.clock.clone(),
        handset.limits.clone(),
    )
    .unwrap();
    for asked in 1..=2 {
        let refused = outbox.append(&handset.record(declaration()), &[]);
        assert!(matches!(refused, Err(OutboxError::Signature(_))));
        assert_eq!(keys.asked.load(Ordering::SeqCst), asked);
    }
    assert_eq!(outbox.counts().unwrap(), Default::default());
}

use candour_wire::Digest;
use candour_wire::log::merkle::{NodeReader, root, verify_consistency};
use candour_wire::log::tile::{TileKind, TilePath, decode_entries};
use candour_wire::log::{Checkpoint, leaf_hash, node_hash};
use candour_wire::record::Stream;

use super::phone::{declaration, receipts};
use super::{Backend, Phone, verifier};
use crate::store::{Batch, Store};

pub(in crate::store) async fn each_checkpoint_extends_the_one_before<B: Backend>() {
    let backend = B::empty();
    let mut store = backend.open();
    let mut phone = Phone::enrolled(&*store, "a").await;
    let note = store.checkpoint().await.unwrap().unwrap();
    let mut seen = vec![Checkpoint::open(&note, &verifier()).unwrap()];
    for count in [1, 2, 5, 60, 64, 64, 64, 3] {
        let records: Vec<_> = (0..count).map(|_| phone.next(declaration())).collect();
        let reply = phone
            .send(&*store, Stream::Records, &records)
            .await
            .unwrap();
        receipts(&reply, &records);
        let now = Checkpoint::open(&reply.checkpoint, &verifier()).unwrap();
        for old in &seen {
            // A repeated batch is answered from the same tree, with a proof from any size.
            let batch = phone.batch(Stream::Records, &records);
            let reply = store
                .append(Batch {
                    log_size: old.size,
                    ..batch
                })
                .await
                .unwrap();
            let path = &reply.consistency;
            let proof = verify_consistency(old.size, &old.root, now.size, &now.root, path);
            assert_eq!(proof, Ok(()), "{} to {}", old.size, now.size);
        }
        seen.push(now);
        store.close().await;
        store = backend.open();
    }
}

pub(in crate::store) async fn a_log_size_beyond_the_log_is_noted<B: Backend>() {
    let backend = B::empty();
    let store = backend.open();
    let mut phone = Phone::enrolled(&*store, "a").await;
    let records = [phone.next(declaration())];
    let batch = Batch {
        log_size: u64::MAX,
        ..phone.batch(Stream::Records, &records)
    };
    let reply = store.append(batch).await.unwrap();
    receipts(&reply, &records);
    assert_eq!(reply.consistency.hashes(), []);
    let [anomaly] = &store.anomalies(&phone.id).await.unwrap()[..] else {
        panic!()
    };
    assert_eq!(
        (anomaly.code.as_str(), anomaly.last_seq),
        ("log_forked", None)
    );
}

/// A tree from its entries alone, as an auditor would build it.
struct Rebuilt(Vec<Digest>);

impl NodeReader for Rebuilt {
    type Error = std::convert::Infallible;

    fn node(&self, level: u8, index: u64) -> Result<Digest, Self::Error> {
        if level == 0 {
            return Ok(leaf_hash(&self.0[usize::try_from(index).unwrap()]));
        }
        Ok(node_hash(
            &self.node(level - 1, index * 2)?,
            &self.node(level - 1, index * 2 + 1)?,
        ))
    }
}

async fn tile(store: &dyn Store, kind: TileKind, index: u64, width: u16) -> Option<Vec<u8>> {
    store
        .tile(TilePath::new(kind, index, width).unwrap())
        .await
        .unwrap()
}

pub(in crate::store) async fn tiles_and_bundles_rebuild_the_signed_root<B: Backend>() {
    let backend = B::empty();
    let store = backend.open();
    let mut phone = Phone::enrolled(&*store, "a").await;
    for _ in 0..5 {
        let records: Vec<_> = (0..60).map(|_| phone.next(declaration())).collect();
        receipts(
            &phone
                .send(&*store, Stream::Records, &records)
                .await
                .unwrap(),
            &records,
        );
    }
    let note = store.checkpoint().await.unwrap().unwrap();
    let checkpoint = Checkpoint::open(&note, &verifier()).unwrap();
    assert_eq!(checkpoint.size, 300);
    let mut entries = Vec::new();
    for (index, width) in [(0, 256), (1, 44)] {
        let bundle = tile(&*store, TileKind::Entries, index, width)
            .await
            .unwrap();
        entries.extend(decode_entries(&bundle).unwrap());
    }
    let rebuilt = Rebuilt(entries);
    assert_eq!(root(&rebuilt, 300), Ok(checkpoint.root));
    let leaves: Vec<u8> = rebuilt
        .0
        .iter()
        .flat_map(|entry| leaf_hash(entry).0)
        .collect();
    let full = tile(&*store, TileKind::Hashes(0), 0, 256).await.unwrap();
    assert_eq!(full, leaves[..256 * 32]);
    let partial = tile(&*store, TileKind::Hashes(0), 1, 44).await.unwrap();
    assert_eq!(partial, leaves[256 * 32..]);
    let earlier = tile(&*store, TileKind::Hashes(0), 0, 17).await.unwrap();
    assert_eq!(
        earlier,
        leaves[..17 * 32],
        "a narrower form of a tile stays available"
    );
    let upper = tile(&*store, TileKind::Hashes(1), 0, 1).await.unwrap();
    assert_eq!(upper, rebuilt.node(8, 0).unwrap().0);
    for (kind, index, width) in [
        (TileKind::Hashes(0), 1, 45),
        (TileKind::Hashes(1), 0, 2),
        (TileKind::Entries, 2, 1),
        (TileKind::Hashes(3), 0, 1),
    ] {
        assert_eq!(
            tile(&*store, kind, index, width).await,
            None,
            "{kind:?} {index} {width}"
        );
    }
}

pub(in crate::store) async fn a_new_store_has_a_checkpoint_of_the_empty_log<B: Backend>() {
    let backend = B::empty();
    let store = backend.open();
    let note = store.checkpoint().await.unwrap().unwrap();
    assert_eq!(Checkpoint::open(&note, &verifier()).unwrap().size, 0);
}

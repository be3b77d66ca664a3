//! What every store must do, as tests over a [`Backend`].
//!
//! A store's own test module says `conformance!(ItsBackend);` and gets every test here.

pub(super) mod append;
pub(super) mod attachments;
pub(super) mod chain;
pub(super) mod enrolment;
pub(super) mod log;
mod phone;
pub(super) mod posture;
pub(super) mod records;

use std::sync::Arc;

use candour_wire::Sensitive;
use candour_wire::log::{LogSigner, LogVerifier};
use jiff::{SignedDuration, Timestamp};

use super::Store;
pub(super) use phone::{Phone, declaration, new_token, receipts};

/// A place where a store can be, empty at first.
pub(super) trait Backend: Send + Sync {
    fn empty() -> Self;

    /// Opens the store, with [`signer`] for its log; what an earlier one kept is there. An
    /// earlier one may have been dropped without being closed.
    fn open(&self) -> Arc<dyn Store>;
}

pub(super) const DEPARTMENT: &str = "hm-treasury";

/// The key of every test's log.
pub(super) fn signer() -> LogSigner {
    LogSigner::new("log.hm-treasury.example/log", &Sensitive::new([7; 32])).unwrap()
}

pub(super) fn verifier() -> LogVerifier {
    signer().verifier().clone()
}

/// `minutes` after the tests' first moment.
pub(super) fn at(minutes: i64) -> Timestamp {
    "2026-11-22T09:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_mins(minutes)
}

/// Makes one test of each function for a backend.
macro_rules! conformance {
    ($backend:ty) => {
        $crate::store::conformance::tests_of!($backend;
            append: [
                a_batch_is_answered_with_receipts_that_verify,
                the_same_batch_again_gets_the_same_receipts_and_keeps_nothing,
                receipts_are_the_same_after_a_crash,
                what_the_caller_refused_stays_refused_and_the_rest_goes_on,
                a_handset_that_is_not_enrolled_keeps_nothing,
                a_revoked_handset_keeps_nothing_even_on_an_open_connection,
                many_handsets_at_once_are_all_kept_once,
                a_closed_store_says_so,
            ]
            chain: [
                another_body_in_the_same_place_is_refused_with_the_head_and_noted,
                an_id_that_is_taken_is_refused_under_another_number,
                an_id_of_another_handset_is_refused,
                a_gap_is_refused_with_the_head_and_noted,
                a_gap_that_follows_a_refusal_is_not_noted,
                another_predecessor_is_refused_with_the_head_and_noted,
                absurd_numbers_are_refused,
                a_record_of_another_handset_or_stream_never_crosses_over,
                the_streams_of_a_handset_do_not_touch_each_other,
                repeated_anomalies_are_counted_not_listed,
                a_handset_goes_on_after_it_has_rechained,
            ]
            enrolment: [
                a_token_enrols_one_key_and_a_lost_reply_can_be_asked_for_again,
                unknown_used_and_expired_tokens_are_told_apart,
                a_token_that_is_put_twice_stays_as_it_was,
                two_keys_that_race_for_a_token_do_not_both_get_it,
                no_token_brings_a_revoked_key_back,
                a_handset_revoked_by_mistake_is_let_back_in_and_goes_on_where_it_was,
                a_key_stays_in_its_department,
                changes_list_what_was_enrolled_and_revoked_since,
                handsets_are_listed_in_pages_by_department,
                a_handsets_row_says_what_is_known_of_it,
            ]
            log: [
                each_checkpoint_extends_the_one_before,
                a_log_size_beyond_the_log_is_noted,
                tiles_and_bundles_rebuild_the_signed_root,
                a_new_store_has_a_checkpoint_of_the_empty_log,
            ]
            posture: [
                a_list_then_a_difference_then_a_heartbeat_are_taken,
                a_difference_or_heartbeat_from_another_list_is_refused,
                a_list_that_breaks_the_format_is_refused,
                the_last_status_is_kept,
                prevalence_counts_current_lists_by_department,
            ]
            records: [
                a_record_is_opened_with_its_audit_row,
                looking_for_a_record_that_is_not_there_is_audited_too,
                a_posture_record_is_not_opened,
                an_amendment_or_withdrawal_needs_this_handsets_declaration,
                a_declaration_waits_for_its_files,
                figures_count_what_there_is,
            ]
            attachments: [
                a_file_arrives_in_pieces_and_goes_on_after_a_crash,
                a_piece_at_the_wrong_place_is_told_the_right_one,
                a_file_with_another_digest_is_discarded,
                a_piece_of_a_complete_file_changes_nothing,
                sizes_over_the_limit_are_refused,
                another_announced_size_starts_again,
                more_files_than_a_handset_may_leave_about_are_refused,
                a_revoked_handset_uploads_nothing,
                a_handset_sees_only_its_own_files,
                stale_uploads_are_discarded_unless_a_record_refers_to_them,
            ]
        );
    };
}

macro_rules! tests_of {
    ($backend:ty; $($module:ident: [$($test:ident,)*])*) => {
        $($(
            #[tokio::test]
            async fn $test() {
                $crate::store::conformance::$module::$test::<$backend>().await;
            }
        )*)*
    };
}

pub(crate) use {conformance, tests_of};

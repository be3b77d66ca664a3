//! Tells a write-ahead log of SQLite that was damaged from one that a crash has cut short.
//!
//! SQLite reads the log up to the first frame whose checksum does not hold and takes that for the
//! end. After a crash it is: what follows is of a transaction that was never synced, and so never
//! acknowledged. But a bit that flips in the middle of the log ends it there too, and every commit
//! after it is gone without an error.
//!
//! With `synchronous=FULL` the two can be told apart in most cases. A transaction is synced before
//! the next one writes a frame, so a crash damages frames of one transaction only, the last. Where
//! another frame of the same log follows a commit beyond the first bad frame, the bad one was in a
//! transaction that had been synced. The header is synced before the first frame is written, and
//! fits in a sector; where it is bad and frames follow, it was damaged too.
//!
//! What cannot be told from a crash: damage to the very last transaction, damage to the eight bytes
//! by which the one before it says that it commits, and a log that was cut off.
//!
//! A crash may leave frames behind that fit the header. Were the log continued over them and then
//! hit by another crash, they would look like damage: whoever opens the store and is told
//! [`Verdict::Tail`] empties the log first.
//!
//! The format is that of <https://www.sqlite.org/fileformat2.html#walformat>.

use std::io::{self, ErrorKind, Read};

/// What a log looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Every frame of it can be read, or there is none.
    Whole,
    /// It ends in frames that cannot be read, as after a crash.
    Tail,
    /// Commits that had been synced cannot be read any more.
    Lost,
}

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;

/// Pages that a database may have of which nothing is known yet: 64 GiB of it.
const LARGEST_UNKNOWN: u64 = 1 << 24;

/// The largest page that SQLite knows, in bytes.
const PAGE_MAX_BYTES: u32 = 65_536;

/// Reads a log from its beginning. Needs memory for one page.
///
/// Nobody may write the log meanwhile, or the verdict is [`Verdict::Lost`] where a writer has
/// begun the log anew and overtakes the reader.
///
/// # Errors
///
/// When it cannot be read.
pub fn judge(log: &mut dyn Read) -> io::Result<Verdict> {
    let mut header = [0; HEADER_BYTES];
    if !fill(log, &mut header)? {
        return Ok(Verdict::Whole);
    }
    let Some(mut sum) = Sum::of_header(&header) else {
        // Only a frame makes the log worth anything.
        let frame = fill(log, &mut [0; FRAME_HEADER_BYTES + 512])?;
        return Ok(if frame { Verdict::Lost } else { Verdict::Tail });
    };
    let mut frame = vec![0; FRAME_HEADER_BYTES + sum.page_bytes];
    let mut good = true;
    let (mut tail, mut commit_beyond) = (false, false);
    // More pages than this the database cannot have: each frame adds one at most.
    let (mut largest, mut frames) = (None, 0);
    while fill(log, &mut frame)? {
        let [page, size] = [0, 4].map(|at| word(&frame, at, true).unwrap_or_default());
        frames += 1;
        let ours = frame.get(8..16) == header.get(16..24);
        if good {
            good = sum.holds(&frame);
            if good && !ours {
                // The checksum does not cover the salts: it was the next frame of this log.
                return Ok(Verdict::Lost);
            }
        }
        if good {
            largest = largest.max(Some(u64::from(page.max(size))));
        }
        if good || !ours {
            continue;
        }
        if commit_beyond {
            return Ok(Verdict::Lost);
        }
        tail = true;
        // A frame's header may lie across two sectors, of which only one was written.
        let limit = largest.map_or(LARGEST_UNKNOWN, |pages| pages + frames);
        commit_beyond = (1..=size).contains(&page) && u64::from(size) <= limit;
    }
    Ok(if tail { Verdict::Tail } else { Verdict::Whole })
}

/// The running checksum.
struct Sum {
    page_bytes: usize,
    big_endian: bool,
    sum: (u32, u32),
}

impl Sum {
    /// `None` where the header is not one, or its checksum does not hold.
    fn of_header(header: &[u8]) -> Option<Self> {
        let big_endian = match word(header, 0, true)? {
            0x377f_0682 => false,
            0x377f_0683 => true,
            _ => return None,
        };
        let page = word(header, 8, true)?;
        let fits = page.is_power_of_two() && (512..=PAGE_MAX_BYTES).contains(&page);
        let mut this = Self {
            page_bytes: usize::try_from(page).ok().filter(|_| fits)?,
            big_endian,
            sum: (0, 0),
        };
        this.add(header.get(..24)?);
        (Some(this.sum) == word(header, 24, true).zip(word(header, 28, true))).then_some(this)
    }

    /// Whether a frame's checksum is that of the next one of this log.
    fn holds(&mut self, frame: &[u8]) -> bool {
        let Some((head, page)) = frame.split_at_checked(FRAME_HEADER_BYTES) else {
            return false;
        };
        if word(head, 0, true) == Some(0) {
            return false;
        }
        self.add(head.get(..8).unwrap_or_default());
        self.add(page);
        Some(self.sum) == word(head, 16, true).zip(word(head, 20, true))
    }

    fn add(&mut self, bytes: &[u8]) {
        for pair in bytes.as_chunks::<8>().0 {
            let first = word(pair, 0, self.big_endian).unwrap_or_default();
            let second = word(pair, 4, self.big_endian).unwrap_or_default();
            let (a, b) = self.sum;
            let a = a.wrapping_add(first).wrapping_add(b);
            self.sum = (a, b.wrapping_add(second).wrapping_add(a));
        }
    }
}

fn word(bytes: &[u8], at: usize, big_endian: bool) -> Option<u32> {
    let four: [u8; 4] = bytes.get(at..)?.first_chunk().copied()?;
    Some(if big_endian {
        u32::from_be_bytes(four)
    } else {
        u32::from_le_bytes(four)
    })
}

/// Whether there was enough to fill it.
fn fill(log: &mut dyn Read, into: &mut [u8]) -> io::Result<bool> {
    match log.read_exact(into) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: usize = 512;

    /// A log as SQLite writes it: `true` for each frame that commits.
    fn log(commits: &[bool]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for number in [0x377f_0682_u32, 3_007_000, 512, 0, 7, 9] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        let mut sum = Sum {
            page_bytes: PAGE,
            big_endian: false,
            sum: (0, 0),
        };
        sum.add(&bytes);
        let put = |bytes: &mut Vec<u8>, sum: &Sum| {
            bytes.extend_from_slice(&sum.sum.0.to_be_bytes());
            bytes.extend_from_slice(&sum.sum.1.to_be_bytes());
        };
        put(&mut bytes, &sum);
        for (number, commit) in commits.iter().enumerate() {
            let mut head = Vec::new();
            head.extend_from_slice(&(u32::try_from(number).unwrap() + 1).to_be_bytes());
            head.extend_from_slice(&(u32::from(*commit) * 10).to_be_bytes());
            let page = [u8::try_from(number).unwrap(); PAGE];
            sum.add(&head);
            sum.add(&page);
            head.extend_from_slice(&bytes[16..24]);
            put(&mut head, &sum);
            bytes.extend_from_slice(&head);
            bytes.extend_from_slice(&page);
        }
        bytes
    }

    const FRAME: usize = FRAME_HEADER_BYTES + PAGE;

    fn verdict(bytes: &[u8]) -> Verdict {
        judge(&mut &*bytes).unwrap()
    }

    #[test]
    fn a_log_that_nothing_happened_to_is_whole() {
        assert_eq!(verdict(&[]), Verdict::Whole);
        for commits in [&[][..], &[true], &[false, true, true], &[true, false]] {
            assert_eq!(verdict(&log(commits)), Verdict::Whole, "{commits:?}");
        }
    }

    #[test]
    fn a_flip_before_the_last_transaction_is_damage_wherever_it_is() {
        let good = log(&[true, false, true, false, true]);
        let last = HEADER_BYTES + 3 * FRAME;
        // Where the commit before the last one says that it is one: without that the two look like
        // one transaction.
        let says = last - FRAME..last - FRAME + 8;
        for at in (0..last).filter(|at| !says.contains(at)) {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            assert_eq!(verdict(&bad), Verdict::Lost, "at {at}");
        }
        for at in last + FRAME_HEADER_BYTES..last + FRAME {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            assert_eq!(
                verdict(&bad),
                Verdict::Tail,
                "at {at} it may have been a crash"
            );
        }
    }

    #[test]
    fn a_flip_in_the_salts_is_damage_even_in_the_last_transaction() {
        let good = log(&[true, false, true]);
        for frame in 0..3 {
            let mut bad = good.clone();
            bad[HEADER_BYTES + frame * FRAME + 9] ^= 1;
            assert_eq!(verdict(&bad), Verdict::Lost, "frame {frame}");
        }
    }

    #[test]
    fn a_crash_in_a_transaction_is_a_tail_however_its_frames_came() {
        let good = log(&[true, false, false, true]);
        for cut in 0..good.len() {
            assert_ne!(verdict(&good[..cut]), Verdict::Lost, "cut at {cut}");
        }
        // The frames of the last one came in any order, and some not at all.
        for missing in 1..4 {
            let mut torn = good.clone();
            torn[HEADER_BYTES + missing * FRAME..][..FRAME].fill(0);
            assert_ne!(verdict(&torn), Verdict::Lost, "frame {missing}");
        }
    }

    #[test]
    fn a_frame_header_of_which_half_was_written_is_no_commit() {
        let mut torn = log(&[true, false, false, true]);
        // Where the size of the database stands there is what the disk held before.
        let second = HEADER_BYTES + FRAME;
        torn[second..second + 8].copy_from_slice(&[0xA7; 8]);
        assert_eq!(verdict(&torn), Verdict::Tail);
    }

    #[test]
    fn frames_of_an_earlier_log_do_not_count() {
        let mut bytes = log(&[true]);
        let mut earlier = log(&[true, true, true]);
        for frame in earlier[HEADER_BYTES..].chunks_mut(FRAME) {
            frame[8..16].fill(1);
        }
        bytes.extend_from_slice(&earlier[HEADER_BYTES..]);
        assert_eq!(verdict(&bytes), Verdict::Whole);
    }
}

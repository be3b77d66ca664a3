//! The lines of a file, of which only a window is held.

use std::io::{self, ErrorKind, Read, Seek, SeekFrom};

use memchr::memchr;

use crate::whatsapp::scan::LINE_START_BYTES;

/// How much of the file is held: enough that reading it costs few calls.
const WINDOW_BYTES: usize = 256 << 10;

const _: () = assert!(WINDOW_BYTES > 2 * LINE_START_BYTES);

/// Reads lines from a place in a file on. Others may move the file's position in between.
pub(super) struct Lines {
    window: Vec<u8>,
    /// How many bytes of the window are the file's.
    filled: usize,
    /// Where the next line starts in the window.
    at: usize,
    /// Where the window starts in the file.
    base: u64,
    ended: bool,
}

impl Lines {
    pub(super) fn from(start: u64) -> Self {
        Self {
            window: vec![0; WINDOW_BYTES],
            filled: 0,
            at: 0,
            base: start,
            ended: false,
        }
    }

    /// The next line with its ending and where it starts. Of a line longer than the window at
    /// least the first [`LINE_START_BYTES`].
    pub(super) fn next<R: Read + Seek>(
        &mut self,
        file: &mut R,
    ) -> io::Result<Option<(u64, &[u8])>> {
        let end = match self.find_end(file)? {
            Some(end) => end,
            None if self.at == self.filled => return Ok(None),
            None => self.filled,
        };
        let (start, line) = (self.at, self.at..end);
        let place = self.base + start as u64;
        self.at = end;
        if end == self.filled && !self.ended && self.window.get(end - 1) != Some(&b'\n') {
            // The line is longer than the window. What is left of it is not looked at, but the
            // part that is handed out must not be overwritten.
            let kept = LINE_START_BYTES.min(end - start);
            self.window.copy_within(start..start + kept, 0);
            self.skip_line(file, kept)?;
            return Ok(Some((place, self.window.get(..kept).unwrap_or_default())));
        }
        Ok(Some((place, self.window.get(line).unwrap_or_default())))
    }

    /// Where the line ends in the window, which is filled until it does; `None` when it does not
    /// end.
    fn find_end<R: Read + Seek>(&mut self, file: &mut R) -> io::Result<Option<usize>> {
        let mut searched = self.at;
        loop {
            let rest = self.window.get(searched..self.filled).unwrap_or_default();
            if let Some(end) = memchr(b'\n', rest) {
                return Ok(Some(searched + end + 1));
            }
            if self.ended || (self.at == 0 && self.filled == self.window.len()) {
                return Ok(None);
            }
            self.window.copy_within(self.at..self.filled, 0);
            self.base += self.at as u64;
            self.filled -= self.at;
            self.at = 0;
            searched = self.filled;
            self.fill(file, self.filled)?;
        }
    }

    /// Passes over the rest of a line that fills the window, of which `kept` bytes stay in front.
    fn skip_line<R: Read + Seek>(&mut self, file: &mut R, kept: usize) -> io::Result<()> {
        loop {
            // The window's bytes from `kept` on are those of the file behind it.
            self.base += (self.filled - kept) as u64;
            self.filled = kept;
            self.fill(file, kept)?;
            let fresh = self.window.get(kept..self.filled).unwrap_or_default();
            match memchr(b'\n', fresh) {
                Some(end) => {
                    self.at = kept + end + 1;
                    return Ok(());
                }
                None if self.ended => {
                    self.at = self.filled;
                    return Ok(());
                }
                None => {}
            }
        }
    }

    /// Fills the window from `from` on.
    fn fill<R: Read + Seek>(&mut self, file: &mut R, from: usize) -> io::Result<()> {
        file.seek(SeekFrom::Start(self.base + from as u64))?;
        while self.filled < self.window.len() {
            match file.read(self.window.get_mut(self.filled..).unwrap_or_default()) {
                Ok(0) => {
                    self.ended = true;
                    break;
                }
                Ok(read) => self.filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn lines_of_any_length_start_where_they_start() {
        let w = WINDOW_BYTES;
        for lengths in [
            vec![1, 1, 3],
            vec![w - 1, 1, 1],
            vec![w, 5],
            vec![w + 1, 2, w + 1],
            vec![5, 3 * w, 7, w - 9, 4],
            vec![w / 2, w / 2, w / 2, 2 * w, w * 5 + 3],
        ] {
            for last_ending in [true, false] {
                let mut bytes = Vec::new();
                let mut starts = Vec::new();
                for length in &lengths {
                    starts.push(bytes.len());
                    bytes.resize(bytes.len() + length - 1, b'x');
                    bytes.push(b'\n');
                }
                if !last_ending && bytes.len() > *starts.last().unwrap() + 1 {
                    bytes.pop();
                }
                let mut lines = Lines::from(0);
                let mut file = Cursor::new(&bytes);
                let mut found = Vec::new();
                while let Some((start, line)) = lines.next(&mut file).unwrap() {
                    let start = usize::try_from(start).unwrap();
                    found.push(start);
                    let rest = &bytes[start..];
                    let whole = &rest[..memchr(b'\n', rest).map_or(rest.len(), |n| n + 1)];
                    assert!(whole.starts_with(line));
                    assert!(line.len() == whole.len() || line.len() >= LINE_START_BYTES);
                }
                assert_eq!(found, starts, "{lengths:?}");
            }
        }
    }
}

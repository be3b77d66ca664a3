//! A person at a terminal: a pseudo-terminal, what the program shows on it, and keys.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::wait::DEADLINE;

/// The key that marks an item of a list, and others that are no letters.
pub mod key {
    /// Goes on.
    pub const ENTER: &str = "\r";
    /// Moves down.
    pub const DOWN: &str = "\u{1b}[B";
    /// Takes everything that a list shows.
    pub const RIGHT: &str = "\u{1b}[C";
    /// Takes the last letter back.
    pub const BACKSPACE: &str = "\u{7f}";
    /// Breaks off.
    pub const ESCAPE: &str = "\u{1b}";
}

/// A program on a terminal of 80 columns and 40 rows.
pub struct Terminal {
    keyboard: File,
    child: Child,
    screen: Arc<Screen>,
}

#[derive(Default)]
struct Screen {
    /// All that was shown, and whether that was all.
    shown: Mutex<(String, bool)>,
    more: Condvar,
}

impl Terminal {
    /// Starts a command with the terminal as its standard input, output and error.
    ///
    /// # Panics
    ///
    /// When there is no terminal to be had, or the command cannot be started.
    #[must_use]
    pub fn start(mut command: Command) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
        let controller = openpt(flags).expect("a pseudo-terminal");
        grantpt(&controller).expect("its other end is ours");
        unlockpt(&controller).expect("it can be opened");
        let path = ptsname(&controller, Vec::new()).expect("it has a name");
        let flags = OFlags::RDWR | OFlags::NOCTTY;
        let terminal = open(path.as_c_str(), flags, Mode::empty()).expect("a terminal");
        let size = Winsize {
            ws_row: 40,
            ws_col: 80,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&terminal, size).expect("its size can be set");
        let end = |fd: &OwnedFd| fd.try_clone().expect("a file descriptor");
        let child = command
            .env("TERM", "xterm-256color")
            .stdin(end(&terminal))
            .stdout(end(&terminal))
            .stderr(terminal)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        // The command holds the terminal's other end too, which only the child may.
        drop(command);
        let screen = Arc::new(Screen::default());
        let mut output = File::from(end(&controller));
        let watched = Arc::clone(&screen);
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            let mut gone = false;
            loop {
                // A terminal whose program has gone reads as an error. Linux may say so just before
                // it hands over what the program wrote last, so it is asked once more.
                let read = output.read(&mut bytes).unwrap_or(0);
                if read == 0 && !gone {
                    gone = true;
                    continue;
                }
                gone = false;
                let mut shown = watched.shown.lock().unwrap_or_else(PoisonError::into_inner);
                let bytes = bytes.get(..read).unwrap_or_default();
                shown.0.push_str(&String::from_utf8_lossy(bytes));
                shown.1 = read == 0;
                watched.more.notify_all();
                if read == 0 {
                    return;
                }
            }
        });
        Self {
            keyboard: File::from(controller),
            child,
            screen,
        }
    }

    /// Waits until `text` is shown, after what was waited for before. Blocks.
    ///
    /// # Panics
    ///
    /// When it is not.
    pub fn wait_for(&self, text: &str) {
        let _ = self.wait(text, |shown, _| shown.find(text).map(|at| at + text.len()));
    }

    fn wait(&self, what: &str, found: impl Fn(&str, bool) -> Option<usize>) -> String {
        let mut shown = self
            .screen
            .shown
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(end) = found(&shown.0, shown.1) {
                let rest = shown.0.split_off(end);
                return std::mem::replace(&mut shown.0, rest);
            }
            let (woken, timeout) = self
                .screen
                .more
                .wait_timeout(shown, DEADLINE)
                .unwrap_or_else(PoisonError::into_inner);
            shown = woken;
            assert!(
                !timeout.timed_out() && !shown.1 || found(&shown.0, shown.1).is_some(),
                "{what} is not shown: {}",
                shown.0
            );
        }
    }

    /// Presses keys.
    ///
    /// # Panics
    ///
    /// When the terminal has gone.
    pub fn press(&mut self, keys: &str) {
        self.keyboard
            .write_all(keys.as_bytes())
            .expect("a terminal takes keys");
    }

    /// Waits until the program ends; returns how, and what it showed last. Blocks.
    ///
    /// # Panics
    ///
    /// When it does not.
    #[must_use]
    pub fn end(mut self) -> (ExitStatus, String) {
        let shown = self.wait("the end", |shown, ended| ended.then_some(shown.len()));
        let status = self.child.wait().expect("a child can be waited for");
        (status, shown)
    }
}

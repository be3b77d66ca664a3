//! What was recorded: every change to a file or a name, every sync, and what was said in between.

use std::collections::{BTreeMap, HashMap};

/// A file or a directory, from its creation to its end. The kernel's inode numbers come back
/// after a file has gone; these do not.
pub type Node = usize;

/// The directory that everything is below.
pub const ROOT: Node = 0;

/// A recorded run.
#[derive(Debug)]
pub struct Trace {
    /// The steps, in the order in which the kernel got them.
    pub steps: Vec<Step>,
    /// What each node is.
    pub nodes: Vec<Kind>,
    bytes: Vec<u8>,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A file, with the name under which it was made.
    File(String),
}

/// One step of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A process began.
    Began,
    /// Entries of directories were set or taken away, all at once.
    Names(Vec<Entry>),
    /// A file was written.
    Data(Node, Change),
    /// A file or directory was synced, and that was reported as done.
    Sync(Node),
    /// A process wrote this to its standard output.
    Said(String),
    /// A connection was accepted.
    Accepted(Ends),
    /// So many bytes were sent on a connection.
    Sent(Ends, u64),
}

/// The two ports of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ends(u64);

impl Ends {
    /// The connection between these two.
    #[must_use]
    pub const fn new(server: u16, client: u16) -> Self {
        Self((server as u64) << 16 | client as u64)
    }
}

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The directory.
    pub dir: Node,
    /// The name in it.
    pub name: String,
    /// What it leads to from now on.
    pub to: Option<Node>,
}

/// A change of a file's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Bytes of the trace, written at an offset.
    Write {
        /// Where in the file.
        at: usize,
        /// Where in the trace.
        bytes: std::ops::Range<usize>,
    },
    /// The file was cut or extended with zeros.
    SetLength(usize),
}

impl Trace {
    /// Reads a trace.
    ///
    /// # Errors
    ///
    /// When it is cut off, contradicts itself, or the recorder has met what it cannot record.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, String> {
        let mut reader = Reader {
            nodes: vec![Kind::Directory],
            entries: HashMap::from([(ROOT, BTreeMap::new())]),
            inodes: HashMap::new(),
        };
        let mut steps = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let raw = Raw::read(&bytes, &mut at).ok_or("the trace is cut off")?;
            steps.push(reader.step(&raw, &bytes)?);
        }
        Ok(Self {
            steps,
            nodes: reader.nodes,
            bytes,
        })
    }

    /// The bytes of a write.
    #[must_use]
    pub fn bytes(&self, range: &std::ops::Range<usize>) -> &[u8] {
        self.bytes.get(range.clone()).unwrap_or_default()
    }

    /// The lines that processes said, each with its step.
    pub fn said(&self) -> impl Iterator<Item = (usize, &str)> {
        self.steps
            .iter()
            .enumerate()
            .filter_map(|(at, step)| match step {
                Step::Said(text) => Some((at, text.as_str())),
                _ => None,
            })
    }
}

struct Raw {
    kind: u8,
    a: u64,
    b: u64,
    x: std::ops::Range<usize>,
    y: std::ops::Range<usize>,
}

impl Raw {
    fn read(bytes: &[u8], at: &mut usize) -> Option<Self> {
        let head = bytes.get(*at..*at + 25)?;
        let word = |from: usize| {
            Some(u64::from_le_bytes(
                head.get(from..from + 8)?.try_into().ok()?,
            ))
        };
        let half = |from: usize| {
            let length = u32::from_le_bytes(head.get(from..from + 4)?.try_into().ok()?);
            usize::try_from(length).ok()
        };
        let x = *at + 25..*at + 25 + half(17)?;
        let y = x.end..x.end + half(21)?;
        *at = y.end;
        (y.end <= bytes.len()).then_some(())?;
        Some(Self {
            kind: *head.first()?,
            a: word(1)?,
            b: word(9)?,
            x,
            y,
        })
    }
}

/// The directory tree as the processes saw it.
struct Reader {
    nodes: Vec<Kind>,
    entries: HashMap<Node, BTreeMap<String, Node>>,
    inodes: HashMap<u64, Node>,
}

impl Reader {
    fn step(&mut self, raw: &Raw, bytes: &[u8]) -> Result<Step, String> {
        let text = |range: &std::ops::Range<usize>| {
            String::from_utf8_lossy(bytes.get(range.clone()).unwrap_or_default()).into_owned()
        };
        Ok(match raw.kind {
            b'B' => {
                self.inodes.insert(raw.a, ROOT);
                Step::Began
            }
            b'C' => {
                let path = text(&raw.x);
                let name = path.rsplit('/').next().unwrap_or_default().to_owned();
                let node = self.make(Kind::File(name), raw.a);
                self.names(vec![(path, Some(node))])?
            }
            b'K' => {
                let node = self.make(Kind::Directory, raw.a);
                self.entries.insert(node, BTreeMap::new());
                self.names(vec![(text(&raw.x), Some(node))])?
            }
            b'U' => self.names(vec![(text(&raw.x), None)])?,
            b'R' => {
                let (from, to) = (text(&raw.x), text(&raw.y));
                let node = self.find(&from)?;
                self.names(vec![(from, None), (to, Some(node))])?
            }
            b'L' => {
                let node = self.find(&text(&raw.x))?;
                self.names(vec![(text(&raw.y), Some(node))])?
            }
            b'W' => Step::Data(
                self.node(raw.a)?,
                Change::Write {
                    at: index(raw.b)?,
                    bytes: raw.x.clone(),
                },
            ),
            b'T' => Step::Data(self.node(raw.a)?, Change::SetLength(index(raw.b)?)),
            b'S' => Step::Sync(self.node(raw.a)?),
            b'M' => Step::Said(text(&raw.x)),
            b'A' => Step::Accepted(Ends(raw.a)),
            b'N' => Step::Sent(Ends(raw.a), raw.b),
            b'X' => return Err(format!("the recorder cannot record {}", text(&raw.x))),
            other => return Err(format!("no kind of step: {other}")),
        })
    }

    fn make(&mut self, kind: Kind, inode: u64) -> Node {
        self.nodes.push(kind);
        let node = self.nodes.len() - 1;
        self.inodes.insert(inode, node);
        node
    }

    fn node(&self, inode: u64) -> Result<Node, String> {
        let known = self.inodes.get(&inode).copied();
        known.ok_or_else(|| format!("inode {inode} was made by nobody"))
    }

    fn names(&mut self, changes: Vec<(String, Option<Node>)>) -> Result<Step, String> {
        let mut entries = Vec::new();
        for (path, to) in changes {
            let (parent, name) = path.rsplit_once('/').unwrap_or(("", &path));
            let dir = self.find(parent)?;
            let listed = self.entries.get_mut(&dir).ok_or("not a directory")?;
            match to {
                Some(node) => listed.insert(name.to_owned(), node),
                None => listed.remove(name),
            };
            entries.push(Entry {
                dir,
                name: name.to_owned(),
                to,
            });
        }
        Ok(Step::Names(entries))
    }

    fn find(&self, path: &str) -> Result<Node, String> {
        let mut node = ROOT;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let listed = self.entries.get(&node).and_then(|listed| listed.get(name));
            node = *listed.ok_or_else(|| format!("{path} was made by nobody"))?;
        }
        Ok(node)
    }
}

fn index(number: u64) -> Result<usize, String> {
    usize::try_from(number).map_err(|error| error.to_string())
}

//! Reading a chat text that is larger than memory allows.
//!
//! The same messages as [`import`](crate::import) gives, in parts, with at most some megabytes
//! held at a time. What decides about all of a file (the order of day and month, how it pads its
//! numbers, who appears once) is counted in passes over it, so the file must be one that can be
//! read from any place again, and must not change meanwhile.

mod lines;
mod rows;

use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::ops::Range;

use candour_wire::Digest;
use ring::digest::{Context, SHA256};

use lines::Lines;
use rows::{Names, Placed, Rows};

use super::authors::{Settled, Survey};
use super::fit::keep_apart;
use super::scan::{self, Figures, Line, Raw};
use super::{Layout, WhatsApp, body, describe, order};
use crate::conversation::{Authors, Headers, Person};
use crate::files::Files;
use crate::limits::{PREAMBLE_MAX_BYTES, STREAM_MESSAGE_MAX_BYTES};
use crate::row::{NOBODY, Row};
use crate::{Conversation, DateOrder, EmbeddedHeaders, Format, ImportError, Options, OrderBasis};

/// How much text is handed out in one part, in bytes, unless one message alone is longer.
const PART_BYTES: u64 = 1 << 20;

/// Most messages in one part.
const PART_ROWS: usize = 8_192;

/// A chat text in a file of any size, read in parts.
///
/// ```
/// use candour_import::{ChatStream, Options};
/// let text = "13/02/2024, 09:05 - Alice Example: The annex is late.\n";
/// let mut chat = ChatStream::open(std::io::Cursor::new(text), Options::default())?;
/// let part = chat.next_part()?.expect("there is one");
/// let message = part.conversation().message(0).expect("there is one");
/// assert_eq!(message.text(), "The annex is late.");
/// # Ok::<(), candour_import::ImportError>(())
/// ```
pub struct ChatStream<'o, R> {
    file: R,
    options: Options<'o>,
    plan: Plan,
    apart: bool,
    names: Names,
    settled: Settled,
    digest: Digest,
    messages: u64,
    pass: Rows,
    /// The first row of the next part, which did not fit into the last one.
    held: Option<Placed>,
    handed_out: u64,
    buffer: Vec<u8>,
}

/// What was found out about all of a file.
pub(super) struct Plan {
    figures: Figures,
    order: DateOrder,
    basis: OrderBasis,
    embedded: EmbeddedHeaders,
    /// Where the first header stands.
    start: u64,
    /// How long the file is.
    bytes: u64,
}

impl<'o, R: Read + Seek> ChatStream<'o, R> {
    /// Passes over the whole of `file`, three or four times, and finds out what decides about all
    /// of it. Blocks on `file`.
    ///
    /// # Errors
    ///
    /// As [`import`](crate::import), but that there is no limit to the file's size;
    /// [`ImportError::MessageTooLarge`] when one message alone is too large to be held,
    /// [`ImportError::TooManyNames`] when there are too many names, and
    /// [`ImportError::Damaged`] when `file` cannot be read.
    pub fn open(mut file: R, options: Options<'o>) -> Result<Self, ImportError> {
        let (plan, digest) = measure(&mut file, &options)?;
        let mut apart = options.embedded == EmbeddedHeaders::ReadAsMessages;
        let mut counted = survey(&mut file, &plan, apart, &options)?;
        let (runs, rows) = counted.out_of_time;
        if !apart && keep_apart(options.embedded, runs, rows) {
            // The rows were counted as if time decided, and it turns out that it does not.
            apart = true;
            counted = survey(&mut file, &plan, apart, &options)?;
        }
        let names: Vec<&[u8]> = counted.names.list.iter().map(AsRef::as_ref).collect();
        let settled = counted.survey.settle(&names, options.title);
        Ok(Self {
            file,
            options,
            apart,
            names: counted.names,
            settled,
            digest,
            messages: counted.messages,
            pass: Rows::from(plan.start, apart),
            plan,
            held: None,
            handed_out: 0,
            buffer: Vec::new(),
        })
    }

    /// The next messages of the chat, in the order of the file; `None` behind the last ones.
    /// Blocks on the file.
    ///
    /// # Errors
    ///
    /// [`ImportError::Damaged`] when the file cannot be read or has changed.
    pub fn next_part(&mut self) -> Result<Option<Part<'_>>, ImportError> {
        let Batch { span, mut rows } = {
            let mut next = || self.pass.next(&mut self.file, &self.plan, &mut self.names);
            let Some(batch) = batch(&mut self.held, &mut next)? else {
                return Ok(None);
            };
            batch
        };
        read_span(&mut self.file, &span, &mut self.buffer)?;
        let first = self.handed_out;
        self.handed_out += rows.len() as u64;
        let sound = std::str::from_utf8(&self.buffer).is_ok();
        super::each_with_end(&mut rows, &self.buffer, |row, index, whole| {
            describe(row, whole, sound, &self.options);
            let is_first = first == 0 && index == 0;
            self.settled
                .apply(row, is_first, body(row, whole), &self.options);
        });
        let people = self.people(&mut rows);
        Ok(Some(Part {
            conversation: Conversation {
                format: Format::WhatsAppText,
                files: Files::one(&self.buffer),
                rows,
                authors: Authors::People(people),
                title: self.settled.title.clone(),
                headers: Some(Headers {
                    layout: self.plan.figures.shape.layout,
                    order: self.plan.order,
                    basis: self.plan.basis,
                }),
                caveats: super::caveats(if first == 0 { span.start } else { 0 }),
                dialect: Box::new(WhatsApp),
            },
            first,
            offset: span.start,
        }))
    }

    /// Starts again with the first message.
    pub fn rewind(&mut self) {
        self.pass = Rows::from(self.plan.start, self.apart);
        self.held = None;
        self.handed_out = 0;
    }

    /// The people of one part; its rows then count in them.
    fn people(&self, rows: &mut [Row]) -> Vec<Person> {
        let mut places: Vec<u32> = rows
            .iter()
            .map(|row| row.author)
            .filter(|author| *author != NOBODY)
            .collect();
        places.sort_unstable();
        places.dedup();
        for row in rows {
            if let Ok(place) = places.binary_search(&row.author) {
                row.author = u32::try_from(place).unwrap_or(NOBODY);
            }
        }
        let name = |place: u32| {
            let place = place as usize;
            let short = self.names.list.get(place).map(AsRef::as_ref);
            self.settled
                .longer_name(place)
                .or(short)
                .unwrap_or_default()
        };
        places
            .into_iter()
            .map(|place| Person {
                name: Some(String::from_utf8_lossy(name(place)).into_owned()),
                id: None,
            })
            .collect()
    }
}

impl<R> ChatStream<'_, R> {
    /// How many rows there are, the app's own among them.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.messages
    }

    /// Whether there are none. A chat has at least one.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.messages == 0
    }

    /// How many bytes the file has.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.plan.bytes
    }

    /// SHA-256 of the file.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The title: as given, or as the chat names it.
    #[must_use]
    pub fn title(&self) -> Option<&str> {
        self.settled.title.as_deref()
    }

    /// Which phone wrote the headers.
    #[must_use]
    pub const fn layout(&self) -> Layout {
        self.plan.figures.shape.layout
    }

    /// The order in which the numbers of dates were read.
    #[must_use]
    pub const fn date_order(&self) -> DateOrder {
        self.plan.order
    }

    /// Why they were read in that order.
    #[must_use]
    pub const fn order_basis(&self) -> OrderBasis {
        self.plan.basis
    }
}

impl<R> std::fmt::Debug for ChatStream<'_, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChatStream")
            .field("bytes", &self.plan.bytes)
            .field("messages", &self.messages)
            .finish_non_exhaustive()
    }
}

/// Some messages of a [`ChatStream`].
#[derive(Debug)]
pub struct Part<'p> {
    conversation: Conversation<'p>,
    first: u64,
    offset: u64,
}

impl<'p> Part<'p> {
    /// The messages. Their indices and spans count from the start of the part, and so do the
    /// source and the digest of this conversation: they are the part's.
    #[must_use]
    pub const fn conversation(&self) -> &Conversation<'p> {
        &self.conversation
    }

    /// The place of its first message in the whole chat, from 0.
    #[must_use]
    pub const fn first(&self) -> u64 {
        self.first
    }

    /// Where it starts in the file, in bytes.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }
}

/// The first pass: what all headers say together.
fn measure<R: Read + Seek>(
    file: &mut R,
    options: &Options<'_>,
) -> Result<(Plan, Digest), ImportError> {
    let mut context = Context::new(&SHA256);
    let mut bytes = 0;
    file.rewind().map_err(damaged)?;
    let mut head = Vec::new();
    file.by_ref()
        // A header may begin as far in as this, and must be whole.
        .take(PREAMBLE_MAX_BYTES as u64 + scan::LINE_START_BYTES as u64)
        .read_to_end(&mut head)
        .map_err(damaged)?;
    let (start, shape) = scan::lock(&head)?;
    drop(head);

    let mut figures = Figures::new(shape);
    let start = start as u64;
    file.rewind().map_err(damaged)?;
    let mut chunk = vec![0; 64 << 10];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => {
                context.update(chunk.get(..read).unwrap_or_default());
                bytes += read as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(damaged(error)),
        }
    }
    drop(chunk);
    let mut lines = Lines::from(start);
    while let Some((_, line)) = lines.next(file).map_err(damaged)? {
        if let Line::Header(header) = Line::read(&shape, line) {
            figures.add(Raw::of(&header));
        }
    }
    let (order, basis) = order::decide(&figures.tally, shape.year, options.date_order)?;
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    let plan = Plan {
        figures,
        order,
        basis,
        embedded: options.embedded,
        start,
        bytes,
    };
    Ok((plan, Digest(digest)))
}

/// What the second pass counts.
struct Counted {
    survey: Survey,
    names: Names,
    messages: u64,
    out_of_time: (usize, usize),
}

/// The second pass: what every author's rows have in common.
fn survey<R: Read + Seek>(
    file: &mut R,
    plan: &Plan,
    apart: bool,
    options: &Options<'_>,
) -> Result<Counted, ImportError> {
    let mut names = Names::default();
    let mut survey = Survey::new();
    let mut pass = Rows::from(plan.start, apart);
    let (mut held, mut buffer, mut messages) = (None, Vec::new(), 0);
    while let Some(Batch { span, mut rows }) =
        batch(&mut held, &mut || pass.next(file, plan, &mut names))?
    {
        read_span(file, &span, &mut buffer)?;
        messages += rows.len() as u64;
        super::each_with_end(&mut rows, &buffer, |row, _, whole| {
            // Damage is looked for when the messages are handed out.
            describe(row, whole, true, options);
            survey.add(row, body(row, whole), options);
        });
    }
    Ok(Counted {
        survey,
        names,
        messages,
        out_of_time: pass.out_of_time(),
    })
}

/// The rows of a part, which count from its start, and where it stands.
struct Batch {
    span: Range<u64>,
    rows: Vec<Row>,
}

/// Gathers the rows of the next part; the one that is too many is `held` for the part after it.
fn batch(
    held: &mut Option<Placed>,
    next: &mut impl FnMut() -> Result<Option<Placed>, ImportError>,
) -> Result<Option<Batch>, ImportError> {
    let mut rows: Vec<Row> = Vec::new();
    let mut span: Option<Range<u64>> = None;
    loop {
        let placed = match held.take() {
            Some(placed) => Some(placed),
            None => next()?,
        };
        let Some(mut placed) = placed else {
            return Ok(span.map(|span| Batch { span, rows }));
        };
        let length = placed.span.end - placed.span.start;
        if length > STREAM_MESSAGE_MAX_BYTES {
            return Err(ImportError::MessageTooLarge);
        }
        let part = span.get_or_insert(placed.span.start..placed.span.start);
        let is_full = rows.len() == PART_ROWS || placed.span.end - part.start > PART_BYTES;
        if is_full && !rows.is_empty() {
            *held = Some(placed);
            return Ok(span.map(|span| Batch { span, rows }));
        }
        // At most PART_BYTES or STREAM_MESSAGE_MAX_BYTES.
        let start = u32::try_from(placed.span.start - part.start).unwrap_or(u32::MAX);
        placed.row.start = start;
        placed.row.body += start;
        part.end = placed.span.end;
        rows.push(placed.row);
    }
}

fn read_span<R: Read + Seek>(
    file: &mut R,
    span: &Range<u64>,
    buffer: &mut Vec<u8>,
) -> Result<(), ImportError> {
    // At most PART_BYTES or STREAM_MESSAGE_MAX_BYTES.
    let length = usize::try_from(span.end - span.start).unwrap_or(0);
    buffer.resize(length, 0);
    file.seek(SeekFrom::Start(span.start)).map_err(damaged)?;
    file.read_exact(buffer).map_err(damaged)
}

fn damaged(error: io::Error) -> ImportError {
    ImportError::Damaged(error)
}

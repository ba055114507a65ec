//! The directory: segment files are created, read, written, set aside and removed here, and nowhere else.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, ErrorKind},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use super::{
    OutboxError, Quarantined, Recovery,
    segment::{self, HEADER, Header, HeaderFault, Scan},
};

/// The segment files of one outbox. Only the last one grows, and only in the process that began it.
#[derive(Debug)]
pub(super) struct Store {
    dir: PathBuf,
    /// Held for as long as the outbox is open; absent on a disk that cannot be written.
    _lock: Option<File>,
    segments: BTreeMap<u64, Segment>,
    /// The one that grows.
    active: Option<u64>,
    next: u64,
}

#[derive(Debug)]
struct Segment {
    file: File,
    bytes: u64,
}

/// What one readable file holds.
#[derive(Debug)]
pub(super) struct Loaded {
    pub segment: u64,
    pub base: u64,
    pub scan: Scan,
    /// It is damaged: its transitions are to be written elsewhere and the file set aside.
    pub damaged: Option<String>,
}

impl Store {
    /// Opens the directory and reads every segment in it. Whatever is not a sound segment is set aside.
    pub fn open(dir: &Path) -> Result<(Store, Vec<Loaded>, Recovery), OutboxError> {
        let mut recovery = Recovery::default();
        let lock = match lock(dir) {
            Ok(lock) => Some(lock),
            Err(Locking::Held) => return Err(OutboxError::InUse { path: dir.to_owned() }),
            Err(Locking::Failed(source)) if refuses_writes(&source) => {
                recovery.degraded = Some(source.to_string());
                None
            }
            Err(Locking::Failed(source)) => return Err(OutboxError::Unusable { path: dir.to_owned(), source }),
        };
        let mut store = Store { dir: dir.to_owned(), _lock: lock, segments: BTreeMap::new(), active: None, next: 1 };
        let mut loaded = Vec::new();
        for path in list(dir, &recovery)? {
            store.load(&path, &mut loaded, &mut recovery);
        }
        loaded.sort_by_key(|loaded| loaded.segment);
        Ok((store, loaded, recovery))
    }

    /// Why nothing more is to be written for now: the disk is nearly full, and what is left belongs to others.
    pub fn starved(&self) -> Option<String> {
        // A filesystem that does not tell is asked by writing.
        let disk = rustix::fs::statvfs(&self.dir).ok()?;
        let (free, floor) = (disk.f_bavail * disk.f_frsize, floor(disk.f_blocks * disk.f_frsize));
        (free < floor).then(|| format!("{} KiB are free, {} KiB are left to others", free / 1024, floor / 1024))
    }

    /// Writes records at the end, in a new segment if there is none to grow, and makes them durable. On an error
    /// nothing was written, as far as a later start will see or count twice.
    pub fn append(&mut self, records: &[u8], base: u64, durable: bool) -> io::Result<(u64, u64)> {
        let segment = match self.active {
            Some(segment) => segment,
            None => self.create(base)?,
        };
        // `active` always names a segment that is in the map.
        let Some(grown) = self.segments.get_mut(&segment) else { return Err(ErrorKind::NotFound.into()) };
        let offset = grown.bytes;
        let written = grown.file.write_all_at(records, offset);
        match written.and_then(|()| if durable { grown.file.sync_data() } else { Ok(()) }) {
            Ok(()) => {
                grown.bytes += records.len() as u64;
                Ok((segment, offset))
            }
            Err(error) => {
                // After a failed fsync nobody knows which pages reached the disk: the next try begins a new file.
                _ = grown.file.set_len(offset);
                self.active = None;
                Err(error)
            }
        }
    }

    /// Writes records into a segment of their own that appears whole or not at all.
    pub fn write_whole(&mut self, records: &[u8], base: u64) -> io::Result<u64> {
        let segment = self.next;
        let unfinished = self.dir.join(format!("{}{UNFINISHED}", file_name(segment)));
        let written = (|| {
            let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&unfinished)?;
            file.write_all_at(&segment::encode_header(Header { segment, base }), 0)?;
            file.write_all_at(records, HEADER as u64)?;
            file.sync_all()?;
            fs::rename(&unfinished, self.dir.join(file_name(segment)))?;
            self.sync_dir()?;
            Ok(file)
        })();
        match written {
            Ok(file) => {
                self.next += 1;
                self.segments.insert(segment, Segment { file, bytes: (HEADER + records.len()) as u64 });
                Ok(segment)
            }
            Err(error) => {
                _ = fs::remove_file(&unfinished);
                // The rename may have happened: that number is not to be used again.
                self.next += 1;
                Err(error)
            }
        }
    }

    pub fn read(&self, segment: u64, offset: u64, length: u32) -> io::Result<Vec<u8>> {
        let segment = self.segments.get(&segment).ok_or(ErrorKind::NotFound)?;
        let mut bytes = vec![0; length as usize];
        segment.file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }

    /// Ends the growing segment once it has this size.
    pub fn seal_at(&mut self, bytes: u64) {
        self.active = self.active.filter(|active| self.segments.get(active).is_some_and(|grown| grown.bytes < bytes));
    }

    /// Removes segments for good.
    pub fn remove(&mut self, segments: &[u64]) {
        for segment in segments {
            self.segments.remove(segment);
            _ = fs::remove_file(self.dir.join(file_name(*segment)));
        }
        if !segments.is_empty() {
            _ = self.sync_dir();
        }
    }

    /// Renames a file of ours aside.
    pub fn set_aside(&mut self, segment: u64, reason: String, rescued: usize) -> Quarantined {
        self.segments.remove(&segment);
        quarantine(&self.dir, &file_name(segment), reason, rescued)
    }

    /// Segments that do not grow any more, with their sizes.
    pub fn sealed(&self) -> impl Iterator<Item = (u64, u64)> {
        let active = self.active;
        self.segments
            .iter()
            .filter(move |(number, _)| Some(**number) != active)
            .map(|(number, segment)| (*number, segment.bytes))
    }

    pub fn bytes(&self) -> u64 {
        self.segments.values().map(|segment| segment.bytes).sum()
    }

    fn load(&mut self, path: &Path, loaded: &mut Vec<Loaded>, recovery: &mut Recovery) {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let Some(number) = segment_number(&name) else {
            if name.ends_with(UNFINISHED) {
                // A rewrite that a crash cut short: its sources are all still there.
                _ = fs::remove_file(path);
            } else {
                let reason = "not a file of the outbox".to_owned();
                recovery.quarantined.push(quarantine(&self.dir, &name, reason, 0));
            }
            return;
        };
        self.next = self.next.max(number.saturating_add(1));
        let read = fs::read(path).and_then(|bytes| {
            let writable = OpenOptions::new().read(true).write(true).open(path);
            Ok((writable.or_else(|_| File::open(path))?, bytes))
        });
        let (file, bytes) = match read {
            Ok(read) => read,
            Err(error) => {
                let reason = format!("cannot be read: {error}");
                recovery.quarantined.push(quarantine(&self.dir, &name, reason, 0));
                return;
            }
        };
        let reason = match segment::decode_header(&bytes) {
            Ok(header) if header.segment == number => {
                let scan = segment::scan(&bytes);
                let mut length = bytes.len();
                if let Some(torn) = scan.torn_at {
                    recovery.torn_bytes += (length - torn) as u64;
                    length = torn;
                    _ = file.set_len(torn as u64);
                }
                let damaged = damage(&scan);
                self.segments.insert(number, Segment { file, bytes: length as u64 });
                loaded.push(Loaded { segment: number, base: header.base, scan, damaged });
                return;
            }
            Err(HeaderFault::Torn) => {
                // Created, and the power went: there is nothing in it.
                recovery.torn_bytes += bytes.len() as u64;
                _ = fs::remove_file(path);
                return;
            }
            Ok(header) => format!("a copy of segment {}, expected {number}", header.segment),
            Err(HeaderFault::Foreign) => "does not begin like an outbox segment".to_owned(),
            Err(HeaderFault::Damaged) => "its header fails the checksum".to_owned(),
            Err(HeaderFault::Version(version)) => {
                format!("format version {version}, expected 1; a newer wheeltapper wrote it and can read it")
            }
        };
        recovery.quarantined.push(quarantine(&self.dir, &name, reason, 0));
    }

    fn create(&mut self, base: u64) -> io::Result<u64> {
        let segment = self.next;
        let path = self.dir.join(file_name(segment));
        let created = (|| {
            let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
            file.write_all_at(&segment::encode_header(Header { segment, base }), 0)?;
            file.sync_all()?;
            self.sync_dir()?;
            Ok(file)
        })();
        self.next += 1;
        match created {
            Ok(file) => {
                self.segments.insert(segment, Segment { file, bytes: HEADER as u64 });
                self.active = Some(segment);
                Ok(segment)
            }
            Err(error) => {
                _ = fs::remove_file(&path);
                Err(error)
            }
        }
    }

    fn sync_dir(&self) -> io::Result<()> {
        File::open(&self.dir)?.sync_all()
    }
}

enum Locking {
    Held,
    Failed(io::Error),
}

fn lock(dir: &Path) -> Result<File, Locking> {
    let create = || {
        if !dir.is_dir() {
            fs::create_dir_all(dir)?;
            if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                File::open(parent)?.sync_all()?;
            }
        }
        OpenOptions::new().write(true).create(true).truncate(false).open(dir.join(LOCK))
    };
    let file = create().map_err(Locking::Failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Locking::Held),
        Err(TryLockError::Error(error)) => Err(Locking::Failed(error)),
    }
}

fn list(dir: &Path, recovery: &Recovery) -> Result<Vec<PathBuf>, OutboxError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        // The directory could not be made on a disk that takes no writes: begin in memory.
        Err(_) if recovery.degraded.is_some() => return Ok(Vec::new()),
        Err(source) => return Err(OutboxError::Unusable { path: dir.to_owned(), source }),
    };
    let files = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| !kind.is_dir()));
    let mut paths: Vec<_> =
        files.map(|entry| entry.path()).filter(|path| path.file_name() != Some(LOCK.as_ref())).collect();
    paths.sort();
    Ok(paths)
}

fn quarantine(dir: &Path, name: &str, reason: String, rescued: usize) -> Quarantined {
    let aside = dir.join(QUARANTINE);
    let renamed = fs::create_dir_all(&aside).and_then(|()| {
        let number = fs::read_dir(&aside)?
            .flatten()
            .filter_map(|entry| quarantine_number(&entry.file_name().to_string_lossy()))
            .max();
        let target = aside.join(format!("{:06}-{name}", number.map_or(1, |number| number + 1)));
        fs::rename(dir.join(name), &target)?;
        Ok(target)
    });
    prune(&aside);
    tracing::warn!(file = name, reason, rescued, "outbox: file set aside");
    Quarantined { name: name.to_owned(), moved_to: renamed.ok(), reason, rescued }
}

/// Keeps the newest files aside, so that a disk that damages a file a day does not fill up.
fn prune(aside: &Path) {
    let Ok(entries) = fs::read_dir(aside) else { return };
    let mut numbered: Vec<_> = entries
        .flatten()
        .filter_map(|entry| Some((quarantine_number(&entry.file_name().to_string_lossy())?, entry.path())))
        .collect();
    numbered.sort();
    let surplus = numbered.len().saturating_sub(KEPT_ASIDE);
    numbered.into_iter().take(surplus).for_each(|(_, path)| _ = fs::remove_file(path));
}

fn quarantine_number(name: &str) -> Option<u64> {
    name.split_once('-')?.0.parse().ok()
}

fn damage(scan: &Scan) -> Option<String> {
    let first = scan.damage.first()?;
    let bytes: usize = scan.damage.iter().map(ExactSizeIterator::len).sum();
    Some(format!("{bytes} bytes in {} places fail the checksum, the first at byte {}", scan.damage.len(), first.start))
}

fn file_name(segment: u64) -> String {
    format!("{PREFIX}{segment:010}{SUFFIX}")
}

fn segment_number(name: &str) -> Option<u64> {
    let number = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse().ok()?;
    // Exactly as it would be written, so that no two names stand for one segment.
    (file_name(number) == name).then_some(number)
}

fn refuses_writes(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::ReadOnlyFilesystem | ErrorKind::QuotaExceeded)
}

/// What of a disk is left to others, in bytes.
fn floor(disk: u64) -> u64 {
    (disk / 50).min(16 << 20)
}

const PREFIX: &str = "outbox-";
const SUFFIX: &str = ".seg";
const UNFINISHED: &str = ".unfinished";
const LOCK: &str = "lock";
const QUARANTINE: &str = "quarantine";
const KEPT_ASIDE: usize = 8;

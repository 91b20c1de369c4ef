//! What the documents of a task are called: their ids and content keys, for those that drop others; and how long they are.

use crate::doc::{ContentKey, DocId};
use crate::exchange::record::{Record, put_varint, take, take_varint};

/// The bytes in a block of a file of names.
pub const NAMES_BLOCK: usize = 32 << 10;

/// What a document is called. Ordered as its task is read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NameRow {
    /// The document.
    pub doc: DocId,
    /// Its content key, if it was worked out.
    pub key: Option<ContentKey>,
    /// Its id, if it has one.
    pub id: Option<String>,
    /// How long it is, if other thresholds shall be tried.
    pub size: Option<Size>,
}

/// How long a document is, or several together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size {
    /// Bytes of text, in UTF-8.
    pub bytes: u64,
    /// Tokens, estimated.
    pub tokens: u64,
}

const HAS_KEY: u8 = 1;
const HAS_ID: u8 = 2;
const HAS_SIZE: u8 = 4;

impl Record for NameRow {
    const KIND: u32 = 8;

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.doc.to_u64().to_le_bytes());
        let has = |there: bool, flag: u8| u8::from(there) * flag;
        out.push(
            has(self.key.is_some(), HAS_KEY) | has(self.id.is_some(), HAS_ID) | has(self.size.is_some(), HAS_SIZE),
        );
        if let Some(key) = &self.key {
            out.extend_from_slice(key);
        }
        if let Some(id) = &self.id {
            out.extend_from_slice(&(id.len() as u32).to_le_bytes());
            out.extend_from_slice(id.as_bytes());
        }
        if let Some(size) = self.size {
            put_varint(size.bytes, out);
            put_varint(size.tokens, out);
        }
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let doc = DocId::from_u64(u64::from_le_bytes(take(bytes)?));
        let [flags] = take(bytes)?;
        let key = if flags & HAS_KEY > 0 { Some(take(bytes)?) } else { None };
        let id = if flags & HAS_ID > 0 {
            let len = u32::from_le_bytes(take(bytes)?) as usize;
            let (id, rest) = bytes.split_at_checked(len)?;
            *bytes = rest;
            Some(String::from_utf8(id.to_vec()).ok()?)
        } else {
            None
        };
        let size = if flags & HAS_SIZE > 0 {
            Some(Size { bytes: take_varint(bytes)?, tokens: take_varint(bytes)? })
        } else {
            None
        };
        Some(Self { doc, key, id, size })
    }

    fn heap_size(&self) -> usize {
        self.id.as_ref().map_or(0, String::len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        let size = Some(Size { bytes: 300, tokens: 75 });
        for (key, id, size) in [
            (None, None, None),
            (Some([7; 16]), Some("ü".to_owned()), size),
            (None, Some(String::new()), None),
            (None, None, size),
        ] {
            let row = NameRow { doc: DocId::new(1, 2), key, id, size };
            let mut bytes = Vec::new();
            row.encode(&mut bytes);
            assert_eq!(NameRow::decode(&mut bytes.as_slice()), Some(row));
            assert_eq!(NameRow::decode(&mut &bytes[..bytes.len() - 1]), None, "cut short");
        }
    }
}

//! What the documents of a task are called: their ids and content keys, for those that drop others.

use crate::doc::{ContentKey, DocId};
use crate::exchange::record::{Record, take};

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
}

const HAS_KEY: u8 = 1;
const HAS_ID: u8 = 2;

impl Record for NameRow {
    const KIND: u32 = 8;

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.doc.to_u64().to_le_bytes());
        out.push(u8::from(self.key.is_some()) * HAS_KEY + u8::from(self.id.is_some()) * HAS_ID);
        if let Some(key) = &self.key {
            out.extend_from_slice(key);
        }
        if let Some(id) = &self.id {
            out.extend_from_slice(&(id.len() as u32).to_le_bytes());
            out.extend_from_slice(id.as_bytes());
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
        Some(Self { doc, key, id })
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
        for (key, id) in [(None, None), (Some([7; 16]), Some("ü".to_owned())), (None, Some(String::new()))] {
            let row = NameRow { doc: DocId::new(1, 2), key, id };
            let mut bytes = Vec::new();
            row.encode(&mut bytes);
            assert_eq!(NameRow::decode(&mut bytes.as_slice()), Some(row));
            assert_eq!(NameRow::decode(&mut &bytes[..bytes.len() - 1]), None, "cut short");
        }
    }
}

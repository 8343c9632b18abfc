//! Calls as bytes: what a journal keeps of them on a disk.
//!
//! A version, then integers of fixed width, little-endian, and texts with their lengths in front.
//! Names that repeat (steps, lanes) are written once, in a table.

use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use super::Lane;
use crate::delivery::{Body, Failure, Kind, Payload, Phase};
use crate::error::{Error, ErrorKind, Result};
use crate::execution::{ReplayOf, Resolution};
use crate::recording::Item;
use crate::time::Timestamp;

/// The form that [`encode`] writes. Every form that was ever released stays readable.
const VERSION: u8 = 1;

const HAS_BODY: u8 = 1;
const HAS_CONTENT_TYPE: u8 = 2;
const HAS_WARNINGS: u8 = 4;
const HAS_REFUSAL: u8 = 8;
const HAS_REPLAYED: u8 = 16;
const HAS_SECRET: u8 = 32;
const HAS_WEBHOOK: u8 = 64;

/// Writes calls and the lanes that they wait in.
pub(super) fn encode<'a, Calls>(calls: Calls) -> Vec<u8>
where
    Calls: IntoIterator<Item = &'a (Lane, Item), IntoIter: ExactSizeIterator + Clone>,
{
    let calls = calls.into_iter();
    let texts: usize = calls.clone().map(|(_, item)| item.payload.len() + 64).sum();
    let mut encoder = CallEncoder { bytes: Vec::with_capacity(texts + 64), names: Vec::new() };
    encoder.bytes.push(VERSION);
    encoder.length(calls.len());
    for (lane, item) in calls {
        encoder.call(lane, item);
    }
    encoder.bytes
}

/// Reads what [`encode`] wrote.
///
/// # Errors
/// `Journal` for anything else.
pub(super) fn decode(bytes: &[u8]) -> Result<Vec<(Lane, Item)>> {
    let mut decoder = CallDecoder { rest: bytes, names: Vec::new() };
    if decoder.byte()? != VERSION {
        return Err(damaged());
    }
    let calls = (0..decoder.length()?).map(|_| decoder.call()).collect::<Result<Vec<_>>>()?;
    if decoder.rest.is_empty() { Ok(calls) } else { Err(damaged()) }
}

fn damaged() -> Error {
    let message = "a call in the journal cannot be read: it is damaged, or a newer version of \
                   dollar-send wrote it";
    Error::new(ErrorKind::Journal, message)
}

struct CallEncoder<'a> {
    bytes: Vec<u8>,
    names: Vec<&'a str>,
}

impl<'a> CallEncoder<'a> {
    fn call(&mut self, lane: &'a Lane, item: &'a Item) {
        let Item { kind, step, index, replay, recorded_at, payload, warnings, refused } = item;
        let body = payload.body.as_ref();
        let content_type = body.and_then(|body| body.content_type.as_deref());
        let secret = body.and_then(|body| body.secret.as_deref());
        let webhook = payload.webhook();
        self.bytes.push(
            flag(body.is_some(), HAS_BODY)
                | flag(content_type.is_some(), HAS_CONTENT_TYPE)
                | flag(!warnings.is_empty(), HAS_WARNINGS)
                | flag(refused.is_some(), HAS_REFUSAL)
                | flag(replay.is_some(), HAS_REPLAYED)
                | flag(secret.is_some(), HAS_SECRET)
                | flag(webhook.is_some(), HAS_WEBHOOK),
        );
        self.name(lane.kind.name());
        self.name(&lane.key);
        self.name(kind.name());
        self.name(step);
        self.bytes.extend_from_slice(&index.to_le_bytes());
        self.bytes.extend_from_slice(&recorded_at.as_millis().to_le_bytes());
        self.text(&payload.text);
        if let Some(body) = body {
            self.text(&body.bytes);
        }
        if let Some(content_type) = content_type {
            self.text(content_type.as_bytes());
        }
        if let Some(secret) = secret {
            self.text(secret.as_bytes());
        }
        if let Some(webhook) = webhook {
            self.text(webhook.as_bytes());
        }
        if !warnings.is_empty() {
            self.length(warnings.len());
            for warning in warnings {
                self.text(warning.as_bytes());
            }
        }
        if let Some(failure) = refused {
            self.text(failure.kind.code().as_bytes());
            self.text(failure.message.as_bytes());
            self.text(failure.phase.map_or("", Phase::as_str).as_bytes());
        }
        if let Some(replay) = replay {
            self.bytes.extend_from_slice(replay.id.as_bytes());
        }
    }

    /// A name by its place in the table, and the name itself where it is new.
    fn name(&mut self, name: &'a str) {
        let known = self.names.iter().rposition(|known| *known == name);
        self.length(known.unwrap_or(self.names.len()));
        if known.is_none() {
            self.names.push(name);
            self.text(name.as_bytes());
        }
    }

    fn text(&mut self, text: &[u8]) {
        self.length(text.len());
        self.bytes.extend_from_slice(text);
    }

    /// A number of things in memory; a call is far smaller than 4 GiB.
    fn length(&mut self, length: usize) {
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        self.bytes.extend_from_slice(&length.to_le_bytes());
    }
}

const fn flag(set: bool, flag: u8) -> u8 {
    if set { flag } else { 0 }
}

struct CallDecoder<'a> {
    rest: &'a [u8],
    names: Vec<Arc<str>>,
}

impl<'a> CallDecoder<'a> {
    fn call(&mut self) -> Result<(Lane, Item)> {
        let flags = self.byte()?;
        let has = |flag| flags & flag != 0;
        let lane = Lane { kind: self.kind()?, key: self.name()? };
        let (kind, step) = (self.kind()?, self.name()?);
        let index = u32::from_le_bytes(self.array()?);
        let recorded_at = Timestamp::from_millis(u64::from_le_bytes(self.array()?));
        let text = Bytes::copy_from_slice(self.text()?);
        let body = if has(HAS_BODY) { Some(Bytes::copy_from_slice(self.text()?)) } else { None };
        let content_type = if has(HAS_CONTENT_TYPE) { Some(self.string()?.into()) } else { None };
        let secret = if has(HAS_SECRET) { Some(self.string()?.into()) } else { None };
        let webhook = if has(HAS_WEBHOOK) { Some(self.string()?.into()) } else { None };
        let body = body.map(|bytes| Box::new(Body { bytes, content_type, secret, webhook }));
        let warnings = if has(HAS_WARNINGS) { self.strings()? } else { Vec::new() };
        let refused = if has(HAS_REFUSAL) { Some(Box::new(self.failure()?)) } else { None };
        let replay = if has(HAS_REPLAYED) { Some(Box::new(self.replay()?)) } else { None };
        let payload = Payload { text, body };
        Ok((lane, Item { kind, step, index, replay, recorded_at, payload, warnings, refused }))
    }

    /// Reads a replay. Its call is known by the table of deliveries.
    fn replay(&mut self) -> Result<ReplayOf> {
        let id = Uuid::from_bytes(self.array()?);
        Ok(ReplayOf { id, call: id, before: Resolution::Failed })
    }

    fn kind(&mut self) -> Result<Kind> {
        Kind::from_name(&self.name()?).ok_or_else(damaged)
    }

    fn failure(&mut self) -> Result<Failure> {
        let kind = ErrorKind::from_code(&self.string()?).ok_or_else(damaged)?;
        let message = self.string()?;
        let phase = match &*self.string()? {
            "" => None,
            name => Some(Phase::from_name(name).ok_or_else(damaged)?),
        };
        Ok(Failure { kind, message, phase, status: None, is_local: false })
    }

    fn name(&mut self) -> Result<Arc<str>> {
        let place = self.length()?;
        if place == self.names.len() {
            let name = self.string()?;
            self.names.push(name.into());
        }
        self.names.get(place).cloned().ok_or_else(damaged)
    }

    fn strings(&mut self) -> Result<Vec<String>> {
        (0..self.length()?).map(|_| self.string()).collect()
    }

    fn string(&mut self) -> Result<String> {
        String::from_utf8(self.text()?.to_vec()).map_err(|_| damaged())
    }

    fn text(&mut self) -> Result<&'a [u8]> {
        let length = self.length()?;
        self.take(length)
    }

    fn length(&mut self) -> Result<usize> {
        usize::try_from(u32::from_le_bytes(self.array()?)).map_err(|_| damaged())
    }

    fn byte(&mut self) -> Result<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn array<const LENGTH: usize>(&mut self) -> Result<[u8; LENGTH]> {
        self.take(LENGTH)?.try_into().map_err(|_| damaged())
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or_else(damaged)?;
        self.rest = rest;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls() -> Vec<(Lane, Item)> {
        let plain = Item {
            kind: Kind::Http,
            step: "notify".into(),
            index: 0,
            replay: None,
            recorded_at: Timestamp::from_millis(1_795_000_000_120),
            payload: Payload::from_text(r#"{"url":"http://a/"}"#),
            warnings: Vec::new(),
            refused: None,
        };
        let body = Body {
            bytes: vec![0, 255, 7].into(),
            content_type: Some("x/y".into()),
            secret: Some("whsec_x".into()),
            webhook: Some("wh_a".into()),
        };
        let body = Some(Box::new(body));
        let full = Item {
            index: 1,
            replay: Some(Box::new(ReplayOf {
                id: Uuid::from_u128(7),
                call: Uuid::from_u128(7),
                before: Resolution::Failed,
            })),
            payload: Payload { text: "{}".into(), body },
            warnings: vec!["odd".to_owned(), "🚀".to_owned()],
            refused: Some(Box::new(
                Failure::new(ErrorKind::PayloadTooLarge, "large").during(Phase::Body),
            )),
            ..plain.clone()
        };
        let untyped = Some(Box::<Body>::default());
        let other = Item {
            kind: Kind::Emit,
            step: "other".into(),
            payload: Payload { text: "[]".into(), body: untyped },
            ..plain.clone()
        };
        let lane = |kind, key: &str| Lane { kind, key: key.into() };
        vec![
            (lane(Kind::Http, "http://a"), plain.clone()),
            (lane(Kind::Http, "http://a"), full),
            (lane(Kind::Emit, "emit"), other),
            (lane(Kind::Http, ""), plain),
        ]
    }

    #[test]
    fn what_is_written_is_read() {
        for calls in [Vec::new(), calls()] {
            let read = decode(&encode(&calls)).unwrap();
            assert_eq!(format!("{read:?}"), format!("{calls:?}"));
        }
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let written = encode(&calls());
        for end in 0..written.len() {
            assert_eq!(decode(&written[..end]).unwrap_err().kind(), ErrorKind::Journal);
            for bit in [1, 0x80] {
                let mut flipped = written.clone();
                flipped[end] ^= bit;
                // Some flips make another call of it; none may panic or ask for gigabytes.
                let _ = decode(&flipped);
            }
        }
    }
}

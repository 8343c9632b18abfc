//! The shared journal as the target of a move.
//!
//! What is moved waits under negative shards: below [`STAGED`] until the move ends, then above it until the
//! owner of the shard takes it ([`super::adoption`]).

mod days;
mod records;
mod write;

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use super::connect::connect;
use super::error::{failed, journal};
use super::node::BLOCK_BITS;
use super::ownership::shard_of;
use super::params::{Columns, int};
use super::poll;
use super::row::RowReader;
use super::schema::{self, Named};
use crate::egress::Egress;
use crate::error::Result;
use crate::execution::SLOTS;
use crate::journal::Lane;
use crate::journal::crypto::{Cipher, JournalKey};
use crate::journal::moving::{DirectoryContent, MoveOptions, MovePlace};
use crate::postgres::Connector;
use crate::time::Timestamp;

/// The difference between the shard of a call and what stands for it until the move ends.
const STAGED: i32 = 1 << 16;
/// The wait for a response after which the connection is lost.
const SILENCE: Duration = Duration::from_secs(60);

/// A shared journal that a data directory is moved into.
pub(in crate::journal) struct Target {
    client: Client,
    cipher: Cipher,
    begin: String,
    channel: String,
    shards: u16,
    /// Executions of the part that is being written: their numbers in the directory and here.
    serials: HashMap<u64, u64>,
    /// Days that have partitions, or cannot have any.
    days: BTreeSet<u64>,
    block: i64,
}

impl Target {
    /// Connects, sets the journal up if it is not there, and checks that it is this fleet's.
    ///
    /// # Errors
    /// `InvalidOption`, `Journal`.
    pub(in crate::journal) async fn open(options: &MoveOptions, egress: Egress) -> Result<Self> {
        let (client, cipher) = connected(options, egress).await?;
        let opened = schema::open(&client, named(options), &cipher).await?;
        Ok(Self {
            client,
            cipher,
            begin: schema::begin(&options.schema, SILENCE),
            channel: poll::channel(&options.schema),
            shards: opened.shards,
            serials: HashMap::new(),
            days: BTreeSet::new(),
            block: opened.block,
        })
    }

    /// Does what [`Target::open`] does, and takes it back. Returns the place of a move that has begun.
    ///
    /// # Errors
    /// `InvalidOption`, `Journal`.
    pub(in crate::journal) async fn look(
        options: &MoveOptions,
        egress: Egress,
        id: Option<Uuid>,
    ) -> Result<Option<MovePlace>> {
        let (client, cipher) = connected(options, egress).await?;
        schema::prepare(&client, named(options), &cipher).await?;
        let place = match id {
            Some(id) => find(&client, id).await?,
            None => None,
        };
        client.batch_execute("ROLLBACK").await.map_err(|error| failed(&error))?;
        Ok(place)
    }

    /// Returns the shard of a lane.
    pub(in crate::journal) fn shard_of(&self, lane: &Lane) -> u16 {
        shard_of(lane, self.shards)
    }

    /// Returns the place of a move; `None`: it has not begun here.
    pub(in crate::journal) async fn place(&self, id: Uuid) -> Result<Option<MovePlace>> {
        self.run(&self.begin).await?;
        let place = find(&self.client, id).await?;
        self.run("COMMIT").await?;
        Ok(place)
    }

    /// Begins a move.
    pub(in crate::journal) async fn begin(
        &self,
        id: Uuid,
        source: &str,
        (first, last): (u64, u64),
    ) -> Result<MovePlace> {
        let mut columns = Columns::default();
        columns
            .add(Type::UUID_ARRAY, [id])
            .text(source)
            .number(self.block)
            .number(int(first))
            .number(int(last));
        self.run(&self.begin).await?;
        self.query(
            "INSERT INTO moves (id, source, block, first_seq, last_seq)
             VALUES (($1::uuid[])[1], $2, $3, $4, $5)",
            &columns,
        )
        .await?;
        self.run("COMMIT").await?;
        let (moved, finished_at) = (DirectoryContent::default(), None);
        let numbers = (first, last);
        Ok(MovePlace { id, base: base(self.block), numbers, after: -1, moved, finished_at })
    }

    /// Returns what was moved so far.
    pub(in crate::journal) async fn moved(&self, id: Uuid) -> Result<DirectoryContent> {
        let place = self.place(id).await?;
        Ok(place.map(|place| place.moved).unwrap_or_default())
    }

    async fn run(&self, sql: &str) -> Result<()> {
        self.client.batch_execute(sql).await.map_err(|error| failed(&error))
    }

    async fn query(&self, sql: &str, columns: &Columns) -> Result<Vec<Row>> {
        let params = columns.params();
        self.client.query_typed(sql, params.values()).await.map_err(|error| failed(&error))
    }
}

async fn connected(options: &MoveOptions, egress: Egress) -> Result<(Client, Cipher)> {
    let cipher = Cipher::new(&JournalKey::given(&options.key)?)?;
    let connector = Connector::new(options.server.clone(), options.ca.as_deref(), egress, SILENCE)?;
    Ok((connect(&connector).await?, cipher))
}

fn named(options: &MoveOptions) -> Named<'_> {
    Named { schema: &options.schema, shards: options.shards }
}

/// Returns the first number of the calls of a block.
fn base(block: i64) -> u64 {
    block.cast_unsigned() << BLOCK_BITS
}

/// Returns the slot of the executions that a move numbers.
fn slot(place: MovePlace) -> u64 {
    (place.base >> BLOCK_BITS) % SLOTS
}

async fn find(client: &Client, id: Uuid) -> Result<Option<MovePlace>> {
    let mut columns = Columns::default();
    columns.add(Type::UUID_ARRAY, [id]);
    let ask = "SELECT *, (extract(epoch FROM finished_at) * 1000)::bigint AS finished
        FROM moves WHERE id = ANY($1)";
    let rows = schema::query(client, ask, &columns.params()).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let row = RowReader::new("moves", row);
    let finished = |at: i64| u64::try_from(at).ok().map(Timestamp::from_millis);
    Ok(Some(MovePlace {
        id,
        base: base(row.get("block")?),
        numbers: (row.unsigned("first_seq")?, row.unsigned("last_seq")?),
        after: row.get("after")?,
        moved: DirectoryContent {
            executions: row.unsigned("executions")?,
            deliveries: row.unsigned("deliveries")?,
            calls: row.unsigned("calls")?,
            ..DirectoryContent::default()
        },
        finished_at: row.parse_optional("finished", finished)?,
    }))
}

/// Returns the error of a move that another command has gone on with.
fn overtaken() -> crate::error::Error {
    journal(
        "another command moves this directory, or a copy of it: one is enough. Nothing of this part was \
         written",
    )
}

async (event) => {
  for (const row of event.rows) {
    $send.sql({ table: 'orders', payload: row })
  }
  this.count = event.rows.length
}

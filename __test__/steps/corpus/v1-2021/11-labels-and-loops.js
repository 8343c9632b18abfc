outer: for (const row of event.rows) {
  for (const cell of row) {
    if (cell === null) continue outer
  }
  $send.emit({ name: 'full', event: { row } })
}

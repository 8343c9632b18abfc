async function notify(event, steps) {
  this.id = steps.trigger.event.id
  $send.sse({ channel: 'orders', payload: { id: this.id } })
}

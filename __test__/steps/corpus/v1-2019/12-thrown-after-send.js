async (event) => {
  this.before = true
  $send.http({ method: 'POST', url: event.url, data: { step: 1 } })
  throw new Error('the API said no')
}

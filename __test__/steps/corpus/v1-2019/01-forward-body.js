// Forwards the body of the request to another service.
async (event, steps) => {
  $send.http({ method: 'POST', url: event.url, data: event.body })
}

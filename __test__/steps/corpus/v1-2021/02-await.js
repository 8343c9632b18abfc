const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
await wait(1)
$send.http({ method: 'POST', url: event.url, data: { waited: true } })

if (event.headers['x-signature'] !== params.secret) {
  return 'refused'
}
$send.http({ method: 'POST', url: event.url, data: {} })

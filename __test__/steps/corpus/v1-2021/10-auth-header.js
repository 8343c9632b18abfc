const { username, password } = auths.jira
const token = Buffer.from(`${username}:${password}`).toString('base64')
$send.http({ method: 'GET', url: event.url, headers: { Authorization: `Basic ${token}` }, params: { q: 'open' } })

// A code step, as it stands in Pipedream's editor: `$send` is a global.

export default async (event) => {
  $send.http({ method: 'POST', url: event.url, data: { name: event.name } })
  return `Hello ${event.name}`
}

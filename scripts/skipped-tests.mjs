// A reporter of Node's test runner: the reason of each test that was skipped, one a line.

/** @param {AsyncIterable<{ type: string, data: { name?: string, skip?: string | boolean } }>} events */
export default async function* skippedTests(events) {
  for await (const { type, data } of events) {
    if (type !== 'test:pass' || data.skip === undefined || data.skip === false) continue
    const reason = typeof data.skip === 'string' && data.skip !== '' ? data.skip : data.name
    yield `${String(reason).replaceAll('\n', ' ')}\n`
  }
}

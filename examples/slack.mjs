// `$send.slack({ channel, text })`: a custom destination that posts to Slack.
//
//   engine.destination('slack', slack({ token: process.env.SLACK_TOKEN }))

const POST_MESSAGE = 'https://slack.com/api/chat.postMessage'

/** Errors of Slack that are retried. */
const TRANSIENT = ['ratelimited', 'internal_error', 'service_unavailable', 'request_timeout']

/**
 * @param {{ token: string, url?: string }} settings
 * @returns {import('dollar-send').DestinationOptions}
 */
export const slack = ({ token, url = POST_MESSAGE }) => ({
  timeoutMs: 10_000,
  async deliver([{ argument }]) {
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${token}`,
        'content-type': 'application/json; charset=utf-8',
      },
      body: JSON.stringify(argument),
    }).catch((error) => {
      throw Object.assign(error, { retryable: true })
    })
    if (response.status === 429 || response.status >= 500) {
      const afterMs = 1000 * Number(response.headers.get('retry-after') ?? 0)
      return [{ status: 'retry', error: `Slack responded ${response.status}`, afterMs }]
    }
    const { ok, error, channel, ts } = await response.json()
    if (ok) return [{ status: 'delivered', response: { channel, ts } }]
    return [{ status: TRANSIENT.includes(error) ? 'retry' : 'failed', error }]
  },
})

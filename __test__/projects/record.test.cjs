/* global test, expect, recordStep */

const notify = {
  props: { to: { type: 'string' } },
  async run({ steps, $ }) {
    const { name } = steps.trigger.event
    $.send.http({ method: 'POST', url: 'https://example.com/hook', data: { name, to: this.to } })
  },
}

test('the step sends one request', async () => {
  const { sent, status } = await recordStep(notify, { event: { name: 'Luke' }, props: { to: 'a' } })
  expect(status).toBe('returned')
  expect(sent.http).toHaveLength(1)
  expect(sent.http[0]).toMatchObject({ url: 'https://example.com/hook', data: { name: 'Luke' } })
  expect(sent.email).toEqual([])
})

test('a step without its props is refused', async () => {
  await expect(recordStep(notify)).rejects.toThrow('the prop to is required')
})

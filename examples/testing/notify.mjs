/** The step under test. */
export default {
  props: { channel: { type: 'string' } },
  async run({ steps, $ }) {
    $.send.http({
      method: 'POST',
      url: 'https://example.com/hook',
      data: { name: steps.trigger.event.name, channel: this.channel },
    })
  },
}

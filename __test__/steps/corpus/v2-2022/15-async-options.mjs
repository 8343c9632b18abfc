export default {
  props: {
    channel: {
      type: 'string',
      async options() {
        throw new Error('only the editor asks for options')
      },
    },
  },
  async run({ $ }) {
    $.send.sse({ channel: this.channel, payload: { ok: true } })
  },
}

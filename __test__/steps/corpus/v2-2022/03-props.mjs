export default defineComponent({
  name: 'Send a message',
  key: 'send-message',
  version: '0.0.1',
  type: 'action',
  props: {
    url: { type: 'string' },
    text: { type: 'string', default: 'hello' },
  },
  async run({ $ }) {
    $.send.http({ method: 'POST', url: this.url, data: { text: this.text } })
    $.export('$summary', 'Sent')
  },
})

export default defineComponent({
  async run({ steps, $ }) {
    $.export('debug', { code: 42 })
    $.send.email({ subject: 'Failed', text: 'see the log' })
    throw new Error('failed on purpose')
  },
})

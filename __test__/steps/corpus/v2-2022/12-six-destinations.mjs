export default defineComponent({
  async run({ steps, $ }) {
    $.send.http({ method: 'POST', url: steps.trigger.event.url, data: { n: 1 } })
    $.send.email({ subject: 's', text: 't' })
    $.send.s3({ bucket: 'b', prefix: 'p/', payload: 'x' })
    $.send.sql({ table: 't', payload: { a: 1 } })
    $.send.sse({ channel: 'c', payload: { a: 1 } })
    $.send.emit({ a: 1 })
  },
})

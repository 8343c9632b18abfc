export default defineComponent({
  async run({ steps, $ }) {
    $send.emit({ before: true })
    if (steps.trigger.event.stop) $end('asked to stop')
    $send.emit({ after: true })
  },
})

export default defineComponent({
  async run({ steps, $ }) {
    if (steps.trigger.event.draft) return $.flow.exit('a draft')
    $.send.emit({ published: true })
  },
})

export default defineComponent({
  async run({ steps, $ }) {
    await $.respond({ status: 201, headers: {}, body: { id: steps.trigger.event.id } })
    return 'answered'
  },
})

const { http, emit: publish } = $send

export default defineComponent({
  async run({ steps }) {
    http({ method: 'PATCH', url: steps.trigger.event.url, data: 'text' })
    publish({ done: true })
  },
})

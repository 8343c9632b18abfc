import routes from "./helpers/routes.json"

export default defineComponent({
  async run({ steps, $ }) {
    const { method, path } = routes[steps.trigger.event.kind]
    $.send.http({ method, url: steps.trigger.event.url + path })
  },
})
